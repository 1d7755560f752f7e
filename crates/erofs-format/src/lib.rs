//! On-disk structures of the [EROFS] file system, named as in the Linux kernel.
//!
//! The structs have the layout of `fs/erofs/erofs_fs.h` byte for byte; their sizes are asserted at compile time. The
//! crate does no I/O: `erofs-writer` builds images from these types, `erofs-reader` validates them.
//!
//! ```text
//!  byte 0        1024              block 1 ...            meta_blkaddr ...
//!  +-------------+-----------------+----------------------+----------------------------------------+
//!  | unused      | SuperBlock, 128 | file data            | inodes, 32-byte slots; slot 0 is nid 0 |
//!  +-------------+-----------------+----------------------+----------------------------------------+
//! ```
//!
//! # Untrusted input
//!
//! Every bit pattern is a valid value of every struct. No method panics or allocates.
//!
//! # Example
//!
//! ```
//! use erofs_format::{SuperBlock, SUPER_MAGIC};
//! use zerocopy::{FromBytes, FromZeros, IntoBytes};
//!
//! let mut sb = SuperBlock::new_zeroed();
//! sb.magic = SUPER_MAGIC.into();
//! let (again, _) = SuperBlock::ref_from_prefix(sb.as_bytes()).unwrap();
//! assert_eq!(again.magic.get(), 0xE0F5_E1E2);
//! ```
//!
//! [EROFS]: https://docs.kernel.org/filesystems/erofs.html

#![warn(clippy::must_use_candidate)]

mod checksum;
mod chunk;
mod device;
mod dirent;
mod endian;
mod feature;
mod inode;
mod rdev;
mod superblock;
mod xattr;

pub use checksum::{Crc32c, superblock_checksum};
pub use chunk::{ChunkFormat, ChunkIndex, HOLE};
pub use device::{DeviceSlot, MAX_EXTRA_DEVICES};
pub use dirent::{Dirent, FileType, NAME_MAX};
pub use endian::{Le16, Le32, Le64};
pub use feature::{Feature, KernelVersion};
pub use inode::{DataLayout, InodeCompact, InodeExtended, InodeFormat, MODE_TYPE_MASK, mode};
pub use rdev::{decode_rdev, encode_rdev};
pub use superblock::{Features, SUPER_MAGIC, SUPER_OFFSET, SuperBlock};
pub use xattr::{
    XATTR_ENTRY_ALIGN, XATTR_LONG_PREFIX, XATTR_LONG_PREFIXES_MAX, XattrEntry, XattrIbodyHeader,
    XattrNamespace, xattr_ibody_size, xattr_icount,
};

/// The only supported block size, in bytes: the page size of most Linux systems.
pub const BLOCK_SIZE: u32 = 4096;

/// `blkszbits` for [`BLOCK_SIZE`].
pub const BLOCK_BITS: u8 = 12;

/// The size of an inode slot in bytes. A `nid` counts slots from the start of the metadata area.
pub const SLOT_SIZE: u32 = 32;
