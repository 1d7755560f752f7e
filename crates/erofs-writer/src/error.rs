use std::fmt;
use std::io;
use std::path::PathBuf;

use erofs_format::{Feature, KernelVersion};
use fs_tree::{ApplyError, InodeId, Tree, Walk, show_path};

/// An error from building an image.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Writing to the output failed.
    #[error("write the EROFS image at byte {offset}")]
    Write {
        /// The offset in the image.
        offset: u64,
        /// The failure.
        source: io::Error,
    },
    /// Reading file data failed.
    #[error("{}: read the file data", show_path(path))]
    ReadData {
        /// The file.
        path: Vec<u8>,
        /// The failure.
        source: io::Error,
    },
    /// Reading inline data back from the caller's store failed.
    #[error("read inline data {key}")]
    ReadInline {
        /// The key of the data.
        key: u64,
        /// The failure.
        source: io::Error,
    },
    /// An extent that is to be continued has ended, or another one was begun after it.
    #[error("the extent at byte {offset} of the EROFS image is not open")]
    ExtentNotOpen {
        /// Where the extent begins, in bytes from the start of the image.
        offset: u64,
    },
    /// The image has more blocks than 32 bits can address.
    #[error("the EROFS image exceeds 2^32 - 1 blocks of 4096 bytes")]
    ImageTooLarge,
    /// The image has more devices than the device table can hold.
    #[error("an EROFS image cannot have {count} devices; the limit is {limit}")]
    TooManyDevices {
        /// The number of devices.
        count: usize,
        /// The largest possible number.
        limit: usize,
    },
    /// A device's tag is empty or longer than 64 bytes.
    #[error("the tag of device {device_id} has {len} bytes, expected 1 to 64")]
    DeviceTag {
        /// The device, from 1.
        device_id: usize,
        /// Its length in bytes.
        len: usize,
    },
    /// EROFS cannot hold a name: it is empty, longer than 255 bytes, or contains `/` or NUL.
    #[error(
        "{}: an EROFS directory cannot hold the name {}",
        show_path(directory),
        show_path(name)
    )]
    Name {
        /// The directory.
        directory: Vec<u8>,
        /// The name.
        name: Vec<u8>,
    },
    /// EROFS, or an image with these options, cannot hold an inode.
    #[error("{}: {problem}", show_path(path))]
    Inode {
        /// The first of its paths.
        path: Vec<u8>,
        /// The problem.
        problem: InodeProblem,
    },
    /// The options need a feature that the oldest supported kernel lacks.
    #[error("{feature} needs Linux {needed}, and the image must support Linux {declared}")]
    Kernel {
        /// The feature.
        feature: Feature,
        /// The first kernel that supports it.
        needed: KernelVersion,
        /// `Options::minimum_kernel`.
        declared: KernelVersion,
    },
    /// The metadata needs larger addresses than EROFS has.
    #[error("the metadata exceeds 2^32 slots of 32 bytes")]
    MetadataTooLarge,
    /// A path contains `..`.
    #[error("{}: path contains `..`", show_path(path))]
    ParentInPath {
        /// The path.
        path: Vec<u8>,
    },
    /// A piece of a sparse file overlaps the piece before it or exceeds the file.
    #[error(
        "{}: the piece at byte {offset} overlaps another one or exceeds the {size} bytes of the file",
        show_path(path)
    )]
    Piece {
        /// The file.
        path: Vec<u8>,
        /// The offset of the piece in the file.
        offset: u64,
        /// The length of the file.
        size: u64,
    },
    /// An entry cannot be put into the tree.
    #[error(transparent)]
    Apply(#[from] ApplyError),
    /// A file of a [`HostTree`](crate::HostTree) could not be read.
    #[error("{}: {operation}", show_path(path.as_os_str().as_encoded_bytes()))]
    Host {
        /// The host's path.
        path: PathBuf,
        /// The operation that failed.
        operation: HostOperation,
        /// The failure.
        source: io::Error,
    },
    /// Another program replaced a file of a [`HostTree`](crate::HostTree) while it was copied.
    #[error("{}: replaced by another file during the copy", show_path(path.as_os_str().as_encoded_bytes()))]
    HostChanged {
        /// The host's path.
        path: PathBuf,
    },
    /// The written metadata has another length than planned, because of a bug in this crate.
    #[error("the image has {written} blocks, expected {planned} as planned")]
    Unplanned {
        /// The planned length in blocks.
        planned: u32,
        /// The written length in blocks.
        written: u32,
    },
}

