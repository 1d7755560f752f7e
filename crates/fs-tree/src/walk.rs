use crate::{InodeId, Tree};

/// One name of a [`Walk`].
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Visit<'a> {
    /// The normalized path; empty for the root.
    pub path: &'a [u8],
    /// The inode with this name.
    pub inode: InodeId,
}

/// Visits every name of a tree once, directories before their contents, siblings in byte order.
///
/// A [`Visit`] borrows the walk's path buffer, so this is not an [`Iterator`].
#[derive(Debug)]
pub struct Walk<'t> {
    tree: &'t Tree,
    path: Vec<u8>,
    /// The remaining names: (length of the parent's path, name, inode), the next one last.
    pending: Vec<(usize, &'t [u8], InodeId)>,
}

impl<'t> Walk<'t> {
    /// Creates a walk that starts at the root.
    #[must_use]
    pub fn new(tree: &'t Tree) -> Self {
        Self {
            tree,
            path: Vec::new(),
            pending: vec![(0, b"", tree.root())],
        }
    }

    /// Returns the next name.
    #[expect(
        clippy::should_implement_trait,
        reason = "it lends its buffer, which an iterator cannot"
    )]
    pub fn next(&mut self) -> Option<Visit<'_>> {
        let (parent_len, name, inode) = self.pending.pop()?;
        self.path.truncate(parent_len);
        if parent_len > 0 {
            self.path.push(b'/');
        }
        self.path.extend_from_slice(name);

        let first = self.pending.len();
        let len = self.path.len();
        self.pending.extend(
            self.tree
                .children(inode)
                .map(|child| (len, child.name, child.inode)),
        );
        self.pending[first..].sort_unstable_by(|a, b| b.1.cmp(a.1));
        Some(Visit {
            path: &self.path,
            inode,
        })
    }
}
