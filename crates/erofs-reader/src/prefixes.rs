/// The longest full name of an xattr: the kernel's `XATTR_NAME_MAX`.
pub(crate) const NAME_MAX: usize = 255;

/// The long xattr name prefixes of an image, as full prefixes. `e_name_index` with its top bit set is an index into
/// them.
#[derive(Debug)]
pub(crate) enum Prefixes {
    Known(Vec<Vec<u8>>),
    /// Stored in a packed inode with compressed data.
    Compressed,
}

impl Default for Prefixes {
    fn default() -> Self {
        Self::Known(Vec::new())
    }
}
