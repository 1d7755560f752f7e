//! Limits on what one item of a sidecar may hold.
//!
//! The reader refuses what exceeds them before it allocates, whatever the length of the file: a file of some blocks can be
//! gigabytes long. The writer refuses to write it. All of them lie above what `msb-layer` lets an archive have.

/// The length of a path in bytes.
pub(crate) const MAX_PATH_BYTES: usize = 1 << 16;

/// The number of xattrs of one record.
pub(crate) const MAX_XATTRS: u64 = 1 << 16;

/// The number of extents of one record.
pub(crate) const MAX_EXTENTS: u64 = 1 << 20;

/// The length of one record in bytes: the largest number of extents, with room for everything else.
pub(crate) const MAX_RECORD_BYTES: u64 = 40 << 20;

/// The length of the notes in bytes, as JSON.
pub(crate) const MAX_NOTES_BYTES: u64 = 8 << 20;
