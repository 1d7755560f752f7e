//! Applies the changes of a layer to a tree.

mod layer;
mod merge;

pub use layer::LayerApplier;
pub use merge::{LayerMerge, Whiteout, merge_layer};

use crate::resolve::{Missing, resolve_directory};
use crate::{ApplyError, InodeId, Metadata, NewNode, Node, Tree};

/// The effect of an applied change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Applied {
    /// The change is in the tree.
    Done,
    /// The target of a hard link is not in this layer. The tree of the layer alone cannot represent the link; a merge can.
    LinksBelow,
}

/// Puts entries into a tree in the order of a tar, as an extraction into a directory would.
#[derive(Debug)]
struct Extraction<'t> {
    tree: &'t mut Tree,
    /// How to handle a missing parent of an entry, or a file in its place.
    missing_parent: Missing,
    /// Path components walked, and inodes visited, so far. Each of them takes about the same time.
    steps: u64,
    /// The path and the inode of the last entry's parent, which is usually the parent of the next entry too. `None` after a
    /// directory was removed, or a symbolic link added or removed: paths may lead elsewhere now.
    last_parent: Option<(Vec<u8>, InodeId)>,
}

impl<'t> Extraction<'t> {
    fn new(tree: &'t mut Tree, missing_parent: Missing) -> Self {
        Self {
            tree,
            missing_parent,
            steps: 0,
            last_parent: None,
        }
    }

    /// Creates an inode at `path`. Returns it, and whether it replaced another one. A directory over a directory is the same inode
    /// and keeps its children.
    fn put(
        &mut self,
        path: &[u8],
        metadata: Metadata,
        xattrs: &[(&[u8], &[u8])],
        node: NewNode<'_>,
    ) -> Result<(InodeId, bool), ApplyError> {
        let is_directory = matches!(node, NewNode::Directory);
        let failed = |source| ApplyError::Tree {
            path: path.to_vec(),
            source,
        };
        if path.is_empty() {
            if !is_directory {
                return Err(ApplyError::RootNotADirectory);
            }
            let root = self.tree.root();
            self.tree
                .describe_directory(root, metadata, xattrs)
                .map_err(failed)?;
            return Ok((root, false));
        }
        let (parent, name) = self.parent_of(path)?;
        let existing = self.tree.lookup(parent, name);
        if let Some(existing) = existing
            && is_directory
            && self.tree.directory(existing).is_some()
        {
            self.tree
                .describe_directory(existing, metadata, xattrs)
                .map_err(failed)?;
            return Ok((existing, false));
        }
        let replaced = existing.is_some() && self.remove(parent, name);
        if matches!(node, NewNode::Symlink { .. }) {
            self.last_parent = None;
        }
        let id = self
            .tree
            .add(parent, name, metadata, xattrs, node)
            .map_err(failed)?;
        Ok((id, replaced))
    }

    /// Adds the name `path` to the file at `target`. Returns `false` if there is no such file.
    fn link(&mut self, path: &[u8], target: &[u8]) -> Result<bool, ApplyError> {
        if path.is_empty() {
            return Err(ApplyError::RootNotADirectory);
        }
        let (parent, name) = self.parent_of(path)?;
        let existing = self.tree.lookup(parent, name);
        let found = self.link_target(path, target)?;
        if found.is_some() && found == existing {
            return Ok(true);
        }
        self.remove(parent, name);
        // A second time: the removed entry may have been the target, or have contained it.
        let Some(inode) = self.link_target(path, target)? else {
            return Ok(false);
        };
        if matches!(self.tree.inode(inode).node, Node::Symlink(_)) {
            self.last_parent = None;
        }
        self.tree
            .link(parent, name, inode)
            .map_err(|source| ApplyError::Tree {
                path: path.to_vec(),
                source,
            })?;
        Ok(true)
    }

    /// Returns whether the target of a hard link is a directory that is only implied, and removes what was at `path` if so. The
    /// target may be a symbolic link in a lower layer, which an implied parent follows and a hard link does not.
    fn links_to_implied(&mut self, path: &[u8], target: &[u8]) -> Result<bool, ApplyError> {
        if path.is_empty() {
            return Err(ApplyError::RootNotADirectory);
        }
        // First, because the link's own path may imply the directory.
        let (parent, name) = self.parent_of(path)?;
        let (target_parent, target_name) = split(target);
        let Some(found) = self
            .resolve(target, target_parent, Missing::Stop)?
            .and_then(|directory| self.tree.lookup(directory, target_name))
        else {
            return Ok(false);
        };
        let is_implied = self
            .tree
            .directory(found)
            .is_some_and(|directory| directory.implied);
        if is_implied {
            self.remove(parent, name);
        }
        Ok(is_implied)
    }

    fn link_target(&mut self, path: &[u8], target: &[u8]) -> Result<Option<InodeId>, ApplyError> {
        let to_directory = || ApplyError::LinkToDirectory {
            path: path.to_vec(),
            target: target.to_vec(),
        };
        if target.is_empty() {
            return Err(to_directory());
        }
        let (parent_path, name) = split(target);
        let Some(parent) = self.resolve(target, parent_path, Missing::Stop)? else {
            return Ok(None);
        };
        let Some(found) = self.tree.lookup(parent, name) else {
            return Ok(None);
        };
        match self.tree.inode(found).node {
            Node::Directory(_) => Err(to_directory()),
            Node::Whiteout => Ok(None),
            _ => Ok(Some(found)),
        }
    }

    /// Returns the directory that receives an entry, and the entry's name in it. Creates missing parents as implied directories.
    fn parent_of<'p>(&mut self, path: &'p [u8]) -> Result<(InodeId, &'p [u8]), ApplyError> {
        let (parent_path, name) = split(path);
        if let Some((last_path, last)) = &self.last_parent
            && last_path == parent_path
        {
            return Ok((*last, name));
        }
        let parent = self.resolve(path, parent_path, self.missing_parent)?;
        let parent = parent.ok_or_else(|| ApplyError::ParentNotADirectory {
            path: path.to_vec(),
        })?;
        let mut buffer = self
            .last_parent
            .take()
            .map(|last| last.0)
            .unwrap_or_default();
        buffer.clear();
        buffer.extend_from_slice(parent_path);
        self.last_parent = Some((buffer, parent));
        Ok((parent, name))
    }

    fn resolve(
        &mut self,
        path: &[u8],
        parent: &[u8],
        missing: Missing,
    ) -> Result<Option<InodeId>, ApplyError> {
        resolve_directory(self.tree, &mut self.steps, path, parent, missing)
    }

    /// Removes the entry with this name. Returns whether it existed.
    fn remove(&mut self, parent: InodeId, name: &[u8]) -> bool {
        let Some(existing) = self.tree.lookup(parent, name) else {
            return false;
        };
        if matches!(
            self.tree.inode(existing).node,
            Node::Directory(_) | Node::Symlink(_)
        ) {
            self.last_parent = None;
        }
        self.tree.remove(parent, name)
    }
}

/// Splits a normalized path into the path of its parent and its last name.
fn split(path: &[u8]) -> (&[u8], &[u8]) {
    match path.iter().rposition(|&byte| byte == b'/') {
        Some(at) => (&path[..at], &path[at + 1..]),
        None => (b"", path),
    }
}
