use super::{Applied, Extraction, split};
use crate::resolve::Missing;
use crate::{ApplyError, Change, ChangeKind, InodeId, Node, Tree};

/// Applies the changes of one layer to an empty tree, which becomes the tree of that layer alone. It contains
/// [`Node::Whiteout`] where the layer hides a path and [`crate::Directory::opaque`] where it hides a directory's children, as
/// an overlay of the layers expects.
///
/// A whiteout or opaque marker never hides an entry of its own layer, whatever the order in the tar.
#[derive(Debug)]
pub struct LayerApplier<'t> {
    extraction: Extraction<'t>,
}

impl<'t> LayerApplier<'t> {
    /// Creates an applier for an empty tree.
    #[must_use]
    pub fn new(tree: &'t mut Tree) -> Self {
        Self {
            extraction: Extraction::new(tree, Missing::Imply),
        }
    }

    /// Returns the tree so far.
    #[must_use]
    pub fn tree(&self) -> &Tree {
        self.extraction.tree
    }

    /// Returns the number of path components walked and inodes visited so far. It grows with the processor time that the
    /// changes take, whatever the length of the archive that they come from.
    #[must_use]
    pub fn steps(&self) -> u64 {
        self.extraction.steps
    }

    /// Applies the next change.
    ///
    /// # Errors
    /// See [`ApplyError`]. A hard link whose target is not in the layer is not an error but [`Applied::LinksBelow`].
    pub fn apply(&mut self, change: &Change<'_>) -> Result<Applied, ApplyError> {
        match change.kind {
            ChangeKind::Node {
                metadata,
                xattrs,
                node,
            } => {
                let (inode, replaced) = self.extraction.put(change.path, metadata, xattrs, node)?;
                if replaced {
                    // The layer had a file or a whiteout here, so nothing of a lower directory shows through.
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
        let found = self.extraction.tree.lookup(parent, name);
        let own = found.filter(|&own| !self.holds_only_markers(own));
        match own {
            // The layer's own directory stays and hides the lower one. Any other file hides it without a marker.
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

    /// Returns the directory of a marker, creating it as implied if it is missing. Returns `None` if the layer has another file on
    /// the path: that file hides everything below it without a marker, and a marker follows no symbolic link.
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
            self.extraction.steps += 1;
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

    /// Returns whether the inode exists only because markers were placed below it.
    fn holds_only_markers(&mut self, inode: InodeId) -> bool {
        let Extraction { tree, steps, .. } = &mut self.extraction;
        let mut pending = vec![inode];
        while let Some(inode) = pending.pop() {
            *steps += 1;
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
