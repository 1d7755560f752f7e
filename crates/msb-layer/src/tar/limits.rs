/// Limits on an archive. The defaults are far above what real images need.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of one PAX header, local or global, and of all global headers together.
    pub pax_bytes: u64,
    /// Bytes of one GNU long name or long link target.
    pub long_name_bytes: u64,
    /// Bytes of all xattr names and values of one entry.
    pub xattr_bytes: u64,
    /// Bytes of all xattr names of one entry, each with a NUL: the longest list that Linux returns (`XATTR_LIST_MAX`).
    pub xattr_name_bytes: u64,
    /// Bytes of a symlink's target: Linux accepts at most 4095.
    pub symlink_bytes: u64,
    /// Extents of one sparse file, including empty ones.
    pub sparse_extents: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            pax_bytes: 1 << 20,
            long_name_bytes: 1 << 16,
            xattr_bytes: 1 << 18,
            xattr_name_bytes: 1 << 16,
            symlink_bytes: 4095,
            sparse_extents: 1 << 20,
        }
    }
}
