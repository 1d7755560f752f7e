use std::fmt;
use std::io;
use std::path::PathBuf;

use erofs_format::{Feature, KernelVersion};
use fs_tree::{ApplyError, InodeId, Tree, Walk, show_path};

/// Why an image cannot be written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The output took no more.
    #[error("writing the EROFS image at byte {offset}")]
    Write {
        /// Where in the image.
        offset: u64,
        /// Why.
        source: io::Error,
    },
    /// A source of file data failed.
    #[error("{}: reading its data", show_path(path))]
    ReadData {
        /// The file.
        path: Vec<u8>,
        /// Why.
        source: io::Error,
    },
    /// Inline data that the caller keeps could not be had back.
    #[error("reading inline data {key} back")]
    ReadInline {
        /// The caller's key.
        key: u64,
        /// Why.
        source: io::Error,
    },
    /// An extent that is to be continued has ended, or another one was begun after it.
    #[error("the extent at byte {offset} of the EROFS image is not open")]
    ExtentNotOpen {
        /// Where the extent begins, in bytes from the start of the image.
        offset: u64,
    },
    /// The image has more blocks than 32 bits can address.
    #[error("the EROFS image is larger than 2^32 - 1 blocks of 4096 bytes")]
    ImageTooLarge,
    /// Too many devices for the table.
    #[error("{count} devices; an EROFS image can have {limit}")]
    TooManyDevices {
        /// How many there are.
        count: usize,
        /// How many there may be.
        limit: usize,
    },
    /// A device's tag is empty or longer than 64 bytes.
    #[error("the tag of device {device_id} has {len} bytes; 1 to 64 are possible")]
    DeviceTag {
        /// Which, from 1.
        device_id: usize,
        /// Its length in bytes.
        len: usize,
    },
    /// A name that EROFS cannot hold: empty, over 255 bytes, or with `/` or NUL in it.
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
    /// An inode that EROFS, or this image, cannot hold.
    #[error("{}: {problem}", show_path(path))]
    Inode {
        /// The first of its paths.
        path: Vec<u8>,
        /// Why not.
        problem: InodeProblem,
    },
    /// What the options ask for is read by newer kernels only.
    #[error(
        "{feature}: from Linux {needed} on, and the image is declared to be read by {declared}"
    )]
    Kernel {
        /// What was asked for.
        feature: Feature,
        /// The first kernel that reads it.
        needed: KernelVersion,
        /// [`crate::Options::minimum_kernel`].
        declared: KernelVersion,
    },
    /// More metadata than its addresses can reach.
    #[error("the metadata does not fit: more than 2^32 slots of 32 bytes")]
    MetadataTooLarge,
    /// A path with `..` in it.
    #[error("{}: a path must not contain `..`", show_path(path))]
    ParentInPath {
        /// The path as it was given.
        path: Vec<u8>,
    },
    /// A piece of a sparse file begins before the one before it ends, or ends behind the file.
    #[error(
        "{}: a piece at byte {offset} of a file of {size} bytes overlaps another, or leaves the file",
        show_path(path)
    )]
    Piece {
        /// The file.
        path: Vec<u8>,
        /// Where the piece begins in the file.
        offset: u64,
        /// The file's length.
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
    /// The metadata took other blocks than were planned: a mistake of this crate.
    #[error("the image has {written} blocks, and was planned to have {planned}")]
    Unplanned {
        /// Blocks by the plan, which somebody may have relied on.
        planned: u32,
        /// Blocks written.
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

/// Why an inode cannot be written.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InodeProblem {
    /// An xattr outside the namespaces that EROFS numbers, or too large.
    #[error(
        "EROFS cannot hold the xattr {} with a value of {value_bytes} bytes",
        show_path(name)
    )]
    Xattr {
        /// Its full name.
        name: Vec<u8>,
        /// The length of its value.
        value_bytes: usize,
    },
    /// The xattrs take more than 256 KiB.
    #[error("its xattrs take {bytes} bytes, more than EROFS can hold")]
    XattrsTooLarge {
        /// How much they take.
        bytes: usize,
    },
    /// The target of a symbolic link that no system can make: empty, over 4095 bytes, or with a NUL in it.
    #[error(
        "a symbolic link cannot have the target {} of {} bytes",
        show_path(start),
        bytes
    )]
    LinkTarget {
        /// The target's first bytes, up to 64.
        start: Vec<u8>,
        /// Its length.
        bytes: usize,
    },
    /// A device number over 12 bits of major and 20 of minor.
    #[error("EROFS cannot hold the device number {major}:{minor}")]
    DeviceNumber {
        /// The major.
        major: u32,
        /// The minor.
        minor: u32,
    },
    /// A piece of a file does not lie on whole blocks, or outside its device, or over another piece.
    #[error("its bytes {logical}..{end} cannot be mapped to device {device} at {offset}")]
    Extent {
        /// Where it begins in the file.
        logical: u64,
        /// Where it ends in the file.
        end: u64,
        /// The device.
        device: u16,
        /// Where it begins on the device.
        offset: u64,
    },
    /// A sparse file whose holes are so small and many, or which is so long, that its index would be out of proportion.
    #[error("its {size} bytes need {chunks} chunk indexes; the limit is {limit}")]
    TooManyChunks {
        /// Its logical length.
        size: u64,
        /// Indexes that it needs.
        chunks: u64,
        /// [`crate::MAX_CHUNKS`].
        limit: u64,
    },
    /// A hole, or data on a further device, that the declared kernel does not read.
    #[error(
        "{feature}: from Linux {needed} on, and the image is declared to be read by {declared}"
    )]
    Kernel {
        /// What the file needs.
        feature: Feature,
        /// The first kernel that reads it.
        needed: KernelVersion,
        /// [`crate::Options::minimum_kernel`].
        declared: KernelVersion,
    },
}

impl InodeProblem {
    /// The error of an inode of this tree.
    pub(crate) fn of(self, tree: &Tree, inode: InodeId) -> Error {
        // Files do not know their names, so the tree is walked: this is the end of the writing anyway.
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
