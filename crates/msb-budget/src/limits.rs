use std::fmt;

/// Limits on one image, over all of its layers and their merge. The defaults are far above what real images need.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ImageLimits {
    /// Bytes of memory for the file trees of the layers in progress and of their merge, and for the plans of their metadata.
    /// Buffers of fixed size are not counted.
    pub memory_bytes: u64,
    /// Entries of all archives.
    pub entries: u64,
    /// Names in the merged tree.
    pub tree_entries: u64,
    /// Path components walked while entries are applied. Bounds processor time: a few bytes of an archive can name a path of
    /// thousands of components through symbolic links.
    pub path_steps: u64,
    /// Uncompressed bytes of all archives.
    pub uncompressed_bytes: u64,
    /// Bytes of layer images, sidecars and merged metadata on disk. Blocks of zeros take none.
    pub disk_bytes: u64,
}

impl Default for ImageLimits {
    fn default() -> Self {
        Self {
            memory_bytes: 1 << 30,
            entries: 16 << 20,
            tree_entries: 8 << 20,
            path_steps: 256 << 20,
            uncompressed_bytes: 1 << 40,
            disk_bytes: 1 << 40,
        }
    }
}

impl ImageLimits {
    pub(crate) fn allowed(&self, limit: ImageLimit) -> u64 {
        match limit {
            ImageLimit::MemoryBytes => self.memory_bytes,
            ImageLimit::Entries => self.entries,
            ImageLimit::TreeEntries => self.tree_entries,
            ImageLimit::PathSteps => self.path_steps,
            ImageLimit::UncompressedBytes => self.uncompressed_bytes,
            ImageLimit::DiskBytes => self.disk_bytes,
        }
    }
}

/// Names a limit of [`ImageLimits`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ImageLimit {
    /// [`ImageLimits::memory_bytes`]
    MemoryBytes,
    /// [`ImageLimits::entries`]
    Entries,
    /// [`ImageLimits::tree_entries`]
    TreeEntries,
    /// [`ImageLimits::path_steps`]
    PathSteps,
    /// [`ImageLimits::uncompressed_bytes`]
    UncompressedBytes,
    /// [`ImageLimits::disk_bytes`]
    DiskBytes,
}

impl ImageLimit {
    pub(crate) const COUNT: usize = 6;

    /// Returns whether accounts of successful work return this limit too.
    pub(crate) fn is_transient(self) -> bool {
        matches!(self, Self::MemoryBytes)
    }

    /// Returns the amount that an account may charge ahead, so that the shared counter is rarely updated.
    pub(crate) fn ahead(self) -> u64 {
        match self {
            Self::MemoryBytes => 256 << 10,
            Self::Entries | Self::TreeEntries => 1 << 10,
            Self::PathSteps => 64 << 10,
            Self::UncompressedBytes | Self::DiskBytes => 4 << 20,
        }
    }
}

impl fmt::Display for ImageLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::MemoryBytes => "bytes of memory for the image's file trees",
            Self::Entries => "entries of all layers of the image",
            Self::TreeEntries => "names in the image's merged file tree",
            Self::PathSteps => "path components walked for the image",
            Self::UncompressedBytes => "uncompressed bytes of all layers of the image",
            Self::DiskBytes => "bytes on disk of the image's layers and metadata",
        })
    }
}
