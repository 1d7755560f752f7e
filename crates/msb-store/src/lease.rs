//! Leases: who uses a disk keeps it, and its layers, from being pruned.

use std::collections::BTreeSet;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::Duration;

use fs4::{FileExt, TryLockError};

use crate::error::{Error, Result};
use crate::key::LEASES;
use crate::step::Step;
use crate::{DiskKey, FormatVersion, LayerKey, Store, dirs, lock, platform};

/// A shared lock on a disk and its layers; any number may exist, in any number of processes.
///
/// It ends when the last handle on its file is closed: on drop, or with the process, so a dead VM's lease is gone by
/// itself. A child process that inherits the descriptor (see [`AsFd`]) keeps the lease alive on its own.
#[derive(Debug)]
#[must_use = "the lease ends when this is dropped"]
pub struct Lease {
    file: File,
    key: DiskKey,
}

impl Lease {
    /// The disk that is leased.
    pub fn key(&self) -> &DiskKey {
        &self.key
    }
}

impl AsFd for Lease {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}

impl Store {
    /// Leases a disk and the layers that it is made of, which need not be in the store yet.
    ///
    /// A pull takes it before it looks what is there, and nothing that it finds or makes is pruned under its hands; a
    /// VM takes it before it looks whether the disk is there. The layers are noted beside the lease, since
    /// the image record that named them may be removed while the disk is in use. Blocks while a prune runs.
    pub fn lease(&self, key: &DiskKey, layers: &[LayerKey]) -> Result<Lease> {
        let _gate = self.hold_off_prune()?;
        self.note_layers(key, layers)?;
        let path = self.lease_path(key);
        loop {
            // Only a prune locks exclusively, and it is behind the gate; a stray one is soon gone.
            if let Some(file) = lock::try_with(&path, &mut None, FileExt::try_lock_shared)? {
                return Ok(Lease {
                    file,
                    key: key.clone(),
                });
            }
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// Adds the layers to what the lease's note names; mostly it names them already, since the chain decides them.
    fn note_layers(&self, key: &DiskKey, layers: &[LayerKey]) -> Result<()> {
        let path = self.lease_layers_path(key);
        let noted = match dirs::read_capped(&path, NOTE_LIMIT_BYTES) {
            Ok(bytes) => bytes.and_then(|bytes| parse_note(&bytes)),
            Err(error) if error.is_corrupt() => None,
            Err(error) => return Err(error),
        };
        let mut all: BTreeSet<&LayerKey> = layers.iter().collect();
        if let Some(noted) = &noted {
            if all.iter().all(|layer| noted.contains(layer)) {
                return Ok(());
            }
            all.extend(noted);
        }
        let text: String = all
            .iter()
            .map(|layer| format!("{} {}\n", layer.diff_id, layer.version))
            .collect();
        self.publish_bytes(&path, text.as_bytes())
    }

    /// Whether anybody holds a lease on the disk at this moment.
    pub fn is_leased(&self, key: &DiskKey) -> Result<bool> {
        let path = self.lease_path(key);
        let file = match platform::open_rw_no_follow(&path) {
            Ok(file) => file,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(false),
            Err(e) => return Err(Error::from_io(Step::Open, &path, e)),
        };
        match FileExt::try_lock(&file) {
            Ok(()) => Ok(false),
            Err(TryLockError::WouldBlock) => Ok(true),
            Err(TryLockError::Error(e)) => Err(Error::from_io(Step::Lock, &path, e)),
        }
    }

    /// Every leased disk with its layers; to be called behind the gate alone.
    ///
    /// Lease files that nobody holds, of disks that are gone, are removed on the way.
    pub(crate) fn leased(&self) -> Result<Vec<(DiskKey, BTreeSet<LayerKey>)>> {
        let mut found = Vec::new();
        for (key, path) in self.scan(LEASES, |digest, name| {
            let (hex, version) = name.strip_suffix(".lease")?.rsplit_once('.')?;
            Some(DiskKey::new(
                digest(hex)?,
                FormatVersion::from_name(version)?,
            ))
        })? {
            if !self.is_leased(&key)? {
                if dirs::stat(&self.disk_dir(&key))?.is_none() {
                    dirs::remove_file(&path)?;
                    dirs::remove_file(&self.lease_layers_path(&key))?;
                }
                continue;
            }
            let noted = self.lease_layers_path(&key);
            let layers = dirs::read_capped(&noted, NOTE_LIMIT_BYTES)?
                .and_then(|bytes| parse_note(&bytes))
                .ok_or(Error::BadLease { path: noted })?;
            found.push((key, layers));
        }
        Ok(found)
    }
}

/// Tens of thousands of layers.
const NOTE_LIMIT_BYTES: u64 = 4 << 20;

/// One `<digest> v<version>` a line.
fn parse_note(bytes: &[u8]) -> Option<BTreeSet<LayerKey>> {
    std::str::from_utf8(bytes)
        .ok()?
        .lines()
        .map(|line| {
            let (diff_id, version) = line.split_once(' ')?;
            Some(LayerKey::new(
                diff_id.parse().ok()?,
                FormatVersion::from_name(version)?,
            ))
        })
        .collect()
}
