use crate::bytes::Span;
use crate::xattrs::XattrsId;

/// An inode of one [`Tree`](crate::Tree).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct InodeId(pub(crate) u32);

impl InodeId {
    /// Returns the id as an index: below [`Tree::inode_slots`](crate::Tree::inode_slots), and unique among live inodes.
    #[must_use]
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

/// A point in time with nanoseconds. Before 1970 the seconds are negative; the nanoseconds always count forward.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp {
    /// Seconds since 1970-01-01T00:00:00Z.
    pub secs: i64,
    /// `0 <= nanos < 1_000_000_000`.
    pub nanos: u32,
}

/// Metadata of every inode, without xattrs. The default is mode 0, owner and group 0, 1970-01-01.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Metadata {
    /// Permission, setuid, setgid and sticky bits; `mode & !0o7777 == 0`.
    pub mode: u16,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Time of the last change of the contents.
    pub mtime: Timestamp,
}

impl Metadata {
    /// Metadata of a directory that only paths below it imply: 0755, root, 1970.
    pub const IMPLIED: Self = Self {
        mode: 0o755,
        uid: 0,
        gid: 0,
        mtime: Timestamp { secs: 0, nanos: 0 },
    };
}

/// An inode.
#[derive(Clone, Copy, Debug)]
pub struct Inode {
    /// Mode, owner and time.
    pub metadata: Metadata,
    /// Its xattrs, read with [`Tree::xattrs`](crate::Tree::xattrs).
    pub xattrs: XattrsId,
    /// Names in the tree; 0 for a removed inode, 1 for a directory.
    pub(crate) link_count: u32,
    /// The type of the inode, and what belongs to that type.
    pub node: Node,
}

impl Inode {
    /// Returns the number of names in the tree. For a directory this is not `st_nlink`.
    #[must_use]
    pub fn link_count(&self) -> u32 {
        self.link_count
    }
}

/// The type of an inode, and what belongs to that type.
#[derive(Clone, Copy, Debug)]
pub enum Node {
    /// A directory.
    Directory(Directory),
    /// A regular file.
    Regular {
        /// Length in bytes, including holes.
        size: u64,
        /// CRC-32C (EROFS form) of the bytes outside holes, in order; 0 if unknown.
        crc32c: u32,
        /// The place of the bytes.
        content: Content,
    },
    /// A symbolic link; its target is read with [`Tree::symlink_target`](crate::Tree::symlink_target).
    Symlink(SymlinkTarget),
    /// A character device.
    CharDevice {
        /// Major number.
        major: u32,
        /// Minor number.
        minor: u32,
    },
    /// A block device.
    BlockDevice {
        /// Major number.
        major: u32,
        /// Minor number.
        minor: u32,
    },
    /// A named pipe.
    Fifo,
    /// A socket.
    Socket,
    /// Marks a path as absent in the layers below. Only in a layer's own tree, never in a merged one.
    Whiteout,
}

/// The target of a symbolic link, stored in the tree.
#[derive(Clone, Copy, Debug)]
pub struct SymlinkTarget(pub(crate) Span);

/// A directory.
#[derive(Clone, Copy, Debug)]
pub struct Directory {
    /// The directory's entry in its parent; [`NONE`] for the root.
    pub(crate) entry: u32,
    /// The newest of its own entries, or [`NONE`].
    pub(crate) first: u32,
    /// Number of directories above; 0 for the root.
    pub(crate) depth: u16,
    /// Hides the directory's children in lower layers. Only in a layer's own tree.
    pub opaque: bool,
    /// No entry of a layer described the directory; only paths below it imply it.
    pub implied: bool,
}

impl Directory {
    /// Creates a directory without a name or entries.
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

/// No id, in the links between entries.
pub(crate) const NONE: u32 = u32::MAX;

/// The place of a regular file's bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Content {
    /// The file is empty, or one hole.
    Absent,
    /// One piece.
    Contiguous {
        /// The device, in the caller's numbering.
        device: u16,
        /// Byte offset on the device.
        offset: u64,
    },
    /// Several pieces with holes between them, read with [`Tree::extents`](crate::Tree::extents).
    Mapped {
        /// Index of the first extent in the tree.
        first: u32,
        /// Number of extents.
        count: u32,
    },
    /// The caller keeps the whole content under a key.
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
    /// Length in bytes.
    pub len: u64,
    /// The device, in the caller's numbering.
    pub device: u16,
    /// Byte offset on the device.
    pub offset: u64,
}
