//! The merge of layers once more, written from the OCI image specification as plainly as possible and without a look at
//! the code that it judges: a tree of maps, walked from the root for every question.

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
    /// The layer being applied.
    layer: usize,
    /// The last entry followed a symbolic link of a lower layer, or linked to a file of one.
    pub(crate) leaned_on_lower: bool,
    /// Entries that do nothing, each by its layer and its place there.
    pub(crate) idle: Vec<(usize, usize, Idle)>,
    /// Files that an implied directory replaced: the layer, the entry, and the file's path if it is one of a lower layer.
    pub(crate) replaced: Vec<(usize, usize, Option<String>)>,
    /// The entry being applied.
    entry: usize,
    /// Whether a parent that is a file is an error, and not replaced: where the tree is that of one layer.
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

    /// For the entries of one layer, without the layers below it.
    pub(crate) fn of_one_layer() -> Self {
        Self {
            refuses_files: true,
            ..Self::new()
        }
    }

    /// Everything that a layer hides goes first, whatever its place in the tar; then its entries follow in order. A parent that
    /// is a file of the same layer is refused, for which the layer is applied alone beside the merge.
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

/// Why an entry does nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Idle {
    /// A whiteout or an opaque marker whose path leads through a symbolic link.
    MarkerBehindLink,
    /// A hard link whose target is its own path.
    LinkToItself,
}
