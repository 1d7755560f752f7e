use crate::bytes::Span;
use crate::xattrs::XattrsId;

/// An inode of one [`Tree`](crate::Tree).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct InodeId(pub(crate) u32);

impl InodeId {
    /// The id as an index: below [`Tree::inode_slots`](crate::Tree::inode_slots), and unique among live inodes.
    #[must_use]
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

/// A point in time, to the nanosecond; before 1970 the seconds are negative and the nanoseconds still count forward.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp {
    /// Seconds since 1970-01-01T00:00:00Z.
    pub secs: i64,
    /// `0 <= nanos < 1_000_000_000`.
    pub nanos: u32,
}

/// What every inode has but its xattrs. The default is mode 0, root, 1970.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Metadata {
    /// Permission, setuid, setgid and sticky bits; `mode & !0o7777 == 0`.
    pub mode: u16,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// When the contents last changed.
    pub mtime: Timestamp,
}

impl Metadata {
    /// A directory that a path implies and nothing describes: 0755, root, 1970.
    pub const IMPLIED: Self = Self {
        mode: 0o755,
        uid: 0,
        gid: 0,
        mtime: Timestamp { secs: 0, nanos: 0 },
    };
}

/// An inode: what it is, and how many names it has.
#[derive(Clone, Copy, Debug)]
pub struct Inode {
    /// Mode, owner, time.
    pub metadata: Metadata,
    /// Its xattrs, read with [`Tree::xattrs`](crate::Tree::xattrs).
    pub xattrs: XattrsId,
    /// Names in the tree; 0 for an inode that is gone. A directory has one.
    pub(crate) names: u32,
    /// What it is.
    pub node: Node,
}

impl Inode {
    /// How many names the inode has in the tree. For a directory this is not `st_nlink`.
    #[must_use]
    pub fn names(&self) -> u32 {
        self.names
    }
}

/// What an inode is.
#[derive(Clone, Copy, Debug)]
pub enum Node {
    /// A directory.
    Directory(Directory),
    /// A regular file.
    Regular {
        /// Length in bytes, holes counted.
        size: u64,
        /// CRC32-C (EROFS form) of the bytes outside holes, in order; 0 if not known.
        crc32c: u32,
        /// Where the bytes lie.
        content: Content,
    },
    /// A symbolic link; its target is read with [`Tree::symlink_target`](crate::Tree::symlink_target).
    Symlink(SymlinkTarget),
    /// A character device.
    CharDevice {
        /// Its driver.
        major: u32,
        /// Its unit.
        minor: u32,
    },
    /// A block device.
    BlockDevice {
        /// Its driver.
        major: u32,
        /// Its unit.
        minor: u32,
    },
    /// A named pipe.
    Fifo,
    /// A socket.
    Socket,
    /// The mark of a layer that the path is absent below it. Only in a layer's own tree, never in a merged one.
    Whiteout,
}

/// The text of a symbolic link, kept by the tree.
#[derive(Clone, Copy, Debug)]
pub struct SymlinkTarget(pub(crate) Span);

/// A directory.
#[derive(Clone, Copy, Debug)]
pub struct Directory {
    /// The entry that names it; [`NONE`] for the root.
    pub(crate) entry: u32,
    /// The newest of its entries, or [`NONE`].
    pub(crate) first: u32,
    /// How many directories it lies below; 0 for the root.
    pub(crate) depth: u16,
    /// Nothing of the same path in lower layers shows through. Only in a layer's own tree.
    pub opaque: bool,
    /// No entry of a layer described it: only paths below it were given.
    pub implied: bool,
}

impl Directory {
    /// A directory without a name or entries.
    pub(crate) fn new(implied: bool) -> Self {
        Self {
            entry: NONE,
            first: NONE,
            depth: 0,
            opaque: false,
            implied,
        }
    }
}

/// "No id" in the links between entries.
pub(crate) const NONE: u32 = u32::MAX;

/// Where a regular file's bytes lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Content {
    /// There are none: the file is empty, or one hole.
    Absent,
    /// In one piece.
    Contiguous {
        /// The device; what the numbers mean is the caller's.
        device: u16,
        /// Byte offset on the device.
        offset: u64,
    },
    /// In several pieces with holes between them, read with [`Tree::extents`](crate::Tree::extents).
    Mapped {
        /// First of the tree's extents.
        first: u32,
        /// How many.
        count: u32,
    },
    /// Kept whole by the caller, who knows them by this key.
    Inline {
        /// The caller's key.
        key: u64,
    },
}

/// One piece of a file's bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Extent {
    /// Byte offset in the file.
    pub logical: u64,
    /// Bytes.
    pub len: u64,
    /// The device; what the numbers mean is the caller's.
    pub device: u16,
    /// Byte offset on the device.
    pub offset: u64,
}
