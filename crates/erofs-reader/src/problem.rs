use std::fmt;

use erofs_format::{Feature, FileType};

/// A problem with a superblock or a device table.
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
    /// The image is not an EROFS image.
    #[error("magic mismatch: expected {expected:#010x}, found {actual:#010x}")]
    Magic {
        /// The magic number of EROFS.
        expected: u32,
        /// The number found.
        actual: u32,
    },
    /// The checksum does not match.
    #[error("checksum mismatch: expected {expected:#010x}, found {actual:#010x}")]
    Checksum {
        /// The checksum of the bytes.
        expected: u32,
        /// The checksum in the superblock.
        actual: u32,
    },
    /// The block size is not supported.
    #[error("blocks of 2^{actual} bytes are not supported, expected 2^{expected}")]
    BlockBits {
        /// 12.
        expected: u8,
        /// `blkszbits`.
        actual: u8,
    },
    /// The size of directory blocks is not the block size, which is not supported.
    #[error("directory blocks of 2^{actual} blocks are not supported")]
    DirBlockBits {
        /// `dirblkbits`.
        actual: u8,
    },
    /// The image has incompatible features that are not supported.
    #[error("unsupported features: {}", Names(*bits))]
    Features {
        /// The bits of these features in `feature_incompat`.
        bits: u32,
    },
    /// The superblock is longer than block 0 allows.
    #[error("superblock of {actual} bytes exceeds {expected} bytes")]
    Size {
        /// The space in block 0.
        expected: u64,
        /// 128 bytes plus the extension slots.
        actual: u64,
    },
    /// The image is shorter than its superblock requires.
    #[error("primary device has {actual} bytes, expected {expected}")]
    Truncated {
        /// `blocks` in bytes.
        expected: u64,
        /// The image's length.
        actual: u64,
    },
    /// The device table lies outside the primary device.
    #[error("device table of {len} bytes at byte {offset} lies outside the primary device")]
    DeviceTable {
        /// Its offset.
        offset: u64,
        /// Its length in bytes.
        len: u64,
    },
    /// The number of devices that were opened differs from that of the device table.
    #[error("device table has {expected} devices, opened with {actual}")]
    DeviceCount {
        /// Slots in the device table.
        expected: usize,
        /// Devices opened.
        actual: usize,
    },
    /// A slot has a 48-bit length or address, which is not supported.
    #[error("device {device_id} has a 48-bit address, which is not supported")]
    Device48Bit {
        /// The device, from 1.
        device_id: u16,
    },
    /// A device overlaps the primary or another device.
    #[error("device {device_id} begins at block {uniaddr}, before the previous one ends at {end}")]
    DeviceOverlap {
        /// The device, from 1.
        device_id: u16,
        /// Its first block on the flat disk.
        uniaddr: u32,
        /// The end of the device before it, in blocks.
        end: u64,
    },
    /// A device is shorter than its slot requires.
    #[error("device {device_id} has {actual} bytes, expected {expected}")]
    DeviceTruncated {
        /// The device, from 1.
        device_id: u16,
        /// The length in the slot, in bytes.
        expected: u64,
        /// The length of the device in bytes.
        actual: u64,
    },
    /// A long xattr prefix is malformed.
    #[error("long xattr prefix {index} is malformed")]
    XattrPrefix {
        /// The prefix, from 0.
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

/// A problem with an inode.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InodeProblem {
    /// The inode lies outside the primary device.
    #[error("lies outside the primary device of {primary_bytes} bytes")]
    OutOfBounds {
        /// The length of the primary device.
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
    /// The size is 2^63 or more.
    #[error("size {size} is too large")]
    Size {
        /// As on disk.
        size: u64,
    },
    /// The nanoseconds are 10^9 or more.
    #[error("{nanos} nanoseconds are not below 10^9")]
    Nanos {
        /// As on disk.
        nanos: u32,
    },
    /// The xattr body has no space for an entry.
    #[error("xattr body of {size} bytes has no entries")]
    XattrBody {
        /// 12.
        size: u64,
    },
    /// The data is compressed, which is not supported.
    #[error("compressed data is not supported; the image has {}", Names(*feature_incompat))]
    Compressed {
        /// The features of the image; some of them identify the compression.
        feature_incompat: u32,
    },
    /// The chunk format has unknown bits.
    #[error("unknown chunk format {format:#06x}")]
    ChunkFormat {
        /// As on disk.
        format: u16,
    },
    /// The chunk addresses lie outside the primary device.
    #[error("{count} chunk addresses lie outside the primary device of {primary_bytes} bytes")]
    ChunkTable {
        /// The number of addresses.
        count: u64,
        /// The length of the primary device.
        primary_bytes: u64,
    },
    /// The inline tail crosses a block boundary.
    #[error("inline tail of {len} bytes at byte {offset} crosses a block")]
    InlineTail {
        /// The offset of the tail.
        offset: u64,
        /// The length of the tail.
        len: u64,
    },
    /// The data has no address.
    #[error("{size} bytes of data without a start block")]
    NoStartBlock {
        /// The size of the file.
        size: u64,
    },
    /// The data is on a device that the device table does not have.
    #[error("data at byte {logical} is on device {device_id} of {devices}")]
    NoSuchDevice {
        /// The offset in the file.
        logical: u64,
        /// The device, from 1.
        device_id: u16,
        /// Slots in the device table.
        devices: usize,
    },
    /// An extent lies outside its device.
    #[error(
        "{len} bytes of data at byte {offset} of device {device_id} exceed its {device_bytes} bytes"
    )]
    Extent {
        /// The device, 0 for the primary.
        device_id: u16,
        /// The offset on the device.
        offset: u64,
        /// The length of the extent.
        len: u64,
        /// The length of the device.
        device_bytes: u64,
    },
    /// The inode has another type than expected.
    #[error("is a {actual:?}, expected a {expected:?}")]
    Type {
        /// The type expected.
        expected: FileType,
        /// The type of the inode.
        actual: FileType,
    },
    /// A link target is empty, too long, or contains a NUL.
    #[error("link target of {size} bytes is empty, too long, or contains a NUL")]
    LinkTarget {
        /// The length of the target.
        size: u64,
    },
    /// The link count differs from the number of names.
    #[error("link count is {actual}, expected {expected}")]
    Nlink {
        /// The number of names; for a directory, 2 plus the number of subdirectories.
        expected: u64,
        /// `i_nlink`.
        actual: u32,
    },
    /// A device, fifo or socket has data.
    #[error("special file has {size} bytes")]
    SpecialSize {
        /// `i_size`.
        size: u64,
    },
    /// The inode number is 0, which readdir hides.
    #[error("inode number 0 is hidden by readdir")]
    NidZero,
}

