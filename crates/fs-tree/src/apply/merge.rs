use super::{Extraction, split};
use crate::resolve::{Missing, find_directory};
use crate::{ApplyError, Change, ChangeKind, Tree};

/// A path or a directory's children that a layer hides in the layers below it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Whiteout<'a> {
    /// The normalized path.
    pub path: &'a [u8],
    /// Only the children of the path are hidden, not the path itself.
    pub opaque: bool,
}

/// Begins to merge a layer into the tree of the layers below it. Applies its whiteouts at once, wherever they stand in the tar.
/// The entries follow through [`LayerMerge::apply`].
pub fn merge_layer<'t, 'w>(
    tree: &'t mut Tree,
    whiteouts: impl IntoIterator<Item = Whiteout<'w>>,
) -> LayerMerge<'t> {
    let mut layer = LayerMerge {
        extraction: Extraction::new(tree, Missing::Replace),
    };
    for whiteout in whiteouts {
        layer.hide(whiteout);
    }
    layer
}

/// A layer that is being merged into the tree of the layers below it.
///
/// An implied parent replaces a lower file in its place, as in umoci and in an overlay of separately unpacked layers.
#[derive(Debug)]
pub struct LayerMerge<'t> {
    extraction: Extraction<'t>,
}

impl LayerMerge<'_> {
    /// Returns the merged tree so far.
    #[must_use]
    pub fn tree(&self) -> &Tree {
        self.extraction.tree
    }

    /// Returns the number of path components walked and inodes visited so far; see [`LayerApplier::steps`](super::LayerApplier::steps).
    #[must_use]
    pub fn steps(&self) -> u64 {
        self.extraction.steps
    }

    /// Applies a whiteout. All whiteouts of a layer precede its entries.
    pub fn hide(&mut self, whiteout: Whiteout<'_>) {
        let Extraction { tree, steps, .. } = &mut self.extraction;
        if whiteout.opaque {
            if let Some(directory) = find_directory(tree, steps, whiteout.path) {
                tree.clear(directory);
            }
            return;
        }
        let (parent, name) = split(whiteout.path);
        if let Some(parent) = find_directory(tree, steps, parent) {
            tree.remove(parent, name);
        }
    }

    /// Applies the next entry of the layer. Ignores whiteouts, which have been applied already.
    ///
    /// # Errors
    /// See [`ApplyError`].
    pub fn apply(&mut self, change: &Change<'_>) -> Result<(), ApplyError> {
        match change.kind {
            ChangeKind::Node {
                metadata,
                xattrs,
                node,
            } => {
                self.extraction.put(change.path, metadata, xattrs, node)?;
            }
            ChangeKind::HardLink { target } => {
                if !self.extraction.link(change.path, target)? {
                    return Err(ApplyError::LinkTargetMissing {
                        path: change.path.to_vec(),
                        target: target.to_vec(),
                    });
                }
            }
            ChangeKind::Whiteout | ChangeKind::Opaque => {}
        }
        Ok(())
    }
}
