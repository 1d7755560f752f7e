//! A file that is written beside its target and becomes it whole, or not at all.

use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use fs4::{FileExt, TryLockError};

use crate::dirs::{self, with_parents};
use crate::error::{At as _, Error, Result};
use crate::step::Step;
use crate::{Store, platform, random};

/// A file being written under a temporary name in its target's own directory.
///
/// ```text
///   stage ──▶ Staged ──sync──▶ Synced ──publish──▶ the target, whole
///                │                │
///                └── drop ────────┴── drop ──▶ nothing is left
/// ```
///
/// While it lives it holds an exclusive lock on the temporary file, which is how a sweep tells it from the leavings of
/// a process that died. The handle is open for reading and writing.
#[derive(Debug)]
pub struct Staged {
    /// `None` only after `sync` has moved it on.
    temporary: Temporary,
}

/// A staged file whose bytes are on stable storage, and which only lacks its name.
#[derive(Debug)]
#[must_use = "an unpublished file is removed"]
pub struct Synced {
    temporary: Temporary,
}

/// Removes the file on drop unless it was renamed.
#[derive(Debug)]
struct Temporary {
    file: File,
    path: PathBuf,
    target: PathBuf,
    published: bool,
}

impl Store {
    /// Starts a file that is to become `target`, a path below this store's root; makes the directory if need be.
    pub fn stage(&self, target: &Path) -> Result<Staged> {
        debug_assert!(
            target.starts_with(self.root()),
            "a target is one of the store's own paths"
        );
        Ok(Staged {
            temporary: Temporary::create(target)?,
        })
    }

    /// Stages a file with these bytes and publishes it.
    pub(crate) fn publish_bytes(&self, target: &Path, bytes: &[u8]) -> Result<()> {
        let staged = self.stage(target)?;
        staged
            .file()
            .write_all(bytes)
            .map_err(|source| staged.write_error(source, bytes.len().try_into().ok()))?;
        staged.publish()
    }
}

impl Staged {
    /// The file, open for reading and writing, at first empty.
    pub fn file(&self) -> &File {
        &self.temporary.file
    }

    /// A second handle on the same open file, sharing its position; for a writer that wants to own one.
    ///
    /// The file counts as live for as long as either exists.
    pub fn try_clone_file(&self) -> Result<File> {
        self.file().try_clone().at(Step::Open, self.path())
    }

    /// The temporary path.
    pub fn path(&self) -> &Path {
        &self.temporary.path
    }

    /// The path that the file is to have.
    pub fn target(&self) -> &Path {
        &self.temporary.target
    }

    /// Wraps what a write to [`Self::file`] answered, with the number of bytes that the whole file was to have.
    pub fn write_error(&self, source: io::Error, needed_bytes: Option<u64>) -> Error {
        let error = Error::from_io(Step::Write, self.path(), source);
        match needed_bytes {
            Some(bytes) => error.with_needed_bytes(bytes),
            None => error,
        }
    }

    /// Brings the bytes to stable storage. This is the slow half of publishing, and needs no lock but the file's own.
    pub fn sync(self) -> Result<Synced> {
        // Also where a full disk shows itself on file systems that allocate late.
        platform::sync_file(self.file(), self.path()).at(Step::Sync, self.path())?;
        Ok(Synced {
            temporary: self.temporary,
        })
    }

    /// Syncs the file and gives it its name.
    pub fn publish(self) -> Result<()> {
        self.sync()?.publish()
    }
}

impl Synced {
    /// The path that the file is to have.
    pub fn target(&self) -> &Path {
        &self.temporary.target
    }

    /// Gives the file its name. The name is durable when an image record that depends on it is published.
    pub fn publish(self) -> Result<()> {
        publish_all([self])
    }
}

/// Gives the files their names in this order.
///
/// The file whose presence speaks for the others goes last (a layer's sidecar, a disk's descriptor). A crash halfway
/// may leave any of the names, each with all of its bytes; a failure halfway leaves the first of them, in order.
///
/// The directories are not synced: [`Store::write_image`] does that, once for all that it names.
pub fn publish_all(files: impl IntoIterator<Item = Synced>) -> Result<()> {
    for mut synced in files {
        let temporary = &mut synced.temporary;
        platform::rename(&temporary.path, &temporary.target).at(Step::Rename, &temporary.target)?;
        temporary.published = true;
    }
    Ok(())
}

impl Temporary {
    fn create(target: &Path) -> Result<Self> {
        loop {
            let path = temporary_path(target);
            let mut options = OpenOptions::new();
            options.read(true).write(true).create_new(true);
            let file = match with_parents(&path, || options.open(&path)) {
                Err(e) if e.kind() == io::ErrorKind::AlreadyExists => continue,
                other => other.at(Step::Create, &path)?,
            };
            // From here on the file is removed if anything fails.
            let this = Self {
                file,
                path,
                target: target.to_owned(),
                published: false,
            };
            match FileExt::try_lock(&this.file) {
                // A sweep can get in between creating and locking; then the name is gone, and another is tried.
                Ok(())
                    if platform::names_same_file(&this.path, &this.file)
                        .at(Step::Stat, &this.path)? =>
                {
                    return Ok(this);
                }
                Ok(()) | Err(TryLockError::WouldBlock) => {}
                Err(TryLockError::Error(e)) => {
                    return Err(Error::from_io(Step::Lock, &this.path, e));
                }
            }
        }
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        if self.published {
            return;
        }
        // The lock goes with the handle, after this, so no sweep meets the file in between.
        if let Err(error) = dirs::remove_file(&self.path) {
            tracing::warn!(%error, "a temporary file stays behind until the next sweep");
        }
    }
}

const PREFIX: &str = ".tmp-";

/// `.tmp-<pid>-<random>.<name>`, in the target's directory: the pid is for people, the lock is what counts.
fn temporary_path(target: &Path) -> PathBuf {
    let mut name = std::ffi::OsString::from(format!(
        "{PREFIX}{}-{:016x}.",
        std::process::id(),
        random::number()
    ));
    name.push(target.file_name().unwrap_or_default());
    target.with_file_name(name)
}

/// Whether a file name is one that [`temporary_path`] makes.
pub(crate) fn is_temporary(path: &Path) -> bool {
    path.file_name()
        .is_some_and(|name| name.as_encoded_bytes().starts_with(PREFIX.as_bytes()))
}
