use std::io::{Seek, Write};

use erofs_format::{
    ChunkFormat, ChunkIndex, HOLE, InodeCompact, InodeExtended, InodeFormat, xattr_icount,
};
use fs_tree::{InodeId, Tree};
use zerocopy::IntoBytes;

use crate::output::Output;
use crate::plan::InodePlan;
use crate::{Error, InodeProblem};

/// `startblk` of an inode without blocks: an empty file, inline data, a fifo.
pub(super) const NO_BLOCK: u32 = HOLE;

/// Returns `i_u` of a chunk-based inode.
pub(super) fn chunk_info(blkbits: u8) -> u32 {
    u32::from(ChunkFormat::with_indexes(blkbits).0)
}

/// Writes an inode in its compact or extended form.
pub(super) fn write<W: Write + Seek>(
    output: &mut Output<W>,
    tree: &Tree,
    inode: InodeId,
    form: &InodePlan,
    i_u: u32,
    number: u32,
) -> Result<(), Error> {
    let metadata = &tree.inode(inode).metadata;
    let i_format = InodeFormat::new(form.extended, form.layout()).0.into();
    let i_xattr_icount = xattr_icount(form.xattr_bytes)
        .ok_or_else(|| {
            let bytes = form.xattr_bytes;
            InodeProblem::XattrsTooLarge { bytes }.of(tree, inode)
        })?
        .into();
    let i_mode = (form.file_type.mode_bits() | metadata.mode & 0o7777).into();
    if form.extended {
        output.write(
            InodeExtended {
                i_format,
                i_xattr_icount,
                i_mode,
                i_nb: 0.into(),
                i_size: form.size.into(),
                i_u: i_u.into(),
                i_ino: number.into(),
                i_uid: metadata.uid.into(),
                i_gid: metadata.gid.into(),
                i_mtime: form.mtime.secs.cast_unsigned().into(),
                i_mtime_nsec: form.mtime.nanos.into(),
                i_nlink: form.nlink.into(),
                i_reserved: [0; 16],
            }
            .as_bytes(),
        )
    } else {
        // OK because the plan chose the compact form for numbers that fit.
        let fit16 = |number: u32| u16::try_from(number).unwrap_or(u16::MAX);
        output.write(
            InodeCompact {
                i_format,
                i_xattr_icount,
                i_mode,
                i_nlink: fit16(form.nlink).into(),
                i_size: u32::try_from(form.size).unwrap_or(u32::MAX).into(),
                i_mtime: 0.into(),
                i_u: i_u.into(),
                i_ino: number.into(),
                i_uid: fit16(metadata.uid).into(),
                i_gid: fit16(metadata.gid).into(),
                i_reserved: 0.into(),
            }
            .as_bytes(),
        )
    }
}

pub(super) fn write_chunks<W: Write + Seek>(
    output: &mut Output<W>,
    indexes: impl Iterator<Item = ChunkIndex>,
) -> Result<(), Error> {
    for index in indexes {
        output.write(index.as_bytes())?;
    }
    Ok(())
}
