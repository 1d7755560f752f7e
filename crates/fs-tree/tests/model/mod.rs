//! A second implementation of merging layers, written from the OCI image specification as simply as possible and independently
//! of the code that it verifies: a tree of maps, walked from the root for every lookup.

#![allow(
    dead_code,
    unused_imports,
    reason = "each test binary compiles this module and uses its part of it"
)]

mod build;
mod cases;
mod entries;
mod generate;
mod listing;
mod markers;
mod paths;
mod tree;

pub(crate) use build::*;
pub(crate) use cases::Cases;
pub(crate) use generate::stacks;
pub(crate) use listing::{Listed, Listing, What, list_model, list_tree};
pub(crate) use tree::{Directory, Leaf, Node, split};

use std::collections::BTreeMap;

/// The tree of some layers.
#[derive(Clone, Debug)]
pub(crate) struct Model {
    pub(crate) root: Node,
    /// The index of the layer being applied.
    layer: usize,
    /// Whether the last entry followed a symbolic link of a lower layer, or linked to a file of one.
    pub(crate) leaned_on_lower: bool,
    /// Entries without an effect, each by its layer and its position.
    pub(crate) idle: Vec<(usize, usize, Idle)>,
    /// Files that an implied directory replaced: the layer, the entry, and the file's path if it is one of a lower layer.
    pub(crate) replaced: Vec<(usize, usize, Option<String>)>,
    /// The position of the entry being applied.
    entry: usize,
    /// Whether a parent that is a file is an error, as in the tree of one layer, instead of being replaced.
    refuses_files: bool,
    pub(crate) cases: Cases,
}

impl Model {
    pub(crate) fn new() -> Self {
        Self {
            root: Node::Directory(Directory::implied()),
            layer: 0,
            leaned_on_lower: false,
            idle: Vec::new(),
            replaced: Vec::new(),
            entry: 0,
            refuses_files: false,
            cases: Cases::default(),
        }
    }

    /// Creates a model of one layer, without the layers below it.
    pub(crate) fn of_one_layer() -> Self {
        Self {
            refuses_files: true,
            ..Self::new()
        }
    }

    /// Applies a stack: the whiteouts of a layer first, wherever they stand in the tar, then its entries in order. Also applies each
    /// layer alone, which refuses a parent that is a file of the same layer.
    pub(crate) fn apply(&mut self, stack: &[Vec<OwnedChange>]) -> Result<(), Refusal> {
        for (layer, changes) in stack.iter().enumerate() {
            self.note_order(changes);
            self.begin_layer(changes);
            let mut alone = Self::of_one_layer();
            for (entry, change) in changes.iter().enumerate() {
                self.entry = entry;
                let refused = |kind| Refusal { layer, entry, kind };
                alone.apply_alone(change).map_err(refused)?;
                let links_to_itself = self.apply_entry(change).map_err(refused)?;
                if links_to_itself {
                    self.idle.push((layer, entry, Idle::LinkToItself));
                }
            }
        }
        Ok(())
    }

    pub(crate) fn begin_layer(&mut self, changes: &[OwnedChange]) {
        self.layer += 1;
        for (entry, change) in changes.iter().enumerate() {
            let is_behind_link = match change.kind {
                OwnedKind::Whiteout => self.whiteout(&change.path),
                OwnedKind::Opaque => self.opaque(&change.path),
                _ => false,
            };
            if is_behind_link {
                self.idle
                    .push((self.layer - 1, entry, Idle::MarkerBehindLink));
            }
        }
    }
}

/// Full names and values.
pub(crate) type Xattrs = BTreeMap<String, Vec<u8>>;

/// Why a stack cannot be merged, without the paths.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ErrorKind {
    ParentNotADirectory,
    SymlinkLoop,
    RootNotADirectory,
    LinkTargetMissing,
    LinkToDirectory,
    Other,
}

/// The entry that cannot be applied.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Refusal {
    pub(crate) layer: usize,
    pub(crate) entry: usize,
    pub(crate) kind: ErrorKind,
}

/// Why an entry has no effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Idle {
    /// A whiteout or an opaque marker whose path leads through a symbolic link.
    MarkerBehindLink,
    /// A hard link whose target is its own path.
    LinkToItself,
}
