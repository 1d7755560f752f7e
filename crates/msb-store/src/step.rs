//! The step at which an operation failed.

use std::fmt;

/// What was being done when the file system refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Step {
    /// Creating a directory.
    CreateDir,
    /// Creating a file.
    Create,
    /// Opening a file.
    Open,
    /// Reading a file's type, length or age.
    Stat,
    /// Listing a directory.
    List,
    /// Reading a file.
    Read,
    /// Writing a file.
    Write,
    /// Reading another file while it is copied to this one.
    Copy,
    /// Setting a file's length.
    Truncate,
    /// Setting a file's modification time.
    Touch,
    /// Writing a file's bytes to stable storage.
    Sync,
    /// Writing a directory's names to stable storage.
    SyncDir,
    /// Giving a file its final name.
    Rename,
    /// Removing a file or directory.
    Remove,
    /// Taking a lock.
    Lock,
    /// Setting permissions or the group.
    SetPermissions,
    /// Finding out the absolute form of a path.
    Resolve,
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::CreateDir => "create directory",
            Self::Create => "create",
            Self::Open => "open",
            Self::Stat => "stat",
            Self::List => "list",
            Self::Read => "read",
            Self::Write => "write",
            Self::Copy => "read the file that is copied to",
            Self::Truncate => "set the length of",
            Self::Touch => "set the time of",
            Self::Sync => "sync",
            Self::SyncDir => "sync directory",
            Self::Rename => "move into place",
            Self::Remove => "remove",
            Self::Lock => "lock",
            Self::SetPermissions => "set the permissions of",
            Self::Resolve => "resolve",
        })
    }
}
