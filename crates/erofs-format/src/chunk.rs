use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use crate::{BLOCK_BITS, Le16, Le32};

/// The block address that means "no block": a hole in a chunk index, `startblk` of an empty file.
pub const HOLE: u32 = u32::MAX;

/// `struct erofs_inode_chunk_index`: the address of one chunk of a file.
#[derive(
    Clone, Copy, Debug, FromBytes, Immutable, IntoBytes, KnownLayout, PartialEq, Eq, Unaligned,
)]
#[repr(C)]
pub struct ChunkIndex {
    /// The upper bits of the address with 48-bit addressing; zero here.
    pub startblk_hi: Le16,
    /// The device: 0 is the primary, n is the n-th slot of the device table.
    pub device_id: Le16,
    /// The block on that device, or [`HOLE`].
    pub startblk_lo: Le32,
}

const _: () = assert!(size_of::<ChunkIndex>() == 8);

/// `struct erofs_inode_chunk_info.format`: the chunk size and the form of the chunk addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChunkFormat(pub u16);

impl ChunkFormat {
    /// Bits 0 to 4: the chunk's size as a power of two, in blocks.
    const BLKBITS_MASK: u16 = 0x1f;
    /// Addresses are 8-byte [`ChunkIndex`]es, not bare 4-byte block numbers.
    const INDEXES: u16 = 0x20;
    /// Addresses have 48 bits.
    const BITS_48: u16 = 0x40;

    /// The largest `blkbits`: chunks of 8 TiB.
    pub const MAX_BLKBITS: u8 = 31;

    /// Creates the format for chunks of `2^blkbits` blocks, addressed by indexes. `blkbits` above [`Self::MAX_BLKBITS`]
    /// is reduced to it.
    #[must_use]
    pub fn with_indexes(blkbits: u8) -> Self {
        Self(Self::INDEXES | u16::from(blkbits.min(Self::MAX_BLKBITS)))
    }

    /// Returns log2 of the chunk size in bytes.
    #[must_use]
    pub fn chunk_bits(self) -> u8 {
        // OK because the mask leaves five bits.
        BLOCK_BITS + self.0.to_le_bytes()[0] % 32
    }

    /// Returns whether addresses are [`ChunkIndex`]es. Otherwise they are 4-byte block numbers on the primary device.
    #[must_use]
    pub fn has_indexes(self) -> bool {
        self.0 & Self::INDEXES != 0
    }

    /// Returns whether the format has bits that this crate does not know.
    #[must_use]
    pub fn is_unknown(self) -> bool {
        self.0 & !(Self::BLKBITS_MASK | Self::INDEXES) != 0 || self.0 & Self::BITS_48 != 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn format_round_trips() {
        let format = ChunkFormat::with_indexes(7);
        assert_eq!(format.chunk_bits(), 19);
        assert!(format.has_indexes() && !format.is_unknown());
        assert!(ChunkFormat(0x40).is_unknown() && ChunkFormat(0x80).is_unknown());
    }
}
