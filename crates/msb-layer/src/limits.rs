use crate::{decode, tar};

/// Limits on what one layer may claim. The defaults are far above what real images hold; each limit is named in its error. The
/// layers of one image also share a [budget](msb_budget::ImageBudget).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct LayerLimits {
    /// Entries of the archive; and names in the layer's tree, where a long path may imply many directories.
    pub entries: u64,
    /// Bytes of the paths, link targets, xattrs and maps of sparse files of all entries together, each as often as an entry has it.
    pub metadata_bytes: u64,
    /// Path components walked while the entries are applied; see [`msb_budget::ImageLimits::path_steps`].
    pub path_steps: u64,
    /// Bytes of the archive when it is decompressed.
    pub plain_bytes: u64,
    /// Logical bytes of one file, holes counted.
    pub file_bytes: u64,
    /// Bytes that sparse files may cost beyond their data: zeros around it, and chunk indexes. An archive states holes in a
    /// few bytes, whatever their length.
    pub sparse_bytes: u64,
    /// Bytes of file data in the layer image. Its metadata counts only for [`msb_budget::ImageLimits::disk_bytes`].
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
            metadata_bytes: 512 << 20,
            path_steps: 64 << 20,
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
