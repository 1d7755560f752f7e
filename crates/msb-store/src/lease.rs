//! Leases: a disk in use is not pruned, nor its layers and documents.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::time::Duration;

use fs4::{FileExt, TryLockError};
use msb_oci::Digest;

use crate::artifact::{LEASE, LEASE_LOCK, LEASE_REFERENCES};
use crate::dir::Dir;
use crate::error::{Error, Result};
use crate::lock::Request;
use crate::step::Step;
use crate::{DiskKey, FormatVersion, LayerKey, References, Store};

/// A shared lock on a disk, its layers and its documents; any number may exist, in any number of processes.
///
/// It ends when the last handle on its file is closed: when the last clone is dropped, or with the process, so the lease
/// of a VM that died ends by itself. A child process that inherits the descriptor of [`Lease::inheritable_fd`] holds the lease on
/// its own.
#[derive(Debug, Clone)]
#[must_use = "the lease ends when the last clone of this is dropped"]
pub struct Lease {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    file: File,
    key: DiskKey,
}

impl Lease {
    /// Returns the disk that is leased.
    #[must_use]
    pub fn key(&self) -> &DiskKey {
        &self.inner.key
    }

    /// Returns a new descriptor of the lease that child processes inherit, since it is not closed on `exec`.
    ///
    /// Every child that this process starts while it is open inherits it; close it once the VM process has been started.
    pub fn inheritable_fd(&self) -> io::Result<OwnedFd> {
        Ok(rustix::io::dup(self.as_fd())?)
    }
}

/// The descriptor is closed on `exec`; see [`Lease::inheritable_fd`].
impl AsFd for Lease {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.inner.file.as_fd()
    }
}

impl Store {
    /// Leases a disk, the layers that it consists of, and blobs: documents and blobs of layers. They need not be in the store yet.
    ///
    /// A pull takes the lease before it looks for artifacts, so that no prune removes what it finds or publishes; a VM takes it
    /// before it looks for the disk. Layers and blobs are noted beside the lease, since the image record that names them may be
    /// removed while the disk is in use. Blocks while a prune runs.
    ///
    /// # Errors
    /// [`Error::Busy`] after a timeout.
    pub fn lease(&self, key: &DiskKey, layers: &[LayerKey], blobs: &[Digest]) -> Result<Lease> {
        let _gate = self.hold_off_prune()?;
        self.add_leased(key, layers, blobs)?;
        // Only a prune locks exclusively, and the gate excludes it; anything else is over in a moment.
        let mut request = Request::new(self, LEASE.place(key, LEASE_LOCK));
        let file = request.wait_with(FileExt::try_lock_shared, TIMEOUT)?;
        let key = key.clone();
        Ok(Lease {
            inner: Arc::new(Inner { file, key }),
        })
    }

    /// Adds layers and blobs to what the lease's note names; mostly it names them already.
    fn add_leased(&self, key: &DiskKey, layers: &[LayerKey], blobs: &[Digest]) -> Result<()> {
        let place = LEASE.place(key, LEASE_REFERENCES);
        let noted = match self.read_place(&place, REFERENCES_LIMIT_BYTES) {
            Ok(bytes) => bytes.and_then(|bytes| parse_references(&bytes)),
            Err(error) if error.is_corrupt() => None,
            Err(error) => return Err(error),
        };
        let mut all = References {
            layers: layers.iter().cloned().collect(),
            blobs: blobs.iter().cloned().collect(),
            ..References::default()
        };
        if let Some(noted) = noted {
            if all.layers.is_subset(&noted.layers) && all.blobs.is_subset(&noted.blobs) {
                return Ok(());
            }
            all.extend(noted);
        }
        let layers = all.layers.iter();
        let mut text: String = layers
            .map(|layer| format!("{} {}\n", layer.diff_id, layer.version))
            .collect();
        text.extend(all.blobs.iter().map(|blob| format!("{blob}\n")));
        // A lease does not outlive a crash of the system, and neither need its note.
        self.publish_hint(place, text.as_bytes())
    }

    /// Returns whether any process holds a lease on the disk at this moment.
    pub fn is_leased(&self, key: &DiskKey) -> Result<bool> {
        let place = LEASE.place(key, LEASE_LOCK);
        let Some(dir) = self.dir(&place.dir)? else {
            return Ok(false);
        };
        let Some(file) = dir.open_existing(&place.name)? else {
            return Ok(false);
        };
        match FileExt::try_lock(&file) {
            Ok(()) => Ok(false),
            Err(TryLockError::WouldBlock) => Ok(true),
            Err(TryLockError::Error(e)) => Err(dir.error(Step::Lock, &place.name, e)),
        }
    }

    /// Returns what each leased disk keeps; called behind the gate alone.
    ///
    /// Lease files that no process holds are removed; the next lease creates them again.
    pub(crate) fn leased(&self) -> Result<Vec<References>> {
        self.each_lease(|dir, key| {
            dir.remove_file(&LEASE.file_name(key, LEASE_LOCK))?;
            dir.remove_file(&LEASE.file_name(key, LEASE_REFERENCES))?;
            Ok(())
        })
    }

    /// Returns what each leased disk keeps at this moment. Changes nothing.
    pub(crate) fn leased_now(&self) -> Result<Vec<References>> {
        self.each_lease(|_, _| Ok(()))
    }

    /// Returns what each leased disk keeps, and calls `unused` with every lease that no process holds.
    fn each_lease(
        &self,
        mut unused: impl FnMut(&Dir, &DiskKey) -> Result<()>,
    ) -> Result<Vec<References>> {
        let mut found = Vec::new();
        for key in self.keys::<DiskKey>(&LEASE)? {
            let Some(dir) = self.dir(&LEASE.dir(&key, LEASE_LOCK))? else {
                continue;
            };
            let note = LEASE.file_name(&key, LEASE_REFERENCES);
            if self.is_leased(&key)? {
                let mut leased = dir
                    .read_capped(&note, REFERENCES_LIMIT_BYTES)?
                    .and_then(|bytes| parse_references(&bytes))
                    .ok_or_else(|| Error::BadLease {
                        path: dir.path_of(&note),
                    })?;
                leased.disks.insert(key);
                found.push(leased);
            } else {
                unused(&dir, &key)?;
            }
        }
        Ok(found)
    }
}

/// Tens of thousands of layers.
const REFERENCES_LIMIT_BYTES: u64 = 4 << 20;
const TIMEOUT: Duration = Duration::from_secs(60);

/// Parses a note: one layer (`<digest> v<version>`) or blob (`<digest>`) on each line.
fn parse_references(bytes: &[u8]) -> Option<References> {
    let mut noted = References::default();
    for line in std::str::from_utf8(bytes).ok()?.lines() {
        match line.split_once(' ') {
            Some((diff_id, version)) => {
                let version = FormatVersion::from_name(version)?;
                noted
                    .layers
                    .insert(LayerKey::new(diff_id.parse().ok()?, version));
            }
            None => {
                noted.blobs.insert(line.parse().ok()?);
            }
        }
    }
    Some(noted)
}
