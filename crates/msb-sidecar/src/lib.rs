//! The versioned file beside a layer image that keeps the layer's changes for merging
