use crate::{decode, tar};

/// Limits on one layer. The defaults are far above what real images need; each limit is named in its error. The layers of one
/// image also share a [budget](msb_budget::ImageBudget).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct LayerLimits {
    /// Entries of the archive, and names in the layer's tree, where a long path may imply many directories.
    pub entries: u64,
    /// Bytes of all paths, link targets, xattrs and sparse maps of all entries, counted for each entry.
    pub metadata_bytes: u64,
    /// Path components walked while the entries are applied; see [`msb_budget::ImageLimits::path_steps`].
    pub path_steps: u64,
    /// Uncompressed bytes of the archive.
    pub uncompressed_bytes: u64,
    /// Logical bytes of one file, including holes.
    pub file_bytes: u64,
    /// Bytes that sparse files take beyond their data: zeros around it, and chunk indexes. A few bytes of an archive can
    /// describe any number of holes.
    pub sparse_bytes: u64,
    /// Bytes of file data in the layer image. Its metadata counts only for [`msb_budget::ImageLimits::disk_bytes`].
    pub image_bytes: u64,
    /// Limits on one tar entry.
    pub tar: tar::Limits,
    /// Limits on paths.
    pub path: tar::path::PathLimits,
    /// Limits on the compressed stream.
    pub decode: decode::Limits,
}

impl Default for LayerLimits {
    fn default() -> Self {
        Self {
            entries: 8 << 20,
            metadata_bytes: 512 << 20,
            path_steps: 64 << 20,
            uncompressed_bytes: 256 << 30,
            file_bytes: 8 << 40,
            sparse_bytes: 1 << 30,
            image_bytes: 512 << 30,
            tar: tar::Limits::default(),
            // A whiteout's name is four bytes longer than the name that it hides.
            path: tar::path::PathLimits {
                component_bytes: 255 + 4,
                ..tar::path::PathLimits::default()
            },
            decode: decode::Limits::default(),
        }
    }
}
