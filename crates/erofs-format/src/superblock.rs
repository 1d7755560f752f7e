use zerocopy::little_endian::{U16, U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

/// `EROFS_SUPER_MAGIC_V1`.
pub const SUPER_MAGIC: u32 = 0xE0F5_E1E2;

/// Where the superblock lies, in bytes from the start of the image.
pub const SUPER_OFFSET: u32 = 1024;

/// `struct erofs_super_block`.
#[derive(Clone, Copy, Debug, FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned)]
#[repr(C)]
pub struct SuperBlock {
    /// [`SUPER_MAGIC`].
    pub magic: U32,
    /// The result of `superblock_checksum`, if [`Features::COMPAT_SB_CHKSUM`] is set.
    pub checksum: U32,
    /// Features that a reader may ignore.
    pub feature_compat: U32,
    /// log2 of the block size.
    pub blkszbits: u8,
    /// Length of the superblock beyond 128 bytes, in units of 16 bytes.
    pub sb_extslots: u8,
    /// The root directory's nid.
    pub root_nid: U16,
    /// How many inodes there are.
    pub inos: U64,
    /// The time of every compact inode: seconds since 1970.
    pub epoch: U64,
    /// The nanoseconds of `epoch`.
    pub fixed_nsec: U32,
    /// Length of the primary device in blocks.
    pub blocks: U32,
    /// Where the inodes begin, in blocks.
    pub meta_blkaddr: U32,
    /// Where the shared xattrs begin, in blocks.
    pub xattr_blkaddr: U32,
    /// The volume's identity.
    pub uuid: [u8; 16],
    /// A label.
    pub volume_name: [u8; 16],
    /// Features that a reader must know.
    pub feature_incompat: U32,
    /// Compression algorithms; zero here.
    pub available_compr_algs: U16,
    /// Slots in the device table.
    pub extra_devices: U16,
    /// Where the device table begins, in units of 128 bytes.
    pub devt_slotoff: U16,
    /// log2 of a directory block in blocks; zero.
    pub dirblkbits: u8,
    /// How many long xattr name prefixes there are.
    pub xattr_prefix_count: u8,
    /// Where the long xattr name prefixes begin, in units of 4 bytes. Each is a 16-bit length, then a namespace number and what
    /// follows that namespace's own prefix, then zeros up to a multiple of 4.
    pub xattr_prefix_start: U32,
    /// The inode of packed fragments; zero here.
    pub packed_nid: U64,
    /// Zero.
    pub xattr_filter_reserved: u8,
    /// Zero.
    pub reserved: [u8; 3],
    /// Seconds from `epoch` to when the image was built; zero here.
    pub build_time: U32,
    /// The root's nid with 48-bit addressing; zero here.
    pub rootnid_8b: U64,
    /// Zero.
    pub reserved2: U64,
}

const _: () = assert!(size_of::<SuperBlock>() == 128);

/// The feature bits of a [`SuperBlock`] that are written or understood here.
#[derive(Debug)]
pub struct Features;

impl Features {
    /// `EROFS_FEATURE_COMPAT_SB_CHKSUM`: `checksum` is valid.
    pub const COMPAT_SB_CHKSUM: u32 = 0x1;
    /// `EROFS_FEATURE_COMPAT_MTIME`: inode times are modification times.
    pub const COMPAT_MTIME: u32 = 0x2;
    /// `EROFS_FEATURE_COMPAT_PLAIN_XATTR_PFX`: long prefixes lie on the primary device, not in the packed inode.
    pub const COMPAT_PLAIN_XATTR_PFX: u32 = 0x10;
    /// `EROFS_FEATURE_INCOMPAT_CHUNKED_FILE`: there are chunk-based inodes.
    pub const INCOMPAT_CHUNKED_FILE: u32 = 0x4;
    /// `EROFS_FEATURE_INCOMPAT_DEVICE_TABLE`: there is a device table.
    pub const INCOMPAT_DEVICE_TABLE: u32 = 0x8;
    /// `EROFS_FEATURE_INCOMPAT_XATTR_PREFIXES`: there are long xattr name prefixes.
    pub const INCOMPAT_XATTR_PREFIXES: u32 = 0x40;
}
