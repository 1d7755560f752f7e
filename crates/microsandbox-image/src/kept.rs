use serde::Serialize;

/// Layers, disks and documents that no image needs and that a prune kept, because they are younger than the grace time, or
/// because a pull or a lease uses them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Kept {
    /// Number of artifacts.
    pub artifacts: u64,
    /// Sum of their lengths, in bytes.
    pub bytes: u64,
}

impl From<msb_store::Kept> for Kept {
    fn from(kept: msb_store::Kept) -> Self {
        Self {
            artifacts: kept.artifacts,
            bytes: kept.bytes,
        }
    }
}
