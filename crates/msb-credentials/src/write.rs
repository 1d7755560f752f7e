//! Changing a credential file as a whole.
//!
//! ```text
//!   follow links ─▶ lock the directory ─▶ read ─▶ edit ─▶ temporary file beside (0600) ─▶ fsync ─▶ rename ─▶ fsync directory
//! ```

use std::fs::{DirBuilder, File};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, PermissionsExt as _, fchown};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::fs::{FlockOperation, flock};
use zeroize::Zeroizing;

use crate::json_text::ObjectText;
use crate::{Error, read};

/// Longest chain of symbolic links, as in the kernel.
const MAX_LINKS: usize = 40;
/// How long to wait for another process that changes the same file; a change takes milliseconds.
const LOCK_TIMEOUT: Duration = Duration::from_secs(5);

/// Replaces the content of a file by the result of `edit`; an absent file is empty text. Returns whether it was changed.
///
/// `edit` returns `None` to leave the file alone.
pub(crate) fn update(
    path: &Path,
    edit: impl FnOnce(&[u8]) -> Result<Option<ObjectText>, Error>,
) -> Result<bool, Error> {
    let failed = |source| Error::Write {
        path: path.to_owned(),
        source,
    };
    let target = follow_links(path).map_err(failed)?;
    let folder = match target.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    let mut builder = DirBuilder::new();
    builder.recursive(true).mode(0o700);
    builder.create(folder).map_err(failed)?;
    let handle = File::open(folder).map_err(failed)?;
    lock(&handle, path)?;
    let old = read::read(&target)?;
    let empty = Zeroizing::default();
    let Some(new) = edit(old.as_ref().unwrap_or(&empty))? else {
        return Ok(false);
    };
    replace(&target, folder, new.as_bytes()).map_err(failed)?;
    // Some file systems cannot sync directories; the file is complete either way.
    let _ = handle.sync_all();
    Ok(true)
}

fn replace(target: &Path, folder: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut prefix = std::ffi::OsString::from(".");
    prefix.push(target.file_name().unwrap_or_default());
    prefix.push(".");
    let mut temporary = tempfile::Builder::new()
        .prefix(&prefix)
        .permissions(std::fs::Permissions::from_mode(0o600))
        .tempfile_in(folder)?;
    temporary.write_all(bytes)?;
    if let Ok(old) = std::fs::metadata(target) {
        let new = temporary.as_file().metadata()?;
        if (old.uid(), old.gid()) != (new.uid(), new.gid()) {
            // Only root may; a file of another user that cannot be kept as theirs is still replaced.
            let _ = fchown(temporary.as_file(), Some(old.uid()), Some(old.gid()));
        }
    }
    temporary.as_file().sync_all()?;
    temporary.persist(target)?;
    Ok(())
}

/// Returns where a path leads; the last link may lead to nothing yet.
fn follow_links(path: &Path) -> io::Result<PathBuf> {
    let mut path = path.to_owned();
    for _ in 0..MAX_LINKS {
        match std::fs::read_link(&path) {
            Ok(next) => {
                let folder = path.parent().unwrap_or(Path::new(""));
                path = folder.join(next);
            }
            // No link, or nothing at all.
            Err(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::InvalidInput | io::ErrorKind::NotFound
                ) =>
            {
                return Ok(path);
            }
            Err(error) => return Err(error),
        }
    }
    Err(rustix::io::Errno::LOOP.into())
}

/// Waits for the lock on a directory, which is released when the handle is closed.
fn lock(folder: &File, path: &Path) -> Result<(), Error> {
    let deadline = Instant::now() + LOCK_TIMEOUT;
    loop {
        match flock(folder, FlockOperation::NonBlockingLockExclusive) {
            Err(rustix::io::Errno::WOULDBLOCK | rustix::io::Errno::INTR) => {}
            // Network file systems cannot lock directories. Docker and podman take no lock at all.
            Ok(()) | Err(_) => return Ok(()),
        }
        if Instant::now() >= deadline {
            return Err(Error::Locked {
                path: path.to_owned(),
            });
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}
