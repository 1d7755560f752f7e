//! Removing what dead writers left: their temporary files and the lock files that no process holds.

use fs4::{FileExt, TryLockError};
use msb_oci::{Algorithm, Digest};

use crate::artifact::{ALGORITHMS, ArtifactKind, IMAGES, KINDS, LOCKS, PINS, is_root_name};
use crate::dir::Dir;
use crate::error::Result;
use crate::lock::LockOn;
use crate::marker::{MARKER, store_dirs};
use crate::pin::PinName;
use crate::record::is_record_name;
use crate::space::RESERVATION;
use crate::step::Step;
use crate::temporary::temporary_target;
use crate::{LayerKey, Store};

/// How many files were removed, and how many bytes they had.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Swept {
    /// Number of files.
    pub files: u64,
    /// Sum of their lengths.
    pub bytes: u64,
}

impl Store {
    /// Removes the temporary files whose writers are dead, in any process.
    ///
    /// A live writer holds a lock on its file. Age decides nothing: a slow pull is not dead, and a crash a second ago is.
    pub fn sweep_stale_temporaries(&self) -> Result<Swept> {
        let mut swept = Swept::default();
        let session = self.session();
        for (below, writes) in dirs_with_temporaries() {
            let Some(dir) = session.dir(&below)? else {
                continue;
            };
            for name in dir.list()? {
                if temporary_target(&name).is_some_and(|target| writes.are(target))
                    && let Some(bytes) = remove_if_unlocked(&dir, &name)?
                {
                    swept.files += 1;
                    swept.bytes = swept.bytes.saturating_add(bytes);
                }
            }
        }
        Ok(swept)
    }

    /// Removes the lock files that no process holds; returns how many. A process that waits for one notices that it lost its
    /// name, and creates another.
    pub(crate) fn sweep_unused_locks(&self) -> Result<u64> {
        let Some(dir) = self.dir(LOCKS)? else {
            return Ok(0);
        };
        let mut removed = 0;
        for name in dir.list()? {
            // Not the gate, which this very prune holds.
            if LockOn::is_name(&name) && remove_if_unlocked(&dir, &name)?.is_some() {
                removed += 1;
            }
        }
        Ok(removed)
    }

    /// Returns whether any directory of the layout exists.
    pub(crate) fn has_content(&self) -> Result<bool> {
        for dir in store_dirs() {
            if self.dir(dir)?.is_some() {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

/// Returns every directory in which files are staged, and which.
fn dirs_with_temporaries() -> impl Iterator<Item = (String, Writes)> {
    let kinds = KINDS.into_iter().flat_map(|kind| {
        ALGORITHMS.map(|algorithm| {
            let writes = Writes::Artifacts(kind, algorithm);
            (kind.algorithm_dir(algorithm), writes)
        })
    });
    let others = [
        (String::new(), Writes::Root),
        (IMAGES.to_owned(), Writes::Records),
        (PINS.to_owned(), Writes::Pins),
        (LOCKS.to_owned(), Writes::Reservations),
    ];
    others.into_iter().chain(kinds)
}

/// The files that the store writes in a directory.
#[derive(Debug, Clone, Copy)]
enum Writes {
    /// The marker and descriptors.
    Root,
    Records,
    Pins,
    Reservations,
    Artifacts(&'static ArtifactKind, Algorithm),
}

impl Writes {
    /// Returns whether a file of this name is one of them.
    fn are(self, name: &str) -> bool {
        match self {
            Self::Root => name == MARKER || is_root_name(name),
            Self::Records => is_record_name(name),
            Self::Pins => PinName::of_file(name).is_some(),
            Self::Reservations => name == RESERVATION,
            Self::Artifacts(kind, algorithm) if kind.is_versioned => {
                kind.key_of::<LayerKey>(algorithm, name).is_some()
            }
            Self::Artifacts(kind, algorithm) => kind.key_of::<Digest>(algorithm, name).is_some(),
        }
    }
}

/// Removes a file that no process holds a lock on; returns its length if it was removed.
pub(crate) fn remove_if_unlocked(dir: &Dir, name: &str) -> Result<Option<u64>> {
    let Some(file) = dir.open_existing(name)? else {
        return Ok(None);
    };
    match FileExt::try_lock(&file) {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => return Ok(None),
        Err(TryLockError::Error(e)) => return Err(dir.error(Step::Lock, name, e)),
    }
    // It may have been published or dropped between the listing and the lock; then the name is gone for good.
    if !dir.names_same_file(name, &file)? {
        return Ok(None);
    }
    let bytes = dir.file_bytes(name)?.unwrap_or(0);
    Ok(dir.remove_file(name)?.then_some(bytes))
}