/// An operation on a file of the host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum HostOperation {
    /// `lstat(2)` or `fstat(2)`.
    Stat,
    /// `readdir(3)`.
    List,
    /// `open(2)`.
    Open,
    /// `readlink(2)`.
    ReadLink,
    /// `llistxattr(2)`.
    ListXattrs,
    /// `lgetxattr(2)`.
    ReadXattr,
}

impl fmt::Display for HostOperation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Stat => "read the attributes",
            Self::List => "list the directory",
            Self::Open => "open the file",
            Self::ReadLink => "read the symbolic link",
            Self::ListXattrs => "list the xattrs",
            Self::ReadXattr => "read an xattr",
        })
    }
}

/// A problem with an inode.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InodeProblem {
    /// An xattr is outside the namespaces of EROFS, or too large.
    #[error(
        "EROFS cannot hold the xattr {} with a value of {value_bytes} bytes",
        show_path(name)
    )]
    Xattr {
        /// The full name.
        name: Vec<u8>,
        /// The length of the value.
        value_bytes: usize,
    },
    /// The xattrs take more than 256 KiB.
    #[error("EROFS cannot hold {bytes} bytes of xattrs")]
    XattrsTooLarge {
        /// Their length.
        bytes: usize,
    },
    /// The target of a symbolic link is invalid: it is empty, longer than 4095 bytes, or contains a NUL.
    #[error("invalid symbolic link target {} of {} bytes", show_path(start), bytes)]
    LinkTarget {
        /// The first bytes of the target, up to 64.
        start: Vec<u8>,
        /// The length of the target.
        bytes: usize,
    },
    /// A device number exceeds 12 bits of major or 20 bits of minor.
    #[error("EROFS cannot hold the device number {major}:{minor}")]
    DeviceNumber {
        /// The major number.
        major: u32,
        /// The minor number.
        minor: u32,
    },
    /// An extent of a file is not on whole blocks, lies outside its device, or overlaps another one.
    #[error(
        "bytes {logical}..{end} of the file cannot be mapped to device {device} at byte {offset}"
    )]
    Extent {
        /// The start in the file.
        logical: u64,
        /// The end in the file.
        end: u64,
        /// The device.
        device: u16,
        /// The start on the device.
        offset: u64,
    },
    /// A sparse file needs too many chunk indexes, because its holes are small and many or it is too long.
    #[error("a file of {size} bytes needs {chunks} chunk indexes; the limit is {limit}")]
    TooManyChunks {
        /// The logical length.
        size: u64,
        /// The number of indexes.
        chunks: u64,
        /// `MAX_CHUNKS`.
        limit: u64,
    },
    /// The oldest supported kernel can read neither holes nor data on further devices.
    #[error("{feature} needs Linux {needed}, and the image must support Linux {declared}")]
    Kernel {
        /// The feature that the file needs.
        feature: Feature,
        /// The first kernel that supports it.
        needed: KernelVersion,
        /// `Options::minimum_kernel`.
        declared: KernelVersion,
    },
}

impl InodeProblem {
    /// Returns the error for an inode of this tree.
    pub(crate) fn of(self, tree: &Tree, inode: InodeId) -> Error {
        // Inodes do not know their names, so walk the tree: writing has failed anyway.
        let mut walk = Walk::new(tree);
        let mut path = Vec::new();
        while let Some(visit) = walk.next() {
            if visit.inode == inode {
                path = visit.path.to_vec();
                break;
            }
        }
        Error::Inode {
            path,
            problem: self,
        }
    }
}
