use std::ops::Range;

use erofs_format::{
    BLOCK_BITS, BLOCK_SIZE, DeviceSlot, Features, SUPER_MAGIC, SUPER_OFFSET, SuperBlock,
    superblock_checksum,
};
use zerocopy::FromBytes;

use crate::{Error, ReadAt, SuperProblem};

/// Features of compressed images. Images with uncompressed files may have them too (mkfs.erofs always sets the first
/// one), so only reading compressed data is an error.
mod compressed {
    /// `EROFS_FEATURE_INCOMPAT_ZERO_PADDING`
    const ZERO_PADDING: u32 = 0x1;
    /// `EROFS_FEATURE_INCOMPAT_COMPR_CFGS`, also `_BIG_PCLUSTER`
    const COMPR_CFGS: u32 = 0x2;
    /// `EROFS_FEATURE_INCOMPAT_ZTAILPACKING`
    const ZTAILPACKING: u32 = 0x10;
    /// `EROFS_FEATURE_INCOMPAT_FRAGMENTS`, also `_DEDUPE`
    pub(super) const FRAGMENTS: u32 = 0x20;

    pub(super) const ALL: u32 = ZERO_PADDING | COMPR_CFGS | ZTAILPACKING | FRAGMENTS;
}

const KNOWN: u32 = compressed::ALL
    | Features::INCOMPAT_CHUNKED_FILE
    | Features::INCOMPAT_DEVICE_TABLE
    | Features::INCOMPAT_XATTR_PREFIXES;

/// Reads and validates the superblock of a device of `len` bytes (kernel: `erofs_read_superblock`).
pub(crate) fn read(primary: &impl ReadAt, len: u64) -> Result<SuperBlock, Error> {
    let fail = |problem| Err(Error::Super { problem });
    let mut block = [0; BLOCK_SIZE as usize];
    if len < u64::from(BLOCK_SIZE) {
        return fail(SuperProblem::TooShort {
            expected: BLOCK_SIZE.into(),
            actual: len,
        });
    }
    primary
        .read_exact_at(&mut block, 0)
        .map_err(|source| Error::Io {
            device_id: 0,
            offset: 0,
            len: block.len(),
            source,
        })?;
    let (sb, _) = SuperBlock::read_from_prefix(&block[SUPER_OFFSET as usize..])
        .expect("a block has room for a superblock at byte 1024");

    if sb.magic != SUPER_MAGIC {
        return fail(SuperProblem::Magic {
            expected: SUPER_MAGIC,
            actual: sb.magic.get(),
        });
    }
    if sb.blkszbits != BLOCK_BITS {
        return fail(SuperProblem::BlockBits {
            expected: BLOCK_BITS,
            actual: sb.blkszbits,
        });
    }
    if sb.feature_compat.get() & Features::COMPAT_SB_CHKSUM != 0 {
        let expected = superblock_checksum(&block).get();
        if sb.checksum != expected {
            return fail(SuperProblem::Checksum {
                expected,
                actual: sb.checksum.get(),
            });
        }
    }
    let bits = sb.feature_incompat.get() & !KNOWN;
    if bits != 0 {
        return fail(SuperProblem::Features { bits });
    }
    if sb.dirblkbits != 0 {
        return fail(SuperProblem::DirBlockBits {
            actual: sb.dirblkbits,
        });
    }
    let (room, size) = (u64::from(BLOCK_SIZE - SUPER_OFFSET), super_bytes(&sb));
    if size > room {
        return fail(SuperProblem::Size {
            expected: room,
            actual: size,
        });
    }
    let expected = primary_bytes(&sb);
    if expected > len || expected < u64::from(BLOCK_SIZE) {
        return fail(SuperProblem::Truncated {
            expected: expected.max(BLOCK_SIZE.into()),
            actual: len.min(expected),
        });
    }
    Ok(sb)
}

/// Returns the length of the primary device in bytes.
pub(crate) fn primary_bytes(sb: &SuperBlock) -> u64 {
    u64::from(sb.blocks.get()) * u64::from(BLOCK_SIZE)
}

/// Returns the number of slots of the device table. The bit of the feature also stands for a form of compression.
pub(crate) fn extra_devices(sb: &SuperBlock) -> u16 {
    if sb.feature_incompat.get() & Features::INCOMPAT_DEVICE_TABLE != 0 {
        sb.extra_devices.get()
    } else {
        0
    }
}

/// Returns the length of the superblock with its extension slots.
fn super_bytes(sb: &SuperBlock) -> u64 {
    size_of::<SuperBlock>() as u64 + u64::from(sb.sb_extslots) * 16
}

/// Returns the byte ranges of the superblock and the device table.
pub(crate) fn reserved(sb: &SuperBlock) -> (Range<u64>, Range<u64>) {
    const SLOT: u64 = size_of::<DeviceSlot>() as u64;
    let start = u64::from(SUPER_OFFSET);
    let table = u64::from(sb.devt_slotoff.get()) * SLOT;
    (
        start..start + super_bytes(sb),
        table..table + u64::from(extra_devices(sb)) * SLOT,
    )
}

/// Returns whether the image has long xattr prefixes.
pub(crate) fn has_xattr_prefixes(sb: &SuperBlock) -> bool {
    sb.feature_incompat.get() & Features::INCOMPAT_XATTR_PREFIXES != 0 && sb.xattr_prefix_count != 0
}

/// Returns the nid of the inode that holds the long xattr prefixes, unless they are on the primary device itself.
pub(crate) fn packed_prefixes(sb: &SuperBlock) -> Option<u64> {
    let packed = sb.feature_incompat.get() & compressed::FRAGMENTS != 0
        && sb.packed_nid != 0
        && sb.feature_compat.get() & Features::COMPAT_PLAIN_XATTR_PFX == 0;
    packed.then(|| sb.packed_nid.get())
}
