//! Limits on the items of a sidecar.
//!
//! The reader refuses an item that exceeds them before it allocates memory, whatever the length of the file: a file of a few blocks
//! can be gigabytes long. The writer refuses to write such an item. All of them lie above what `msb-layer` accepts from an archive.

/// The length of a path in bytes.
pub(crate) const MAX_PATH_BYTES: usize = 1 << 16;

/// The number of xattrs of one record.
pub(crate) const MAX_XATTRS: u64 = 1 << 16;

/// The bytes of xattr sets that a reader remembers. The writer forgets them at the same record.
pub(crate) const MAX_KEPT_XATTR_BYTES: usize = 4 << 20;

/// The number of extents of one record.
pub(crate) const MAX_EXTENTS: u64 = 1 << 20;

/// The length of one record in bytes: the largest number of extents, with room for everything else.
pub(crate) const MAX_RECORD_BYTES: u64 = 40 << 20;

/// The length of the notes in bytes, as JSON.
pub(crate) const MAX_NOTES_BYTES: u64 = 8 << 20;
