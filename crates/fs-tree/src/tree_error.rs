/// Maximum depth of a directory. Linux accepts paths of up to 4,096 bytes, so no system call can name anything deeper, and code
/// that walks a tree may rely on it.
pub const MAX_DEPTH: u16 = 2048;

/// Why a change of a tree was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TreeError {
    /// More inodes, entries or bytes of names than 32 bits can count.
    #[error("the file tree is full: more than 2^32 inodes, entries or bytes of names")]
    Full,
    /// The name is taken.
    #[error("the directory already has an entry of that name")]
    Exists,
    /// The inode that should get an entry is not a directory.
    #[error("not a directory")]
    NotADirectory,
    /// A directory has one name.
    #[error("a directory cannot have another name")]
    IsADirectory,
    /// A directory below too many others.
    #[error("directories are nested more than {MAX_DEPTH} deep")]
    TooDeep,
}
