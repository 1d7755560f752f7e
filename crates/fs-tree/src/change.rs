use crate::{Extent, Metadata};

/// One entry of a layer, in the layer's order.
#[derive(Clone, Copy, Debug)]
pub struct Change<'a> {
    /// The path, normalized: no leading, trailing or repeated `/`, no `.` or `..`; empty for the root. For a whiteout the
    /// path that it hides, for an opaque marker the directory.
    pub path: &'a [u8],
    /// What happens there.
    pub kind: ChangeKind<'a>,
}

/// What a [`Change`] does.
#[derive(Clone, Copy, Debug)]
pub enum ChangeKind<'a> {
    /// Puts a new inode there; a directory over a directory only gives it new metadata.
    Node {
        /// Mode, owner, time.
        metadata: Metadata,
        /// Full names and values, no name twice, in any order.
        xattrs: &'a [(&'a [u8], &'a [u8])],
        /// What the inode is.
        node: NewNode<'a>,
    },
    /// Gives an existing file one more name.
    HardLink {
        /// The file's other path, normalized.
        target: &'a [u8],
    },
    /// Hides whatever the layers below have there.
    Whiteout,
    /// Hides the children that the directory has in the layers below.
    Opaque,
}

/// An inode that a [`Change`] brings.
#[derive(Clone, Copy, Debug)]
pub enum NewNode<'a> {
    /// A directory.
    Directory,
    /// A regular file.
    Regular {
        /// Length in bytes, holes counted.
        size: u64,
        /// See [`Node::Regular`](crate::Node::Regular).
        crc32c: u32,
        /// Where the bytes lie.
        content: NewContent<'a>,
    },
    /// A symbolic link.
    Symlink {
        /// Its text.
        target: &'a [u8],
    },
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
}

/// Where the bytes of a new file lie; as [`Content`](crate::Content), with the extents at hand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NewContent<'a> {
    /// There are none.
    Absent,
    /// In one piece.
    Contiguous {
        /// The device.
        device: u16,
        /// Byte offset on the device.
        offset: u64,
    },
    /// In pieces, ascending, with holes between them.
    Mapped(&'a [Extent]),
    /// Kept by the caller under a key.
    Inline {
        /// The caller's key.
        key: u64,
    },
}
