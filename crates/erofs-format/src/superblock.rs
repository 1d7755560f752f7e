use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use crate::{Le16, Le32, Le64};

/// `EROFS_SUPER_MAGIC_V1`.
pub const SUPER_MAGIC: u32 = 0xE0F5_E1E2;

/// The offset of the superblock, in bytes from the start of the image.
pub const SUPER_OFFSET: u32 = 1024;

/// `struct erofs_super_block`.
#[derive(Clone, Copy, Debug, FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned)]
#[repr(C)]
pub struct SuperBlock {
    /// [`SUPER_MAGIC`].
    pub magic: Le32,
    /// The result of `superblock_checksum`, if [`Features::COMPAT_SB_CHKSUM`] is set.
    pub checksum: Le32,
    /// Features that a reader may ignore.
    pub feature_compat: Le32,
    /// log2 of the block size.
    pub blkszbits: u8,
    /// Length of the superblock beyond 128 bytes, in units of 16 bytes.
    pub sb_extslots: u8,
    /// The nid of the root directory.
    pub root_nid: Le16,
    /// The number of inodes.
    pub inos: Le64,
    /// The time of every compact inode: seconds since 1970.
    pub epoch: Le64,
    /// The nanoseconds of `epoch`.
    pub fixed_nsec: Le32,
    /// Length of the primary device in blocks.
    pub blocks: Le32,
    /// The first block of the inodes.
    pub meta_blkaddr: Le32,
    /// The first block of the shared xattrs.
    pub xattr_blkaddr: Le32,
    /// The UUID of the volume.
    pub uuid: [u8; 16],
    /// The label of the volume.
    pub volume_name: [u8; 16],
    /// Features that a reader must know.
    pub feature_incompat: Le32,
    /// Compression algorithms; zero here.
    pub available_compr_algs: Le16,
    /// Slots in the device table.
    pub extra_devices: Le16,
    /// The offset of the device table, in units of 128 bytes.
    pub devt_slotoff: Le16,
    /// log2 of the blocks per directory block; zero.
    pub dirblkbits: u8,
    /// The number of long xattr name prefixes.
    pub xattr_prefix_count: u8,
    /// The offset of the long xattr name prefixes, in units of 4 bytes. Each prefix is a 16-bit length, a namespace
    /// number, and the rest of the prefix after that of the namespace, padded with zeros to a multiple of 4.
    pub xattr_prefix_start: Le32,
    /// The inode that holds packed fragments; zero here.
    pub packed_nid: Le64,
    /// Zero.
    pub xattr_filter_reserved: u8,
    /// Zero.
    pub reserved: [u8; 3],
    /// Seconds from `epoch` to the build of the image; zero here.
    pub build_time: Le32,
    /// The nid of the root with 48-bit addressing; zero here.
    pub rootnid_8b: Le64,
    /// Zero.
    pub reserved2: Le64,
}

const _: () = assert!(size_of::<SuperBlock>() == 128);

/// The feature bits of a [`SuperBlock`] that this project writes or understands.
#[derive(Debug)]
pub struct Features;

impl Features {
    /// `EROFS_FEATURE_COMPAT_SB_CHKSUM`: `checksum` is valid.
    pub const COMPAT_SB_CHKSUM: u32 = 0x1;
    /// `EROFS_FEATURE_COMPAT_MTIME`: inode times are modification times.
    pub const COMPAT_MTIME: u32 = 0x2;
    /// `EROFS_FEATURE_COMPAT_PLAIN_XATTR_PFX`: long prefixes are on the primary device, not in the packed inode.
    pub const COMPAT_PLAIN_XATTR_PFX: u32 = 0x10;
    /// `EROFS_FEATURE_INCOMPAT_CHUNKED_FILE`: the image has chunk-based inodes.
    pub const INCOMPAT_CHUNKED_FILE: u32 = 0x4;
    /// `EROFS_FEATURE_INCOMPAT_DEVICE_TABLE`: the image has a device table.
    pub const INCOMPAT_DEVICE_TABLE: u32 = 0x8;
    /// `EROFS_FEATURE_INCOMPAT_XATTR_PREFIXES`: the image has long xattr name prefixes.
    pub const INCOMPAT_XATTR_PREFIXES: u32 = 0x40;
}
