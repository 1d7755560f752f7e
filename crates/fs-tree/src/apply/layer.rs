use super::{Applied, ApplyError, Extraction, split};
use crate::{Change, ChangeKind, InodeId, Node, Tree};

/// Applies the changes of one layer to an empty tree, which becomes the tree of that layer alone: with [`Node::Whiteout`]
/// where it hides a path and [`crate::Directory::opaque`] where it hides a directory's children, as an overlay of the
/// layers wants to see it.
///
/// What a layer hides never acts on the layer itself, whatever comes first in the tar.
#[derive(Debug)]
pub struct LayerApplier<'t> {
    extraction: Extraction<'t>,
}

impl<'t> LayerApplier<'t> {
    /// Begins a layer on an empty tree.
    #[must_use]
    pub fn new(tree: &'t mut Tree) -> Self {
        Self {
            extraction: Extraction::new(tree),
        }
    }

    /// The tree so far.
    #[must_use]
    pub fn tree(&self) -> &Tree {
        self.extraction.tree
    }

    /// Applies the next change.
    ///
    /// # Errors
    /// See [`ApplyError`]; a hard link whose target is not in the layer is no error but [`Applied::LinksBelow`].
    pub fn apply(&mut self, change: &Change<'_>) -> Result<Applied, ApplyError> {
        match change.kind {
            ChangeKind::Node {
                metadata,
                xattrs,
                node,
            } => {
                let (inode, replaced) = self.extraction.put(change.path, metadata, xattrs, node)?;
                if replaced {
                    // A directory where this layer had a file or a whiteout: whatever lies below is not its own.
                    self.make_opaque(inode);
                }
            }
            ChangeKind::HardLink { target } => {
                if self.extraction.links_to_implied(change.path, target)? {
                    return Ok(Applied::LinksBelow);
                }
                if !self.extraction.link(change.path, target)? {
                    return Ok(Applied::LinksBelow);
                }
            }
            ChangeKind::Whiteout => self.whiteout(change.path)?,
            ChangeKind::Opaque => {
                if let Some(directory) = self.marker_directory(change.path)? {
                    self.make_opaque(directory);
                }
            }
        }
        Ok(Applied::Done)
    }

    fn whiteout(&mut self, path: &[u8]) -> Result<(), ApplyError> {
        let (parent_path, name) = split(path);
        let Some(parent) = self.marker_directory(parent_path)? else {
            return Ok(());
        };
        let own = self
            .extraction
            .tree
            .lookup(parent, name)
            .filter(|&own| !self.holds_only_markers(own));
        match own {
            // The layer's own directory stays, and hides the one below; anything else of its own hides it anyway.
            Some(own) => self.make_opaque(own),
            None => {
                self.extraction.remove(parent, name);
                self.extraction
                    .tree
                    .add_whiteout(parent, name)
                    .map_err(|source| ApplyError::Tree {
                        path: path.to_vec(),
                        source,
                    })?;
            }
        }
        Ok(())
    }

    /// The directory that a marker speaks of, implied where it is missing. `None` where the layer has something else on
    /// the way: that hides what is below it without a marker, and a marker follows no symbolic link.
    fn marker_directory(&mut self, path: &[u8]) -> Result<Option<InodeId>, ApplyError> {
        let tree = &mut *self.extraction.tree;
        let failed = |source| ApplyError::Tree {
            path: path.to_vec(),
            source,
        };
        let mut current = tree.root();
        for name in path
            .split(|&byte| byte == b'/')
            .filter(|name| !name.is_empty())
        {
            current = match tree.lookup(current, name) {
                None => tree.add_implied(current, name).map_err(failed)?,
                Some(found) => match tree.inode(found).node {
                    Node::Directory(_) => found,
                    _ => return Ok(None),
                },
            };
        }
        Ok(Some(current))
    }

    /// Whether the inode is there only because markers were put below it.
    fn holds_only_markers(&self, inode: InodeId) -> bool {
        let tree = &*self.extraction.tree;
        let mut pending = vec![inode];
        while let Some(inode) = pending.pop() {
            match tree.inode(inode).node {
                Node::Whiteout => {}
                Node::Directory(directory) if directory.implied && !directory.opaque => {
                    pending.extend(tree.children(inode).map(|child| child.inode));
                }
                _ => return false,
            }
        }
        true
    }

    fn make_opaque(&mut self, inode: InodeId) {
        if let Some(directory) = self.extraction.tree.directory_mut(inode) {
            directory.opaque = true;
        }
    }
}
