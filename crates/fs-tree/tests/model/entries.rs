//! Entries of a layer.

use std::collections::BTreeMap;
use std::rc::Rc;

use fs_tree::Metadata;

use super::{Directory, ErrorKind, Leaf, Model, Node, OwnedChange, OwnedKind, OwnedNode, Xattrs};

impl Model {
    /// Applies an entry as if unpacked into a directory. Returns whether it is a hard link to its own path.
    pub(crate) fn apply_entry(&mut self, change: &OwnedChange) -> Result<bool, ErrorKind> {
        self.leaned_on_lower = false;
        match &change.kind {
            OwnedKind::Node {
                metadata,
                xattrs,
                node,
            } => self
                .put(&change.path, *metadata, xattrs, node)
                .map(|()| false),
            OwnedKind::HardLink { target } => self.hard_link(&change.path, target),
            OwnedKind::Whiteout | OwnedKind::Opaque => Ok(false),
        }
    }

    /// Applies an entry without the layers below: only a parent that is a file is refused.
    pub(crate) fn apply_alone(&mut self, change: &OwnedChange) -> Result<(), ErrorKind> {
        match self.apply_entry(change) {
            Err(ErrorKind::ParentNotADirectory) => Err(ErrorKind::ParentNotADirectory),
            Err(ErrorKind::LinkTargetMissing | ErrorKind::LinkToDirectory) => {
                // The target may exist in a lower layer.
                if let Ok(place) = self.make_place(&change.path) {
                    self.remove(&place);
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn put(
        &mut self,
        path: &str,
        metadata: Metadata,
        xattrs: &Xattrs,
        node: &OwnedNode,
    ) -> Result<(), ErrorKind> {
        let is_directory = matches!(node, OwnedNode::Directory);
        if path.is_empty() && !is_directory {
            return Err(ErrorKind::RootNotADirectory);
        }
        let place = self.make_place(path)?;
        if is_directory && let Some(Node::Directory(old)) = self.at_mut(&place) {
            let was_implied = old.implied;
            old.metadata = metadata;
            old.xattrs = xattrs.clone();
            old.implied = false;
            old.has_new_implied = false;
            self.cases.hit(if place.is_empty() {
                "root described"
            } else if was_implied {
                "implied directory described later"
            } else {
                "directory over directory"
            });
            return Ok(());
        }
        let new = if is_directory {
            Node::Directory(Directory {
                metadata,
                xattrs: xattrs.clone(),
                implied: false,
                has_new_implied: false,
                children: BTreeMap::new(),
            })
        } else {
            Node::Leaf(Rc::new(Leaf {
                metadata,
                xattrs: xattrs.clone(),
                node: node.clone(),
                layer: self.layer,
            }))
        };
        if !xattrs.is_empty() {
            self.cases.hit("xattrs");
        }
        self.note_replacement(&place, &new);
        self.set(&place, new);
        Ok(())
    }

    fn hard_link(&mut self, path: &str, target: &str) -> Result<bool, ErrorKind> {
        if path.is_empty() {
            return Err(ErrorKind::RootNotADirectory);
        }
        let place = self.make_place(path)?;
        let found = self.target(target)?;
        if let Some(found) = &found
            && self.same_leaf(found, &place)
        {
            if let Some(Node::Leaf(leaf)) = self.at(found) {
                self.leaned_on_lower |= leaf.layer != self.layer;
            }
            self.cases.hit("hard link onto itself");
            return Ok(*found == place);
        }
        let was_there = found.is_some();
        // As in a tar extractor, the existing entry is removed first, and the target may be part of it.
        let in_way = self.at(&place).is_some();
        self.remove(&place);
        let Some(target) = self.target(target)? else {
            if was_there {
                self.cases.hit("hard link over its own target");
            }
            return Err(ErrorKind::LinkTargetMissing);
        };
        let Some(Node::Leaf(leaf)) = self.at(&target) else {
            unreachable!("a target is a file");
        };
        let leaf = Rc::clone(leaf);
        if leaf.layer == self.layer {
            self.cases.hit("hard link within the layer");
        } else {
            self.leaned_on_lower = true;
            self.cases.hit("hard link to a lower layer");
        }
        match leaf.node {
            OwnedNode::Regular { .. } => {}
            OwnedNode::Symlink { .. } => self.cases.hit("hard link to a symlink"),
            _ => self.cases.hit("hard link to a device or fifo"),
        }
        if in_way {
            self.cases.hit("hard link replaces");
        }
        self.set(&place, Node::Leaf(leaf));
        Ok(false)
    }

    fn same_leaf(&self, a: &[String], b: &[String]) -> bool {
        match (self.at(a), self.at(b)) {
            (Some(Node::Leaf(a)), Some(Node::Leaf(b))) => Rc::ptr_eq(a, b),
            _ => false,
        }
    }

    /// Returns the place of a hard link's target. A path through a file has none.
    fn target(&mut self, path: &str) -> Result<Option<Vec<String>>, ErrorKind> {
        let place = self.place(path)?;
        match self.at(&place) {
            None => Ok(None),
            Some(Node::Directory(_)) => Err(ErrorKind::LinkToDirectory),
            Some(Node::Leaf(_)) => Ok(Some(place)),
        }
    }
}
