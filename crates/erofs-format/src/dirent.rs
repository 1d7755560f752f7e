use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use crate::{Le16, Le64, mode};

/// The longest name of a directory entry, in bytes.
pub const NAME_MAX: usize = 255;

/// `struct erofs_dirent`. A directory block is an array of these followed by their names. `nameoff` of the first entry
/// determines the number of entries.
#[derive(
    Clone, Copy, Debug, FromBytes, Immutable, IntoBytes, KnownLayout, PartialEq, Eq, Unaligned,
)]
#[repr(C)]
pub struct Dirent {
    /// The number of the inode: its slot in the metadata area.
    pub nid: Le64,
    /// The offset of the name, in bytes from the start of the block.
    pub nameoff: Le16,
    /// A [`FileType`].
    pub file_type: u8,
    /// Zero.
    pub reserved: u8,
}

const _: () = assert!(size_of::<Dirent>() == 12);

/// The file type in a directory entry (`FT_*` of `linux/fs_types.h`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum FileType {
    /// A regular file.
    Regular = 1,
    /// A directory.
    Directory = 2,
    /// A character device.
    CharDevice = 3,
    /// A block device.
    BlockDevice = 4,
    /// A named pipe.
    Fifo = 5,
    /// A socket.
    Socket = 6,
    /// A symbolic link.
    Symlink = 7,
}

impl FileType {
    /// Returns the type in an inode's `i_mode`; `None` for a mode without a known type.
    #[must_use]
    pub fn from_mode(i_mode: u16) -> Option<Self> {
        Some(match i_mode & crate::MODE_TYPE_MASK {
            mode::REGULAR => Self::Regular,
            mode::DIRECTORY => Self::Directory,
            mode::CHAR_DEVICE => Self::CharDevice,
            mode::BLOCK_DEVICE => Self::BlockDevice,
            mode::FIFO => Self::Fifo,
            mode::SOCKET => Self::Socket,
            mode::SYMLINK => Self::Symlink,
            _ => return None,
        })
    }

    /// Returns the `S_IF*` bits of `i_mode` for this type.
    #[must_use]
    pub const fn mode_bits(self) -> u16 {
        match self {
            Self::Regular => mode::REGULAR,
            Self::Directory => mode::DIRECTORY,
            Self::CharDevice => mode::CHAR_DEVICE,
            Self::BlockDevice => mode::BLOCK_DEVICE,
            Self::Fifo => mode::FIFO,
            Self::Socket => mode::SOCKET,
            Self::Symlink => mode::SYMLINK,
        }
    }
}
