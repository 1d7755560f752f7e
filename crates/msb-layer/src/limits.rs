use crate::{decode, tar};

/// How much one layer may claim. The defaults lie far beyond what real images hold; each is named in its error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct LayerLimits {
    /// Entries of the archive; and names in the layer's tree, where a long path may imply many directories.
    pub entries: u64,
    /// Bytes of all paths, link targets, xattrs and maps of sparse files together: what is held in memory.
    pub metadata_bytes: u64,
    /// Bytes of the archive when it is unpacked.
    pub plain_bytes: u64,
    /// Logical bytes of one file, holes counted.
    pub file_bytes: u64,
    /// Bytes that sparse files may cost beyond their data: zeros around it, and chunk indexes. An archive states holes in a
    /// few bytes, whatever their length.
    pub sparse_bytes: u64,
    /// Bytes of the layer image.
    pub image_bytes: u64,
    /// What one tar entry may claim.
    pub tar: tar::Limits,
    /// How long paths may be.
    pub path: tar::path::PathLimits,
    /// What the compressed stream may claim.
    pub decode: decode::Limits,
}

impl Default for LayerLimits {
    fn default() -> Self {
        Self {
            entries: 8 << 20,
            metadata_bytes: 1 << 30,
            plain_bytes: 256 << 30,
            file_bytes: 8 << 40,
            sparse_bytes: 1 << 30,
            image_bytes: 512 << 30,
            tar: tar::Limits::default(),
            // A whiteout's name is its file's and four bytes more.
            path: tar::path::PathLimits {
                component_bytes: 255 + 4,
                ..tar::path::PathLimits::default()
            },
            decode: decode::Limits::default(),
        }
    }
}
