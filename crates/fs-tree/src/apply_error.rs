use crate::{TreeError, show_path};

/// Why a layer cannot be applied. Variants contain the path of the entry.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ApplyError {
    /// A parent of the entry is a file of the same layer. An implied parent replaces a file of a lower layer.
    #[error(
        "{}: a parent of this path is a file of the same layer",
        show_path(path)
    )]
    ParentNotADirectory {
        /// The path of the entry.
        path: Vec<u8>,
    },
    /// The symbolic links among the entry's parents form a loop, or are more than 40.
    #[error(
        "{}: too many symbolic links among the parents of this path",
        show_path(path)
    )]
    SymlinkLoop {
        /// The path of the entry.
        path: Vec<u8>,
    },
    /// The root can only be a directory.
    #[error("the root is not a directory")]
    RootNotADirectory,
    /// The target of a hard link does not exist.
    #[error(
        "{}: hard link to {}, which does not exist",
        show_path(path),
        show_path(target)
    )]
    LinkTargetMissing {
        /// The new name.
        path: Vec<u8>,
        /// The missing target.
        target: Vec<u8>,
    },
    /// The target of a hard link is a directory.
    #[error(
        "{}: hard link to {}, which is a directory",
        show_path(path),
        show_path(target)
    )]
    LinkToDirectory {
        /// The new name.
        path: Vec<u8>,
        /// The directory.
        target: Vec<u8>,
    },
    /// The tree refused the entry.
    #[error("{}: cannot be added", show_path(path))]
    Tree {
        /// The path of the entry.
        path: Vec<u8>,
        /// The reason.
        source: TreeError,
    },
}
