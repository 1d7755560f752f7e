/// The longest full name of an xattr: the kernel's `XATTR_NAME_MAX`.
pub(crate) const NAME_MAX: usize = 255;

/// The long name prefixes of an image, whole: what `e_name_index` with its top bit set stands for.
#[derive(Debug)]
pub(crate) enum Prefixes {
    Known(Vec<Vec<u8>>),
    /// They lie in a packed inode whose data are compressed.
    Compressed,
}

impl Default for Prefixes {
    fn default() -> Self {
        Self::Known(Vec::new())
    }
}
