use erofs_format::Crc32c;
use zerocopy::little_endian::{U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

/// The version of sidecars, of the layer images beside them and of the disks that are built from them.
pub const VERSION: u32 = cache_format::ARTIFACTS;

pub(crate) const MAGIC: [u8; 8] = *b"MSBLAYER";

/// The length and the checksum of the layer image beside a sidecar.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ImageSummary {
    /// Its length in bytes.
    pub bytes: u64,
    /// The checksum of all its bytes, in the EROFS form of CRC32-C.
    pub crc32c: u32,
}

/// The last bytes of a sidecar.
#[derive(Clone, Copy, Debug, FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned)]
#[repr(C)]
pub(crate) struct Trailer {
    pub(crate) records: SectionSpan,
    pub(crate) whiteouts: SectionSpan,
    pub(crate) notes: SectionSpan,
    pub(crate) image_bytes: U64,
    pub(crate) image_crc32c: U32,
    pub(crate) reserved: [u8; 16],
    /// The checksum of the trailer before this field.
    pub(crate) crc32c: U32,
    pub(crate) version: U32,
    pub(crate) magic: [u8; 8],
}

/// The length, number of items and checksum of a section. Sections follow each other from the start of the file.
#[derive(Clone, Copy, Debug, Default, FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned)]
#[repr(C)]
pub(crate) struct SectionSpan {
    pub(crate) bytes: U64,
    pub(crate) items: U64,
    pub(crate) crc32c: U32,
}

const _: () = assert!(size_of::<Trailer>() == 104);

impl Trailer {
    pub(crate) fn checksum(&self) -> Crc32c {
        let covered = size_of::<Self>() - 16;
        Crc32c::of(&self.as_bytes()[..covered])
    }
}
