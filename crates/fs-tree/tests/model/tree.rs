//! The model's tree: maps of names.

use std::collections::BTreeMap;
use std::rc::Rc;

use fs_tree::Metadata;

use super::{Model, OwnedNode, Xattrs};

#[derive(Clone, Debug)]
pub(crate) enum Node {
    Directory(Directory),
    /// Names of one inode share one `Rc`.
    Leaf(Rc<Leaf>),
}

#[derive(Clone, Debug)]
pub(crate) struct Directory {
    pub(crate) metadata: Metadata,
    pub(crate) xattrs: Xattrs,
    pub(crate) implied: bool,
    /// Whether a directory was implied in it since an entry described it: umoci then changes its time.
    pub(crate) has_new_implied: bool,
    pub(crate) children: BTreeMap<String, Node>,
}

#[derive(Debug)]
pub(crate) struct Leaf {
    pub(crate) metadata: Metadata,
    pub(crate) xattrs: Xattrs,
    pub(crate) node: OwnedNode,
    /// The layer that it is from.
    pub(crate) layer: usize,
}

impl Model {
    pub(crate) fn at(&self, place: &[String]) -> Option<&Node> {
        let mut node = &self.root;
        for name in place {
            let Node::Directory(directory) = node else {
                return None;
            };
            node = directory.children.get(name)?;
        }
        Some(node)
    }

    pub(super) fn at_mut(&mut self, place: &[String]) -> Option<&mut Node> {
        let mut node = &mut self.root;
        for name in place {
            let Node::Directory(directory) = node else {
                return None;
            };
            node = directory.children.get_mut(name)?;
        }
        Some(node)
    }

    pub(super) fn set(&mut self, place: &[String], new: Node) {
        let (name, parent) = place.split_last().expect("the root is never replaced");
        let Some(Node::Directory(parent)) = self.at_mut(parent) else {
            unreachable!("make_place has made the parent");
        };
        parent.has_new_implied |= matches!(&new, Node::Directory(new) if new.implied);
        parent.children.insert(name.clone(), new);
    }

    pub(super) fn remove(&mut self, place: &[String]) {
        let (name, parent) = place.split_last().expect("the root is never removed");
        if let Some(Node::Directory(parent)) = self.at_mut(parent) {
            parent.children.remove(name);
        }
    }
}

impl Directory {
    pub(super) fn implied() -> Self {
        Self {
            metadata: Metadata {
                mode: 0o755,
                ..Metadata::default()
            },
            xattrs: Xattrs::new(),
            implied: true,
            has_new_implied: false,
            children: BTreeMap::new(),
        }
    }
}

/// Splits a path or a link's target into names.
pub(crate) fn split(path: &str) -> Vec<String> {
    path.split('/')
        .filter(|name| !name.is_empty() && *name != ".")
        .map(str::to_owned)
        .collect()
}
