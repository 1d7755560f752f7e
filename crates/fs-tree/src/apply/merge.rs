use super::{ApplyError, Extraction, split};
use crate::resolve::find_directory;
use crate::{Change, ChangeKind, Tree};

/// What a layer hides of the layers below it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Whiteout<'a> {
    /// The normalized path.
    pub path: &'a [u8],
    /// Only what is below the path is hidden, not the path itself.
    pub opaque: bool,
}

/// Begins to merge a layer into the tree of the layers below it: hides what the layer hides, at once and before any of its
/// entries, whatever their order in the tar. The entries follow through [`LayerMerge::apply`].
pub fn merge_layer<'t, 'w>(
    tree: &'t mut Tree,
    whiteouts: impl IntoIterator<Item = Whiteout<'w>>,
) -> LayerMerge<'t> {
    for whiteout in whiteouts {
        hide(tree, whiteout);
    }
    LayerMerge {
        extraction: Extraction::new(tree),
    }
}

/// A layer on its way into the tree of the layers below it.
#[derive(Debug)]
pub struct LayerMerge<'t> {
    extraction: Extraction<'t>,
}

impl LayerMerge<'_> {
    /// Applies the layer's next entry; its whiteouts have been applied already and are passed over.
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

fn hide(tree: &mut Tree, whiteout: Whiteout<'_>) {
    if whiteout.opaque {
        if let Some(directory) = find_directory(tree, whiteout.path) {
            tree.clear(directory);
        }
        return;
    }
    let (parent, name) = split(whiteout.path);
    if let Some(parent) = find_directory(tree, parent) {
        tree.remove(parent, name);
    }
}
