use crate::{Extent, Metadata};

/// One entry of a layer, in the layer's order.
#[derive(Clone, Copy, Debug)]
pub struct Change<'a> {
    /// The normalized path: no leading, trailing or repeated `/`, no `.` or `..`; empty for the root. For a whiteout the path
    /// that it hides, for an opaque marker the directory.
    pub path: &'a [u8],
    /// The effect on the path.
    pub kind: ChangeKind<'a>,
}

/// The effect of a [`Change`].
#[derive(Clone, Copy, Debug)]
pub enum ChangeKind<'a> {
    /// Creates an inode. A directory over a directory only replaces its metadata.
    Node {
        /// Mode, owner and time.
        metadata: Metadata,
        /// Full names and values, no name twice, in any order.
        xattrs: &'a [(&'a [u8], &'a [u8])],
        /// The type of the inode, and what belongs to that type.
        node: NewNode<'a>,
    },
    /// Adds a name to an existing file.
    HardLink {
        /// The file's existing path, normalized.
        target: &'a [u8],
    },
    /// Hides the path in the layers below.
    Whiteout,
    /// Hides the children of the directory in the layers below.
    Opaque,
}

/// An inode that a [`Change`] creates.
#[derive(Clone, Copy, Debug)]
pub enum NewNode<'a> {
    /// A directory.
    Directory,
    /// A regular file.
    Regular {
        /// Length in bytes, including holes.
        size: u64,
        /// See [`Node::Regular`](crate::Node::Regular).
        crc32c: u32,
        /// The place of the bytes.
        content: NewContent<'a>,
    },
    /// A symbolic link.
    Symlink {
        /// The target, as stored.
        target: &'a [u8],
    },
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
}

/// The place of a new file's bytes; as [`Content`](crate::Content), but with the extents themselves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NewContent<'a> {
    /// The file is empty, or one hole.
    Absent,
    /// One piece.
    Contiguous {
        /// The device.
        device: u16,
        /// Byte offset on the device.
        offset: u64,
    },
    /// Several pieces, ascending, with holes between them.
    Mapped(&'a [Extent]),
    /// The caller keeps the bytes under a key.
    Inline {
        /// The caller's key.
        key: u64,
    },
}
