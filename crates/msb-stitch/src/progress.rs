/// How far a merge is. The image has as many layers to merge as its [`LayerSet::stack`](crate::LayerSet::stack).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct MergeProgress {
    /// Layers that are merged completely. A layer that comes twice counts twice.
    pub layers: usize,
    /// Changes that were applied, whiteouts apart, those of the layer that is being merged included.
    pub changes: u64,
}

/// Receives the progress of a merge, on the thread that merges.
pub(crate) type OnProgress = Box<dyn FnMut(MergeProgress) + Send>;
