//! The structs of a table on disk, little-endian.

use zerocopy::byteorder::{LittleEndian, U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

/// The magic number of the skippable frame that holds a table.
pub(crate) const SKIPPABLE_MAGIC: u32 = 0x184D_2A5C;

/// `MSBR`, in the header and in the footer.
pub(crate) const MAGIC: [u8; 4] = *b"MSBR";

pub(crate) const VERSION: u32 = 1;

/// The length of a frame at most, in bytes: far above that of an incompressible range.
pub(crate) const MAX_FRAME_BYTES: u32 = 8 << 20;

/// The length of a table at most, in bytes: for files of 1.8 TB.
pub(crate) const MAX_TABLE_BYTES: u64 = 16 << 20;

/// The header of the skippable frame and that of the table.
#[derive(Debug, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub(crate) struct Header {
    pub(crate) skippable_magic: U32<LittleEndian>,
    /// The bytes of the frame after this field.
    pub(crate) payload_bytes: U32<LittleEndian>,
    pub(crate) magic: [u8; 4],
    pub(crate) version: U32<LittleEndian>,
    pub(crate) content_bytes: U64<LittleEndian>,
    pub(crate) range_bytes: U32<LittleEndian>,
    pub(crate) count: U32<LittleEndian>,
}

#[derive(Debug, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub(crate) struct Entry {
    /// The length of the frame.
    pub(crate) bytes: U32<LittleEndian>,
    /// The SHA-256 digest of the frame.
    pub(crate) sha256: [u8; 32],
}

#[derive(Debug, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub(crate) struct Footer {
    /// The length of the whole skippable frame.
    pub(crate) table_bytes: U32<LittleEndian>,
    pub(crate) magic: [u8; 4],
}

pub(crate) const HEADER_BYTES: usize = size_of::<Header>();
pub(crate) const ENTRY_BYTES: usize = size_of::<Entry>();
pub(crate) const FOOTER_BYTES: usize = size_of::<Footer>();

/// The bytes of a skippable frame before its payload.
pub(crate) const FRAME_HEADER_BYTES: u64 = 8;

const _: () = assert!(HEADER_BYTES == 32 && ENTRY_BYTES == 36 && FOOTER_BYTES == 8);