impl InodeProblem {
    /// Returns whether the inode may be valid and the call wrong.
    pub(crate) fn is_usage(self) -> bool {
        matches!(self, Self::Type { .. })
    }
}

/// A problem with a directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DirProblem {
    /// The first name offset is not a multiple of the size of an entry, or lies outside the block.
    #[error("first name at {nameoff} in a block of {len} bytes")]
    FirstName {
        /// `nameoff` of the first entry.
        nameoff: u16,
        /// The length of the block.
        len: usize,
    },
    /// A name is empty, too long, or lies outside the block.
    #[error("name at {start}..{end} in a block of {len} bytes")]
    NameBounds {
        /// The start of the name in the block.
        start: usize,
        /// The end of the name.
        end: usize,
        /// The length of the block.
        len: usize,
    },
    /// A name contains a NUL or a slash.
    #[error("name contains a NUL or a slash")]
    NameBytes,
    /// A name is not greater than the name before it.
    #[error("name is not greater than the one before it")]
    Order,
    /// The file type is unknown.
    #[error("unknown file type {file_type}")]
    FileType {
        /// As on disk.
        file_type: u8,
    },
    /// The bytes after the last name are not zero.
    #[error("bytes after the last name are not zero")]
    Tail,
    /// `.` is missing or not the directory itself.
    #[error("`.` is {actual:?}, expected the directory itself")]
    Dot {
        /// The nid of `.`, if there is one.
        actual: Option<u64>,
    },
    /// `..` is missing or not the parent.
    #[error("`..` is {actual:?}, expected {expected:?}")]
    DotDot {
        /// The nid of the parent, if known.
        expected: Option<u64>,
        /// The nid of `..`, if there is one.
        actual: Option<u64>,
    },
    /// The type in an entry differs from that of the inode.
    #[error("inode {child} is a {expected:?}, its entry has type {actual:?}")]
    Type {
        /// The nid of the inode.
        child: u64,
        /// The type of the inode.
        expected: FileType,
        /// The type in the entry.
        actual: FileType,
    },
    /// A directory has a second name.
    #[error("directory {child} has a second name")]
    SecondName {
        /// The nid of the directory.
        child: u64,
    },
}

/// A problem with extended attributes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum XattrProblem {
    /// The body or an entry exceeds its area.
    #[error("{wanted} bytes needed, {room} available")]
    Bounds {
        /// Bytes needed.
        wanted: u64,
        /// Bytes available.
        room: u64,
    },
    /// The name's prefix is unknown.
    #[error("unknown name prefix {e_name_index:#04x}")]
    NameIndex {
        /// As on disk.
        e_name_index: u8,
    },
    /// The name is malformed: it is empty after its prefix, has a suffix where none is allowed, is too long, or
    /// contains a NUL.
    #[error("malformed name of {len} bytes")]
    Name {
        /// The length of the full name.
        len: usize,
    },
    /// The long prefix of the name is in compressed data, which is not supported.
    #[error("long name prefixes are compressed, which is not supported")]
    PrefixesCompressed,
    /// Two entries have the same name.
    #[error("two entries with the same name")]
    Duplicate,
}

/// Displays the names of features by their bits, and the unknown bits.
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
