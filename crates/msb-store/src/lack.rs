/// What a file system lacks that a cache needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Lack {
    /// Advisory locks that exclude other processes.
    Locks,
    /// Permissions of files and directories.
    Permissions,
}

impl Lack {
    pub(crate) fn text(self) -> &'static str {
        match self {
            Self::Locks => "locks that exclude other processes",
            Self::Permissions => "permissions of files",
        }
    }
}
