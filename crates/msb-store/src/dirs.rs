//! Directories: made when first needed, synced by whoever depends on them, read without surprise.

use std::fs;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use crate::error::{At as _, Error, Result};
use crate::platform;
use crate::step::Step;

/// Runs `open`; when the parent of `path` is missing, makes it and runs `open` once more.
///
/// The common case, where the directory is there, costs nothing.
pub(crate) fn with_parents<T>(
    path: &Path,
    mut open: impl FnMut() -> io::Result<T>,
) -> io::Result<T> {
    match open() {
        Err(e) if e.kind() == io::ErrorKind::NotFound => {
            if let Some(parent) = path.parent() {
                fs::create_dir_all(parent)?;
            }
            open()
        }
        other => other,
    }
}

/// Brings a directory's names to stable storage.
pub(crate) fn sync(dir: &Path) -> Result<()> {
    platform::sync_dir(dir).at(Step::SyncDir, dir)
}

/// The whole of a regular file of at most `limit_bytes`; `None` when there is none.
pub(crate) fn read_capped(path: &Path, limit_bytes: u64) -> Result<Option<Vec<u8>>> {
    let file = match platform::open_no_follow(path) {
        Ok(file) => file,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
        // A link in the last place: ELOOP.
        Err(_) if path.is_symlink() => {
            return Err(Error::NotAFile {
                path: path.to_owned(),
            });
        }
        Err(e) => return Err(Error::from_io(Step::Open, path, e)),
    };
    let metadata = file.metadata().at(Step::Stat, path)?;
    if !metadata.is_file() {
        return Err(Error::NotAFile {
            path: path.to_owned(),
        });
    }
    let too_large = || Error::TooLarge {
        path: path.to_owned(),
        limit_bytes,
    };
    if metadata.len() > limit_bytes {
        return Err(too_large());
    }
    let mut bytes = Vec::new();
    // One byte past the limit tells a file that grew meanwhile.
    file.take(limit_bytes.saturating_add(1))
        .read_to_end(&mut bytes)
        .at(Step::Read, path)?;
    if u64::try_from(bytes.len()).is_ok_and(|len| len <= limit_bytes) {
        Ok(Some(bytes))
    } else {
        Err(too_large())
    }
}

/// The length of a regular file; `None` when there is none, or something else lies there.
pub(crate) fn file_len(path: &Path) -> Result<Option<u64>> {
    Ok(stat(path)?
        .filter(fs::Metadata::is_file)
        .map(|metadata| metadata.len()))
}

/// What lies at the path itself, links not followed; `None` when nothing does.
pub(crate) fn stat(path: &Path) -> Result<Option<fs::Metadata>> {
    match path.symlink_metadata() {
        Ok(metadata) => Ok(Some(metadata)),
        Err(e) if is_absent(&e) => Ok(None),
        Err(e) => Err(Error::from_io(Step::Stat, path, e)),
    }
}

/// Removes a file; `false` when there was none.
pub(crate) fn remove_file(path: &Path) -> Result<bool> {
    match fs::remove_file(path) {
        Ok(()) => Ok(true),
        Err(e) if is_absent(&e) => Ok(false),
        Err(e) => Err(Error::from_io(Step::Remove, path, e)),
    }
}

/// The entries of a directory, sorted by name; none when there is no directory.
pub(crate) fn list(dir: &Path) -> Result<Vec<PathBuf>> {
    let entries = match fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(e) if is_absent(&e) => return Ok(Vec::new()),
        Err(e) => return Err(Error::from_io(Step::List, dir, e)),
    };
    let mut paths = Vec::new();
    for entry in entries {
        paths.push(entry.at(Step::List, dir)?.path());
    }
    paths.sort();
    Ok(paths)
}

/// Nothing is there, or a file lies where a directory would have to.
fn is_absent(e: &io::Error) -> bool {
    matches!(
        e.kind(),
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
    )
}
