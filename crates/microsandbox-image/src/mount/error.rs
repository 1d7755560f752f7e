use std::io;
use std::path::{Path, PathBuf};

use escape_text::escape_path;
use rustix::io::Errno;

/// Reports why a disk cannot be mounted or unmounted.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MountError {
    /// A directory or a file of the disk does not exist or cannot be used.
    #[error("{}: looking it up", path.display())]
    Path {
        /// The path.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// A path is longer than the kernel accepts as an option of a mount.
    #[error(
        "{}: a path of {bytes} bytes: the kernel mounts no path of more than {limit}",
        escape_path(path)
    )]
    PathTooLong {
        /// The path.
        path: PathBuf,
        /// Its length in bytes.
        bytes: usize,
        /// The greatest length in bytes.
        limit: usize,
    },
    /// The process may not mount.
    #[error("{}: {step}: it needs root's rights (CAP_SYS_ADMIN)", target.display())]
    NotPermitted {
        /// The directory to mount on.
        target: PathBuf,
        /// The step.
        step: &'static str,
    },
    /// The kernel lacks what a mount needs: the new mount API, EROFS, overlays, or mounts of files.
    #[error("{}: {step}: the kernel cannot do it; it needs Linux {needed} with EROFS and overlay support", target.display())]
    Kernel {
        /// The directory to mount on.
        target: PathBuf,
        /// The step.
        step: &'static str,
        /// The first version of Linux that can.
        needed: &'static str,
    },
    /// There is a mount on the directory already.
    #[error("{}: something is mounted on it already", target.display())]
    AlreadyMounted {
        /// The directory.
        target: PathBuf,
    },
    /// There is no mount on the directory.
    #[error("{}: nothing is mounted on it", target.display())]
    NotMounted {
        /// The directory.
        target: PathBuf,
    },
    /// The mount on the directory is not of this cache.
    #[error("{}: the {file_system} mount of {} is not of this cache", target.display(), escape_path(mounted))]
    Foreign {
        /// The directory.
        target: PathBuf,
        /// The type of its file system.
        file_system: String,
        /// Its source.
        mounted: PathBuf,
    },
    /// A process uses the mount, or an upper directory is in use.
    #[error("{}: {step}: a process is using it", target.display())]
    Busy {
        /// The directory.
        target: PathBuf,
        /// The step.
        step: &'static str,
    },
    /// The kernel refused a step.
    #[error("{}: {step}{message}", target.display())]
    Refused {
        /// The directory to mount on.
        target: PathBuf,
        /// The step.
        step: &'static str,
        /// What the kernel reported, escaped, in parentheses; may be empty.
        message: String,
        /// The cause.
        source: io::Error,
    },
    /// The table of mounts cannot be read.
    #[error("reading the table of mounts")]
    Table {
        /// The cause.
        source: io::Error,
    },
    /// The directories of an overlay cannot be prepared.
    #[error("{}: {step}", path.display())]
    Upper {
        /// The directory.
        path: PathBuf,
        /// The step.
        step: &'static str,
        /// The cause.
        source: io::Error,
    },
}

impl MountError {
    /// Returns the error of a step that the kernel refused.
    pub(super) fn refused(target: &Path, step: &'static str, message: &str, error: Errno) -> Self {
        let target = target.to_path_buf();
        match error {
            Errno::PERM => Self::NotPermitted { target, step },
            Errno::BUSY => Self::Busy { target, step },
            // No such system call, no such file system, or EROFS needs a block device because it cannot use files.
            Errno::NOSYS | Errno::NODEV | Errno::NOTBLK => Self::Kernel {
                target,
                step,
                needed: "6.12",
            },
            error => Self::Refused {
                target,
                step,
                message: message.to_owned(),
                source: error.into(),
            },
        }
    }
}
