//! Opening directories and reading what lies at a name: the calls that differ between systems.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::{Duration, SystemTime};

use rustix::fs::{AtFlags, FileType, Mode, OFlags, Stat};
use rustix::io::Errno;

const DIRECTORY: OFlags = OFlags::RDONLY
    .union(OFlags::DIRECTORY)
    .union(OFlags::NOFOLLOW)
    .union(OFlags::CLOEXEC);

/// Opens a directory and follows links: for the root alone.
pub(crate) fn open_root(path: &std::path::Path) -> io::Result<OwnedFd> {
    let flags = DIRECTORY.difference(OFlags::NOFOLLOW);
    Ok(rustix::fs::open(path, flags, Mode::empty())?)
}

/// Opens the directory `below`, such as `layers/sha256`, without following a link at any level.
pub(crate) fn open_dir_beneath(dir: BorrowedFd<'_>, below: &str) -> io::Result<OwnedFd> {
    #[cfg(target_os = "linux")]
    if let Some(opened) = open_at_once(dir, below) {
        return opened;
    }
    open_by_levels(dir, below)
}

/// Opens all levels with one call; `None` if the system lacks it.
#[cfg(target_os = "linux")]
fn open_at_once(dir: BorrowedFd<'_>, below: &str) -> Option<io::Result<OwnedFd>> {
    use std::sync::atomic::{AtomicBool, Ordering};

    use rustix::fs::ResolveFlags;

    static IS_MISSING: AtomicBool = AtomicBool::new(false);
    if IS_MISSING.load(Ordering::Relaxed) {
        return None;
    }
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS;
    match rustix::fs::openat2(dir, below, DIRECTORY, Mode::empty(), resolve) {
        // EPERM comes from seccomp filters that do not know the call.
        Err(Errno::NOSYS | Errno::PERM) => {
            IS_MISSING.store(true, Ordering::Relaxed);
            None
        }
        // A rename in parallel; the other way needs no such retry.
        Err(Errno::AGAIN) => None,
        opened => Some(opened.map_err(io::Error::from)),
    }
}

fn open_by_levels(dir: BorrowedFd<'_>, below: &str) -> io::Result<OwnedFd> {
    let mut opened: Option<OwnedFd> = None;
    for level in below.split('/') {
        let from = opened.as_ref().map_or(dir, AsFd::as_fd);
        opened = Some(open_level(from, level)?);
    }
    opened.ok_or_else(|| Errno::NOENT.into())
}

/// Opens one directory by its name in another.
pub(crate) fn open_level(dir: BorrowedFd<'_>, name: &str) -> io::Result<OwnedFd> {
    Ok(rustix::fs::openat(dir, name, DIRECTORY, Mode::empty())?)
}

/// Returns whether a directory could not be opened because a link or a file has its name.
pub(crate) fn is_no_directory(error: &io::Error) -> bool {
    matches!(
        Errno::from_io_error(error),
        Some(Errno::LOOP | Errno::NOTDIR | Errno::XDEV)
    )
}

/// Returns whether a file could not be opened because something else than a regular file has its name: a link, a socket, a
/// device without a driver, a directory.
pub(crate) fn is_no_file(error: &io::Error) -> bool {
    matches!(
        Errno::from_io_error(error),
        Some(Errno::LOOP | Errno::NXIO | Errno::ISDIR | Errno::NODEV | Errno::OPNOTSUPP)
    )
}

/// What lies at a name, links not followed, or in an open file.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Entry {
    pub(crate) kind: FileType,
    /// Permission bits with set-user-ID, set-group-ID and sticky.
    pub(crate) mode: Mode,
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    pub(crate) link_count: u64,
    pub(crate) bytes: u64,
    pub(crate) modified: SystemTime,
    /// Device and inode.
    identity: (u64, u64),
}

impl Entry {
    pub(crate) fn at(dir: BorrowedFd<'_>, name: &str) -> io::Result<Self> {
        let stat = rustix::fs::statat(dir, name, AtFlags::SYMLINK_NOFOLLOW)?;
        Ok(Self::new(&stat))
    }

    pub(crate) fn of(open: impl AsFd) -> io::Result<Self> {
        Ok(Self::new(&rustix::fs::fstat(open)?))
    }

    fn new(stat: &Stat) -> Self {
        let seconds = Duration::from_secs(unsigned(stat.st_mtime));
        let nanoseconds = Duration::from_nanos(unsigned(stat.st_mtime_nsec));
        Self {
            kind: FileType::from_raw_mode(stat.st_mode),
            mode: Mode::from_raw_mode(stat.st_mode),
            uid: stat.st_uid,
            gid: stat.st_gid,
            link_count: unsigned(stat.st_nlink),
            bytes: unsigned(stat.st_size),
            modified: SystemTime::UNIX_EPOCH
                .checked_add(seconds + nanoseconds)
                .unwrap_or(SystemTime::UNIX_EPOCH),
            identity: (unsigned(stat.st_dev), unsigned(stat.st_ino)),
        }
    }

    pub(crate) fn is_file(&self) -> bool {
        self.kind == FileType::RegularFile
    }

    pub(crate) fn is_dir(&self) -> bool {
        self.kind == FileType::Directory
    }

    pub(crate) fn is_same(&self, other: &Self) -> bool {
        self.identity == other.identity
    }
}

/// Converts a number of `stat`, whose types differ between systems; 0 for a negative one, such as a time before 1970.
fn unsigned(number: impl TryInto<u64>) -> u64 {
    number.try_into().unwrap_or(0)
}

/// Writes a file's bytes and length to stable storage; `F_FULLFSYNC` on macOS.
pub(crate) fn sync_file(file: &File) -> io::Result<()> {
    file.sync_all()
}

/// Writes a directory's names to stable storage.
pub(crate) fn sync_dir(dir: BorrowedFd<'_>) -> io::Result<()> {
    match rustix::fs::fsync(dir) {
        // Some file systems have no such operation on directories, and keep names in order by themselves or not at all.
        Ok(()) | Err(Errno::INVAL | Errno::OPNOTSUPP | Errno::NOSYS) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_level_of_a_path_may_be_a_link_with_either_way_of_opening() {
        let temp = tempfile::tempdir().unwrap();
        let root = temp.path();
        std::fs::create_dir_all(root.join("a/b/c")).unwrap();
        std::fs::create_dir(root.join("a/file-not")).unwrap();
        std::fs::write(root.join("file"), "").unwrap();
        for (target, link) in [
            ("a", "link"),
            ("b", "a/link"),
            ("c", "a/b/link"),
            ("..", "up"),
        ] {
            std::os::unix::fs::symlink(target, root.join(link)).unwrap();
        }
        let dir = open_root(root).unwrap();
        type Open = fn(BorrowedFd<'_>, &str) -> io::Result<OwnedFd>;
        for open in [open_dir_beneath as Open, open_by_levels as Open] {
            for good in ["a", "a/b", "a/b/c"] {
                assert!(open(dir.as_fd(), good).is_ok(), "{good}");
            }
            for bad in [
                "link", "link/b", "a/link", "a/link/c", "a/b/link", "up", "file",
            ] {
                let error = open(dir.as_fd(), bad).unwrap_err();
                assert!(is_no_directory(&error), "{bad}: {error}");
            }
            let error = open(dir.as_fd(), "a/none/c").unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::NotFound);
        }
    }
}
