//! Exclusive locks by name, across tasks and processes.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use fs4::{FileExt, TryLockError};
use msb_oci::Digest;

use crate::dirs::with_parents;
use crate::error::{At as _, Error, Result};
use crate::step::Step;
use crate::{DiskKey, ImageKey, Store, platform, random};

/// An exclusive lock, held until it is dropped or the process dies, whichever way.
///
/// It excludes other tasks of this process as well as other processes. Lock files are never deleted, so a holder and a
/// waiter always mean the same file; should someone delete one by hand, both notice and meet again on the new one.
#[derive(Debug)]
#[must_use = "the lock is released when this is dropped"]
pub struct Lock {
    file: File,
    path: PathBuf,
    waited: bool,
}

impl Lock {
    /// Somebody else held it first: what they did meanwhile is worth a look before doing it again.
    pub fn waited(&self) -> bool {
        self.waited
    }

    pub(crate) fn file(&self) -> &File {
        &self.file
    }

    /// The lock file.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // Closing the handle would do, if no child process had inherited it between fork and exec.
        if let Err(error) = FileExt::unlock(&self.file) {
            tracing::debug!(%error, path = %self.path.display(), "unlocking failed; closing releases the lock");
        }
    }
}

/// What a lock is on. Nobody may wait for one while holding another of the same kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum LockOn<'a> {
    /// Making or removing a layer, in any format version.
    Layer(&'a Digest),
    /// Making or removing a disk.
    Disk(&'a DiskKey),
    /// Resolving and recording an image.
    Image(&'a ImageKey),
}

impl LockOn<'_> {
    pub(crate) fn file_name(&self) -> String {
        match self {
            Self::Layer(diff_id) => format!("layer-{}-{}.lock", diff_id.algorithm(), diff_id.hex()),
            Self::Disk(key) => format!("disk-{}-{}.lock", key.chain.algorithm(), key.dir_name()),
            Self::Image(key) => format!("image-{}.lock", key.stem()),
        }
    }
}

impl Store {
    /// Locks the layer of this `diff_id`; see [`Self::lock`].
    pub async fn lock_layer(&self, diff_id: &Digest) -> Result<Lock> {
        self.lock(LockOn::Layer(diff_id), || {}).await
    }

    /// Locks the disk; see [`Self::lock`].
    pub async fn lock_disk(&self, key: &DiskKey) -> Result<Lock> {
        self.lock(LockOn::Disk(key), || {}).await
    }

    /// Locks the image; see [`Self::lock`].
    pub async fn lock_image(&self, key: &ImageKey) -> Result<Lock> {
        self.lock(LockOn::Image(key), || {}).await
    }

    /// Waits for the lock; calls `on_wait` once, if somebody else holds it.
    ///
    /// Waiting is trying again after a sleep with jitter, so dropping the future ends it at once and no thread is
    /// held. It needs a tokio runtime with its timer on, if there is anything to wait for.
    pub async fn lock(&self, on: LockOn<'_>, on_wait: impl FnOnce() + Send) -> Result<Lock> {
        let path = self.lock_path(&on.file_name());
        let mut candidate = None;
        let mut on_wait = Some(on_wait);
        let mut pause = FIRST_PAUSE;
        loop {
            if let Some(file) = try_exclusive(&path, &mut candidate)? {
                return Ok(Lock {
                    file,
                    path,
                    waited: on_wait.is_none(),
                });
            }
            if let Some(on_wait) = on_wait.take() {
                on_wait();
            }
            tokio::time::sleep(random::jittered(pause)).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    /// The lock, if nobody holds it.
    pub fn try_lock(&self, on: LockOn<'_>) -> Result<Option<Lock>> {
        let path = self.lock_path(&on.file_name());
        Ok(try_exclusive(&path, &mut None)?.map(|file| Lock {
            file,
            path,
            waited: false,
        }))
    }

    /// Keeps pruning out for a moment, together with everybody else who does so.
    pub(crate) fn hold_off_prune(&self) -> Result<Gate> {
        Gate::wait(self.lock_path(GATE), FileExt::try_lock_shared)
    }

    /// Keeps recording and leasing out, for as long as a prune takes.
    pub(crate) fn begin_prune(&self) -> Result<Gate> {
        Gate::wait(self.lock_path(GATE), FileExt::try_lock)
    }
}

/// The lock file between recording and leasing (shared) and pruning (exclusive).
const GATE: &str = "prune.lock";
const FIRST_PAUSE: Duration = Duration::from_millis(2);
const LONGEST_PAUSE: Duration = Duration::from_millis(100);
/// Well past the longest prune: who holds the gate for longer has been stopped, not delayed.
const GATE_PATIENCE: Duration = Duration::from_secs(120);

/// Held around a change that a prune must see whole. Its holders never wait for anything else.
#[derive(Debug)]
pub(crate) struct Gate {
    file: File,
}

impl Gate {
    fn wait(path: PathBuf, lock: fn(&File) -> Result<(), TryLockError>) -> Result<Self> {
        let begun = Instant::now();
        let mut candidate = None;
        let mut pause = FIRST_PAUSE;
        loop {
            if let Some(file) = try_with(&path, &mut candidate, lock)? {
                return Ok(Self { file });
            }
            if begun.elapsed() >= GATE_PATIENCE {
                return Err(Error::Busy {
                    path,
                    waited_seconds: begun.elapsed().as_secs(),
                });
            }
            std::thread::sleep(random::jittered(pause));
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }
}

impl Drop for Gate {
    fn drop(&mut self) {
        if let Err(error) = FileExt::unlock(&self.file) {
            tracing::debug!(%error, "unlocking failed; closing releases the lock");
        }
    }
}

/// The locked file, or `None` when somebody else holds it; `candidate` keeps the open file from one try to the next.
fn try_exclusive(path: &Path, candidate: &mut Option<File>) -> Result<Option<File>> {
    try_with(path, candidate, FileExt::try_lock)
}

pub(crate) fn try_with(
    path: &Path,
    candidate: &mut Option<File>,
    lock: fn(&File) -> Result<(), TryLockError>,
) -> Result<Option<File>> {
    loop {
        let file = match candidate.take() {
            Some(file) => file,
            None => with_parents(path, || platform::open_or_create_no_follow(path))
                .at(Step::Open, path)?,
        };
        match lock(&file) {
            // A lock on a file that has lost its name excludes nobody.
            Ok(()) if platform::names_same_file(path, &file).at(Step::Stat, path)? => {
                return Ok(Some(file));
            }
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                if platform::names_same_file(path, &file).at(Step::Stat, path)? {
                    *candidate = Some(file);
                }
                return Ok(None);
            }
            Err(TryLockError::Error(e)) => return Err(Error::from_io(Step::Lock, path, e)),
        }
    }
}
