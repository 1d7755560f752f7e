//! Exclusive locks by name, across tasks and processes.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use fs4::{FileExt, TryLockError};
use msb_oci::Digest;

use crate::artifact::{ALGORITHMS, DISK, LOCKS, Place};
use crate::error::{Error, Result, Shown};
use crate::step::Step;
use crate::{DiskKey, Store, random};

/// An exclusive lock, held until it is dropped or the process ends in any way.
///
/// It excludes other tasks of this process as well as other processes. A lock file is removed only by a prune that holds its
/// lock; every other process notices that the file lost its name, and locks the new one.
#[derive(Debug)]
#[must_use = "the lock is released when this is dropped"]
pub struct Lock {
    file: File,
    path: PathBuf,
    /// Whether the file had a report of an earlier holder when it was locked.
    pub(crate) has_earlier_report: bool,
}

impl Lock {
    pub(crate) fn file(&self) -> &File {
        &self.file
    }

    /// Returns the path of the lock file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        unlock(&self.file);
    }
}

/// What a lock is on. A task never waits for one while it holds another of the same kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum LockOn<'a> {
    /// Building, publishing or removing a layer, in any format version.
    Layer(&'a Digest),
    /// Building, publishing or removing a disk.
    Disk(&'a DiskKey),
}

impl LockOn<'_> {
    pub(crate) fn place(&self) -> Place {
        let name = match self {
            Self::Layer(diff_id) => format!("layer-{}-{}.lock", diff_id.algorithm(), diff_id.hex()),
            Self::Disk(key) => {
                format!("disk-{}-{}.lock", key.chain.algorithm(), DISK.stem(*key))
            }
        };
        Place::new(LOCKS, name)
    }

    /// Returns whether a file in the directory of locks has a name that [`Self::place`] makes.
    pub(crate) fn is_name(name: &str) -> bool {
        let key = || {
            let (kind, rest) = name.strip_suffix(".lock")?.split_once('-')?;
            let (algorithm, key) = rest.split_once('-')?;
            Some((kind, algorithm, key))
        };
        match key() {
            Some(("layer", algorithm, hex)) => {
                format!("{algorithm}:{hex}").parse::<Digest>().is_ok()
            }
            Some(("disk", algorithm, stem)) => ALGORITHMS.into_iter().any(|known| {
                known.to_string() == algorithm && DISK.key_of_stem::<DiskKey>(known, stem).is_some()
            }),
            _ => false,
        }
    }
}

const FIRST_PAUSE: Duration = Duration::from_millis(2);
const LONGEST_PAUSE: Duration = Duration::from_millis(100);
/// How often a wait is logged.
const LOG_INTERVAL: Duration = Duration::from_secs(30);

impl Store {
    /// Takes the lock if no other task or process holds it. Blocks on file I/O, never on the lock: callers that wait try again later.
    ///
    /// # Errors
    /// [`Error::Io`] if the lock file cannot be opened or locked.
    pub fn try_lock(&self, on: LockOn<'_>) -> Result<Option<Lock>> {
        let mut request = Request::new(self, on.place());
        let tried = request.try_in(self, FileExt::try_lock)?;
        Ok(tried.map(|file| Lock {
            file,
            path: request.path,
            has_earlier_report: request.bytes > 0,
        }))
    }
}

/// A lock that is being asked for. It keeps the open file from one try to the next.
#[derive(Debug)]
pub(crate) struct Request {
    store: Store,
    place: Place,
    pub(crate) path: PathBuf,
    candidate: Option<File>,
    /// The file's length when it was last tried.
    bytes: u64,
}

/// More rounds than any race lasts that is not an attack.
const MAX_ROUNDS: u32 = 64;

impl Request {
    pub(crate) fn new(store: &Store, place: Place) -> Self {
        Self {
            store: store.clone(),
            path: store.path_of(&place),
            place,
            candidate: None,
            bytes: 0,
        }
    }

    /// Locks the file with `lock`; `None` if another process holds it.
    pub(crate) fn try_with(
        &mut self,
        lock: fn(&File) -> Result<(), TryLockError>,
    ) -> Result<Option<File>> {
        self.try_in(&self.store.clone(), lock)
    }

    /// Locks the file with `lock` as [`Self::try_with`] does, below the directories that `store` may have open.
    fn try_in(
        &mut self,
        store: &Store,
        lock: fn(&File) -> Result<(), TryLockError>,
    ) -> Result<Option<File>> {
        let name = &self.place.name;
        for _ in 0..MAX_ROUNDS {
            let (dir, modes) = store.make_dir(&self.place.dir)?;
            let file = match self.candidate.take() {
                // The directory may be another one since the file was opened.
                Some(file) if dir.names_same_file(name, &file)? => file,
                _ => dir.open_or_create(name, &modes)?,
            };
            let is_locked = match lock(&file) {
                Ok(()) => true,
                Err(TryLockError::WouldBlock) => false,
                Err(TryLockError::Error(e)) => return Err(dir.error(Step::Lock, name, e)),
            };
            // A lock on a file that has lost its name excludes nothing.
            let Some(entry) = dir.own_file(name, &file, &modes)? else {
                continue;
            };
            self.bytes = entry.bytes;
            if is_locked {
                return Ok(Some(file));
            }
            self.candidate = Some(file);
            return Ok(None);
        }
        Err(Error::NotAFile {
            path: self.path.clone(),
        })
    }

    /// Locks the file with `lock`, sleeping between tries on this thread.
    ///
    /// # Errors
    /// [`Error::Busy`] after `timeout`.
    pub(crate) fn wait_with(
        &mut self,
        lock: fn(&File) -> Result<(), TryLockError>,
        timeout: Duration,
    ) -> Result<File> {
        let mut wait = Wait::new(timeout);
        loop {
            if let Some(file) = self.try_with(lock)? {
                return Ok(file);
            }
            std::thread::sleep(wait.next_pause(&self.path)?);
        }
    }
}

/// The pauses of a wait: longer and longer, logged now and then, bounded in all.
struct Wait {
    begun: Instant,
    timeout: Duration,
    pause: Duration,
    next_log: Duration,
}

impl Wait {
    fn new(timeout: Duration) -> Self {
        Self {
            begun: Instant::now(),
            timeout,
            pause: FIRST_PAUSE,
            next_log: LOG_INTERVAL,
        }
    }

    fn next_pause(&mut self, path: &Path) -> Result<Duration> {
        let waited = self.begun.elapsed();
        if waited >= self.timeout {
            return Err(Error::Busy {
                path: path.to_owned(),
                waited_seconds: waited.as_secs(),
            });
        }
        if waited >= self.next_log {
            self.next_log += LOG_INTERVAL;
            let seconds = waited.as_secs();
            tracing::warn!(path = %Shown(path), seconds, "waiting for a lock that another process holds");
        }
        let pause = random::jittered(self.pause);
        self.pause = (self.pause * 2).min(LONGEST_PAUSE);
        Ok(pause)
    }
}

/// Unlocks a file, of which a child process may have inherited another handle.
pub(crate) fn unlock(file: &File) {
    if let Err(error) = FileExt::unlock(file) {
        tracing::debug!(%error, "unlocking failed; closing releases the lock");
    }
}
