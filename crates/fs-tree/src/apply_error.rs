use crate::{TreeError, show_path};

/// Reports why a layer cannot be applied. Every variant names the path of the entry.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ApplyError {
    /// A parent of the entry is a file of the same layer. An implied parent replaces a file of a lower layer.
    #[error(
        "{}: a parent of this path is a file of the same layer",
        show_path(path)
    )]
    ParentNotADirectory {
        /// The path whose parents were walked.
        path: Vec<u8>,
    },
    /// The symbolic links among the entry's parents form a loop, or are more than 40.
    #[error(
        "{}: too many symbolic links among the parents of this path",
        show_path(path)
    )]
    SymlinkLoop {
        /// The path whose parents were walked.
        path: Vec<u8>,
    },
    /// The root can only be a directory.
    #[error("the root is described as something other than a directory")]
    RootNotADirectory,
    /// A hard link to nothing.
    #[error(
        "{}: hard link to {}, which does not exist",
        show_path(path),
        show_path(target)
    )]
    LinkTargetMissing {
        /// The new name.
        path: Vec<u8>,
        /// What it should link to.
        target: Vec<u8>,
    },
    /// A hard link to a directory.
    #[error(
        "{}: hard link to {}, which is a directory",
        show_path(path),
        show_path(target)
    )]
    LinkToDirectory {
        /// The new name.
        path: Vec<u8>,
        /// What it should link to.
        target: Vec<u8>,
    },
    /// The tree cannot hold the entry.
    #[error("{}: cannot be added", show_path(path))]
    Tree {
        /// The entry.
        path: Vec<u8>,
        /// Why.
        source: TreeError,
    },
}
