use erofs_format::{ChunkFormat, DataLayout, FileType};

use crate::{Error, InodeProblem};

/// An inode: the attributes of a file and the location of its data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Inode {
    /// The number of the inode: its 32-byte slot in the metadata area.
    pub nid: u64,
    /// The offset on the primary device, in bytes.
    pub offset: u64,
    /// The type, from `mode`.
    pub file_type: FileType,
    /// Type and permissions, as in `stat(2)`.
    pub mode: u16,
    /// Link count.
    pub nlink: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Length in bytes, below 2^63.
    pub size: u64,
    /// Seconds since 1970.
    pub mtime_secs: i64,
    /// Nanoseconds, below 10^9.
    pub mtime_nanos: u32,
    /// The `(major, minor)` numbers of a device.
    pub rdev: Option<(u32, u32)>,
    /// The form in which the data is stored.
    pub layout: DataLayout,
    /// Whether the inode takes 64 bytes and not 32.
    pub extended: bool,
    /// `i_u`: a start block or a chunk format, depending on the layout.
    pub(crate) i_u: u32,
    /// The length of the xattr body after the inode: 0, or more than 12.
    pub(crate) xattr_bytes: u64,
}

impl Inode {
    /// Returns the length of the inode itself.
    pub(crate) fn inode_bytes(&self) -> u64 {
        if self.extended { 64 } else { 32 }
    }

    /// Returns the offset of the xattr body.
    pub(crate) fn xattr_offset(&self) -> u64 {
        self.offset + self.inode_bytes()
    }

    /// Returns the end of the xattr body. The inline tail, or the padding before chunk addresses, begins here.
    pub(crate) fn body_end(&self) -> u64 {
        self.xattr_offset() + self.xattr_bytes
    }

    /// Returns whether the inode has data to read.
    pub(crate) fn has_data(&self) -> bool {
        self.size != 0
            && matches!(
                self.file_type,
                FileType::Regular | FileType::Directory | FileType::Symlink
            )
    }

    pub(crate) fn error(&self, problem: InodeProblem) -> Error {
        Error::Inode {
            nid: self.nid,
            offset: self.offset,
            problem,
        }
    }

    pub(crate) fn expect_type(&self, expected: FileType) -> Result<(), Error> {
        if self.file_type == expected {
            return Ok(());
        }
        Err(self.error(InodeProblem::Type {
            expected,
            actual: self.file_type,
        }))
    }

    /// Returns the chunk format of a chunk-based inode.
    pub(crate) fn chunk_format(&self) -> Result<ChunkFormat, Error> {
        let [a, b, ..] = self.i_u.to_le_bytes();
        let format = ChunkFormat(u16::from_le_bytes([a, b]));
        if format.is_unknown() {
            return Err(self.error(InodeProblem::ChunkFormat { format: format.0 }));
        }
        Ok(format)
    }
}
