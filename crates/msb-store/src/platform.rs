//! The calls that differ between systems: file identity, opening without following, syncing a directory.
//!
//! Linux and macOS are served by one body; `sync_all` is `F_FULLFSYNC` on macOS, which is what publishing needs.

use std::fs::{File, Metadata, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::Path;

use rustix::fs::OFlags;

/// The path still names the very file that is open, so that a lock on the file is a lock on the name.
pub(crate) fn names_same_file(path: &Path, file: &File) -> io::Result<bool> {
    let open = file.metadata()?;
    match path.symlink_metadata() {
        Ok(named) => Ok(same(&named, &open)),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(e) => Err(e),
    }
}

fn same(a: &Metadata, b: &Metadata) -> bool {
    (a.dev(), a.ino()) == (b.dev(), b.ino())
}

/// Opens for reading: never through a link in the last place, never waiting for the other end of a fifo.
pub(crate) fn open_no_follow(path: &Path) -> io::Result<File> {
    OpenOptions::new()
        .read(true)
        .custom_flags(no_follow_flags())
        .open(path)
}

/// Opens for reading and writing, under the same conditions; some network file systems lock no other kind of handle.
pub(crate) fn open_rw_no_follow(path: &Path) -> io::Result<File> {
    OpenOptions::new()
        .read(true)
        .write(true)
        .custom_flags(no_follow_flags())
        .open(path)
}

/// Opens for reading and writing, creating if absent, under the same conditions.
pub(crate) fn open_or_create_no_follow(path: &Path) -> io::Result<File> {
    OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .custom_flags(no_follow_flags())
        .open(path)
}

fn no_follow_flags() -> i32 {
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
    i32::try_from(flags.bits())
        .expect("open flags are a C int on every system, and these two are small")
}

/// Brings a file's bytes and length to stable storage.
pub(crate) fn sync_file(file: &File, _path: &Path) -> io::Result<()> {
    #[cfg(test)]
    crate::order::note("sync", _path);
    file.sync_all()
}

/// Gives a file another name in the same directory, at once.
pub(crate) fn rename(from: &Path, to: &Path) -> io::Result<()> {
    #[cfg(test)]
    crate::order::note("name", to);
    std::fs::rename(from, to)
}

/// Brings a directory's names to stable storage.
pub(crate) fn sync_dir(path: &Path) -> io::Result<()> {
    #[cfg(test)]
    crate::order::note("sync", path);
    match File::open(path)?.sync_all() {
        // Some file systems have no such operation on directories, and keep names in order by themselves or not at all.
        Err(e)
            if matches!(
                e.kind(),
                io::ErrorKind::InvalidInput | io::ErrorKind::Unsupported
            ) =>
        {
            Ok(())
        }
        other => other,
    }
}

/// Reads at an offset without moving the file's own position, which a clone of the handle would share.
pub(crate) fn read_at(file: &File, buffer: &mut [u8], offset_bytes: u64) -> io::Result<usize> {
    file.read_at(buffer, offset_bytes)
}

/// Writes all at an offset, leaving the file's position alone.
pub(crate) fn write_all_at(file: &File, bytes: &[u8], offset_bytes: u64) -> io::Result<()> {
    file.write_all_at(bytes, offset_bytes)
}
