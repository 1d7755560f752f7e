/// Maximum depth of a directory. Linux paths have at most 4,096 bytes, so no system call can name a deeper one. Code that walks
/// a tree may rely on it.
pub const MAX_DEPTH: u16 = 2048;

/// Why a tree cannot be changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TreeError {
    /// More inodes, entries or bytes of names than 32 bits can count.
    #[error("the file tree is full: more than 2^32 inodes, entries or bytes of names")]
    Full,
    /// The directory already has an entry with this name.
    #[error("the directory already has an entry with this name")]
    Exists,
    /// The parent of the new entry is not a directory.
    #[error("not a directory")]
    NotADirectory,
    /// A directory cannot have a second name.
    #[error("a directory cannot have a second name")]
    IsADirectory,
    /// The directory would be deeper than `MAX_DEPTH`.
    #[error("directories are nested more than {MAX_DEPTH} deep")]
    TooDeep,
}
