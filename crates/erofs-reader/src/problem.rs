use std::fmt;

use erofs_format::{Feature, FileType};

/// What is wrong with a superblock or a device table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SuperProblem {
    /// The image is too short to hold a superblock.
    #[error("image has {actual} bytes, expected at least {expected}")]
    TooShort {
        /// One block.
        expected: u64,
        /// The image's length.
        actual: u64,
    },
    /// Not an EROFS image.
    #[error("magic is {actual:#010x}, expected {expected:#010x}")]
    Magic {
        /// The magic number of EROFS.
        expected: u32,
        /// What is there.
        actual: u32,
    },
    /// The checksum does not match.
    #[error("checksum is {actual:#010x}, expected {expected:#010x}")]
    Checksum {
        /// The sum over the bytes that are there.
        expected: u32,
        /// What the superblock says.
        actual: u32,
    },
    /// A block size that is not read here.
    #[error("blocks of 2^{actual} bytes are not supported, expected 2^{expected}")]
    BlockBits {
        /// 12.
        expected: u8,
        /// `blkszbits`.
        actual: u8,
    },
    /// Directory blocks of another size than blocks.
    #[error("directory blocks of 2^{actual} blocks are not supported")]
    DirBlockBits {
        /// `dirblkbits`.
        actual: u8,
    },
    /// Incompatible features that are not read here.
    #[error("features that are not supported: {}", Names(*bits))]
    Features {
        /// Their bits of `feature_incompat` alone.
        bits: u32,
    },
    /// The superblock's own length leaves block 0.
    #[error("superblock of {actual} bytes is longer than {expected}")]
    Size {
        /// The room in block 0.
        expected: u64,
        /// 128 bytes and the extension slots.
        actual: u64,
    },
    /// The image is shorter than the superblock says.
    #[error("primary device has {actual} bytes, expected {expected}")]
    Truncated {
        /// `blocks` in bytes.
        expected: u64,
        /// The image's length.
        actual: u64,
    },
    /// The device table leaves the primary device.
    #[error("device table at byte {offset} of {len} bytes leaves the primary device")]
    DeviceTable {
        /// Where it begins.
        offset: u64,
        /// How long it is.
        len: u64,
    },
    /// Another number of devices was given than the table has.
    #[error("{actual} extra devices were given, the device table has {expected}")]
    DeviceCount {
        /// Slots in the table.
        expected: usize,
        /// Devices given.
        actual: usize,
    },
    /// A slot's numbers use 48 bits.
    #[error("device {device_id} has a 48-bit address, which is not supported")]
    Device48Bit {
        /// The device, from 1.
        device_id: u16,
    },
    /// A device lies over the primary or over another one.
    #[error("device {device_id} begins at block {uniaddr}, before the previous one ends at {end}")]
    DeviceOverlap {
        /// The device, from 1.
        device_id: u16,
        /// Where it begins on the flat disk, in blocks.
        uniaddr: u32,
        /// Where what lies before it ends, in blocks.
        end: u64,
    },
    /// A device is shorter than its slot says.
    #[error("device {device_id} has {actual} bytes, expected {expected}")]
    DeviceTruncated {
        /// The device, from 1.
        device_id: u16,
        /// The slot's blocks in bytes.
        expected: u64,
        /// Bytes that are there.
        actual: u64,
    },
    /// A long xattr prefix is malformed.
    #[error("long xattr prefix {index} is malformed")]
    XattrPrefix {
        /// Which one, from 0.
        index: u8,
    },
}

impl SuperProblem {
    pub(crate) fn is_unsupported(self) -> bool {
        matches!(
            self,
            Self::BlockBits { .. }
                | Self::DirBlockBits { .. }
                | Self::Features { .. }
                | Self::Device48Bit { .. }
        )
    }
}

