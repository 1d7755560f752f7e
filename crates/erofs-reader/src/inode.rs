use erofs_format::{ChunkFormat, DataLayout, FileType};

use crate::{Error, InodeProblem};

/// An inode: the attributes of a file, and where its data are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Inode {
    /// Its number: its 32-byte slot in the metadata area.
    pub nid: u64,
    /// Where it lies, in bytes from the start of the primary device.
    pub offset: u64,
    /// Its type, from `mode`.
    pub file_type: FileType,
    /// Type and permissions, as in `stat(2)`.
    pub mode: u16,
    /// How many names it has.
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
    /// `(major, minor)` of a device.
    pub rdev: Option<(u32, u32)>,
    /// How the data are found.
    pub layout: DataLayout,
    /// Whether it is stored in 64 bytes rather than 32.
    pub extended: bool,
    /// `i_u`: a start block or a chunk format, by the layout.
    pub(crate) i_u: u32,
    /// Bytes of the xattr body behind the inode; 0, or more than 12.
    pub(crate) xattr_bytes: u64,
}

impl Inode {
    /// Bytes of the inode itself.
    pub(crate) fn inode_bytes(&self) -> u64 {
        if self.extended { 64 } else { 32 }
    }

    /// Where the xattr body begins.
    pub(crate) fn xattr_offset(&self) -> u64 {
        self.offset + self.inode_bytes()
    }

    /// Where the xattr body ends, and the inline tail or the padding before chunk addresses begins.
    pub(crate) fn body_end(&self) -> u64 {
        self.xattr_offset() + self.xattr_bytes
    }

    /// Whether there are data that can be read.
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

    /// The chunk format of a chunk-based inode.
    pub(crate) fn chunk_format(&self) -> Result<ChunkFormat, Error> {
        let [a, b, ..] = self.i_u.to_le_bytes();
        let format = ChunkFormat(u16::from_le_bytes([a, b]));
        if format.is_unknown() {
            return Err(self.error(InodeProblem::ChunkFormat { format: format.0 }));
        }
        Ok(format)
    }
}
