use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use crate::{Le16, Le32, Le64};

/// The file type's bits in `i_mode`.
pub const MODE_TYPE_MASK: u16 = 0o170_000;

/// The `S_IF*` values of `i_mode`.
pub mod mode {
    /// `S_IFIFO`
    pub const FIFO: u16 = 0o010_000;
    /// `S_IFCHR`
    pub const CHAR_DEVICE: u16 = 0o020_000;
    /// `S_IFDIR`
    pub const DIRECTORY: u16 = 0o040_000;
    /// `S_IFBLK`
    pub const BLOCK_DEVICE: u16 = 0o060_000;
    /// `S_IFREG`
    pub const REGULAR: u16 = 0o100_000;
    /// `S_IFLNK`
    pub const SYMLINK: u16 = 0o120_000;
    /// `S_IFSOCK`
    pub const SOCKET: u16 = 0o140_000;
}

/// `struct erofs_inode_compact`: 32 bytes, for inodes with small numbers whose time is `epoch` of the superblock.
#[derive(Clone, Copy, Debug, FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned)]
#[repr(C)]
pub struct InodeCompact {
    /// An [`InodeFormat`].
    pub i_format: Le16,
    /// See [`crate::xattr_icount`].
    pub i_xattr_icount: Le16,
    /// Type and permissions, as in `stat(2)`.
    pub i_mode: Le16,
    /// Link count.
    pub i_nlink: Le16,
    /// Length in bytes.
    pub i_size: Le32,
    /// Zero: the time is `epoch` of the superblock.
    pub i_mtime: Le32,
    /// `startblk`, a device number, or a [`crate::ChunkFormat`], depending on the data layout.
    pub i_u: Le32,
    /// The inode number of 32-bit `stat(2)`; the kernel uses the nid.
    pub i_ino: Le32,
    /// Owner.
    pub i_uid: Le16,
    /// Group.
    pub i_gid: Le16,
    /// Zero.
    pub i_reserved: Le32,
}

const _: () = assert!(size_of::<InodeCompact>() == 32);

/// `struct erofs_inode_extended`: 64 bytes, for every inode.
#[derive(Clone, Copy, Debug, FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned)]
#[repr(C)]
pub struct InodeExtended {
    /// An [`InodeFormat`].
    pub i_format: Le16,
    /// See [`crate::xattr_icount`].
    pub i_xattr_icount: Le16,
    /// Type and permissions, as in `stat(2)`.
    pub i_mode: Le16,
    /// Upper bits of addresses with 48-bit addressing; zero here.
    pub i_nb: Le16,
    /// Length in bytes.
    pub i_size: Le64,
    /// `startblk`, a device number, or a [`crate::ChunkFormat`], depending on the data layout.
    pub i_u: Le32,
    /// The inode number of 32-bit `stat(2)`; the kernel uses the nid.
    pub i_ino: Le32,
    /// Owner.
    pub i_uid: Le32,
    /// Group.
    pub i_gid: Le32,
    /// Seconds since 1970, two's complement.
    pub i_mtime: Le64,
    /// Nanoseconds, below 10^9.
    pub i_mtime_nsec: Le32,
    /// Link count.
    pub i_nlink: Le32,
    /// Zero.
    pub i_reserved: [u8; 16],
}

const _: () = assert!(size_of::<InodeExtended>() == 64);

/// The form in which the data of an inode is stored (`EROFS_INODE_*`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DataLayout {
    /// Consecutive blocks from `startblk`.
    FlatPlain,
    /// Consecutive blocks from `startblk`; the last, partial block is stored after the inode.
    FlatInline,
    /// An array of chunk addresses after the inode.
    ChunkBased,
    /// Compressed, in one of two forms. This project neither writes nor reads them.
    Compressed,
}

/// `i_format`: bit 0 is the version of the inode, bits 1 to 3 are its data layout.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InodeFormat(pub u16);

impl InodeFormat {
    /// Creates the format of an inode. `Compressed` becomes the compact-index form.
    #[must_use]
    pub const fn new(extended: bool, layout: DataLayout) -> Self {
        let layout = match layout {
            DataLayout::FlatPlain => 0,
            DataLayout::FlatInline => 2,
            DataLayout::Compressed => 3,
            DataLayout::ChunkBased => 4,
        };
        Self((layout << 1) | extended as u16)
    }

    /// Returns whether the inode is 64 bytes long and not 32.
    #[must_use]
    pub const fn is_extended(self) -> bool {
        self.0 & 1 != 0
    }

    /// Returns the data layout; `None` for an unknown layout or unknown bits.
    #[must_use]
    pub const fn layout(self) -> Option<DataLayout> {
        match self.0 >> 1 {
            0 => Some(DataLayout::FlatPlain),
            1 | 3 => Some(DataLayout::Compressed),
            2 => Some(DataLayout::FlatInline),
            4 => Some(DataLayout::ChunkBased),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn inode_format_round_trips() {
        for extended in [false, true] {
            for layout in [
                DataLayout::FlatPlain,
                DataLayout::FlatInline,
                DataLayout::ChunkBased,
            ] {
                let format = InodeFormat::new(extended, layout);
                assert_eq!(
                    (format.is_extended(), format.layout()),
                    (extended, Some(layout))
                );
            }
        }
        assert_eq!(InodeFormat(0xfff0).layout(), None);
    }
}