/// What is wrong with an inode.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InodeProblem {
    /// It leaves the primary device.
    #[error("leaves the primary device of {primary_bytes} bytes")]
    OutOfBounds {
        /// The primary's length.
        primary_bytes: u64,
    },
    /// `i_format` has unknown bits or an unknown layout.
    #[error("unknown format {i_format:#06x}")]
    Format {
        /// As on disk.
        i_format: u16,
    },
    /// `i_mode` has no file type.
    #[error("mode {i_mode:#o} has no known type")]
    Mode {
        /// As on disk.
        i_mode: u16,
    },
    /// The size does not fit 63 bits.
    #[error("size {size} is too large")]
    Size {
        /// As on disk.
        size: u64,
    },
    /// Nanoseconds of a second or more.
    #[error("{nanos} nanoseconds are a second or more")]
    Nanos {
        /// As on disk.
        nanos: u32,
    },
    /// A xattr body with no room for an entry.
    #[error("xattr body of {size} bytes holds nothing")]
    XattrBody {
        /// 12.
        size: u64,
    },
    /// The data are compressed, which is not read here.
    #[error("compressed data are not supported; the image has {}", Names(*feature_incompat))]
    Compressed {
        /// The image's features, of which some tell the kind of compression.
        feature_incompat: u32,
    },
    /// A chunk format with unknown bits.
    #[error("unknown chunk format {format:#06x}")]
    ChunkFormat {
        /// As on disk.
        format: u16,
    },
    /// The chunk addresses leave the primary device.
    #[error("{count} chunk addresses leave the primary device of {primary_bytes} bytes")]
    ChunkTable {
        /// How many there should be.
        count: u64,
        /// The primary's length.
        primary_bytes: u64,
    },
    /// The inline tail crosses a block boundary.
    #[error("inline tail of {len} bytes at byte {offset} crosses a block")]
    InlineTail {
        /// Where the tail begins.
        offset: u64,
        /// How long it is.
        len: u64,
    },
    /// Data with no address.
    #[error("{size} bytes of data have no start block")]
    NoStartBlock {
        /// The file's size.
        size: u64,
    },
    /// The data name a device that the table does not have.
    #[error("data at byte {logical} lie on device {device_id}, there are {devices}")]
    NoSuchDevice {
        /// Where in the file.
        logical: u64,
        /// The device named.
        device_id: u16,
        /// Slots in the device table.
        devices: usize,
    },
    /// An extent leaves its device.
    #[error(
        "{len} bytes of data at byte {offset} of device {device_id} leave its {device_bytes} bytes"
    )]
    Extent {
        /// The device, 0 for the primary.
        device_id: u16,
        /// Where on the device.
        offset: u64,
        /// How long.
        len: u64,
        /// The device's length.
        device_bytes: u64,
    },
    /// Another type was expected.
    #[error("is a {actual:?}, expected a {expected:?}")]
    Type {
        /// What was wanted.
        expected: FileType,
        /// What the mode says.
        actual: FileType,
    },
    /// A link target that is empty, too long, or has a NUL.
    #[error("link target of {size} bytes is empty, too long, or has a NUL")]
    LinkTarget {
        /// Its length.
        size: u64,
    },
    /// The number of names is another than the inode says.
    #[error("link count is {actual}, expected {expected}")]
    Nlink {
        /// Names found, or 2 and the subdirectories.
        expected: u64,
        /// `i_nlink`.
        actual: u32,
    },
    /// A device, fifo or socket with data.
    #[error("special file has {size} bytes")]
    SpecialSize {
        /// `i_size`.
        size: u64,
    },
    /// The inode number 0, which readdir hides.
    #[error("readdir hides inode number 0")]
    NidZero,
}

impl InodeProblem {
    /// Whether the caller may have asked for the wrong thing of a sound inode.
    pub(crate) fn is_usage(self) -> bool {
        matches!(self, Self::Type { .. })
    }
}

/// What is wrong with a directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DirProblem {
    /// The first name offset is no multiple of an entry's size, or leaves the block.
    #[error("first name begins at {nameoff} of a block of {len} bytes")]
    FirstName {
        /// `nameoff` of the first entry.
        nameoff: u16,
        /// Bytes of the block.
        len: usize,
    },
    /// A name is empty, too long, or leaves the block.
    #[error("name from {start} to {end} of a block of {len} bytes")]
    NameBounds {
        /// Where it begins in the block.
        start: usize,
        /// Where it ends.
        end: usize,
        /// Bytes of the block.
        len: usize,
    },
    /// A name has a NUL or a slash.
    #[error("name has a NUL or a slash")]
    NameBytes,
    /// A name does not sort behind the one before it.
    #[error("name is not greater than the one before it")]
    Order,
    /// A file type that does not exist.
    #[error("unknown file type {file_type}")]
    FileType {
        /// As on disk.
        file_type: u8,
    },
    /// Bytes behind the last name are not zero.
    #[error("bytes behind the last name are not zero")]
    Tail,
    /// `.` is missing or not the directory itself.
    #[error("`.` is {actual:?}, expected the directory itself")]
    Dot {
        /// Its nid, if it is there.
        actual: Option<u64>,
    },
    /// `..` is missing or not the parent.
    #[error("`..` is {actual:?}, expected {expected:?}")]
    DotDot {
        /// The parent's nid, where it is known.
        expected: Option<u64>,
        /// Its nid, if it is there.
        actual: Option<u64>,
    },
    /// A name has another type than its inode.
    #[error("inode {child} is a {expected:?}, its name says {actual:?}")]
    Type {
        /// The inode.
        child: u64,
        /// What its mode says.
        expected: FileType,
        /// What the directory says.
        actual: FileType,
    },
    /// A directory has a second name.
    #[error("directory {child} has a second name")]
    SecondName {
        /// The directory that was seen before.
        child: u64,
    },
}

/// What is wrong with extended attributes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum XattrProblem {
    /// The body or an entry leaves the room it has.
    #[error("{wanted} bytes where {room} are left")]
    Bounds {
        /// Bytes wanted.
        wanted: u64,
        /// Bytes left.
        room: u64,
    },
    /// The name's prefix is unknown.
    #[error("unknown name prefix {e_name_index:#04x}")]
    NameIndex {
        /// As on disk.
        e_name_index: u8,
    },
    /// The name is empty behind its prefix, has something where nothing may follow, is too long, or has a NUL.
    #[error("malformed name of {len} bytes")]
    Name {
        /// The full name's length.
        len: usize,
    },
    /// The name's long prefix lies in compressed data, which is not read here.
    #[error("long name prefixes are compressed, which is not supported")]
    PrefixesCompressed,
    /// Two entries have one name.
    #[error("two entries have one name")]
    Duplicate,
}

/// The names of features by their bits, and the bits that have none.
struct Names(u32);

impl fmt::Display for Names {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut unknown = self.0;
        let mut separator = "";
        for feature in Feature::of(self.0) {
            write!(f, "{separator}{feature}")?;
            unknown &= !feature.bit();
            separator = ", ";
        }
        if unknown != 0 {
            write!(f, "{separator}bits {unknown:#x}")?;
        }
        Ok(())
    }
}
