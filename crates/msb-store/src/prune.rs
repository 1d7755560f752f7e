//! Removing what no image needs, nobody uses, and nobody has just made.

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use msb_oci::Digest;
use serde::de::DeserializeOwned;

use crate::error::{At as _, Error, Result};
use crate::lock::LockOn;
use crate::step::Step;
use crate::{DiskKey, ImageKey, LayerKey, References, Store, Swept, dirs};

/// What a prune may remove.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct PruneOptions {
    /// Nothing that was written more recently than this is removed, needed or not. 10 minutes by default.
    pub grace: Duration,
    /// Remove the image records that cannot be decoded, instead of refusing to prune because of them.
    pub remove_corrupt_records: bool,
}

impl Default for PruneOptions {
    fn default() -> Self {
        Self {
            grace: Duration::from_secs(600),
            remove_corrupt_records: false,
        }
    }
}

impl PruneOptions {
    /// The defaults, with another grace age.
    pub fn with_grace(grace: Duration) -> Self {
        Self {
            grace,
            ..Self::default()
        }
    }
}

/// What a prune removed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Pruned {
    /// The layers removed.
    pub layers: Vec<LayerKey>,
    /// The disks removed.
    pub disks: Vec<DiskKey>,
    /// The blobs removed.
    pub blobs: Vec<Digest>,
    /// How many parts were removed.
    pub partial_blobs: u64,
    /// How many image records were removed since they could not be decoded.
    pub corrupt_records: u64,
    /// How many leavings of dead writers were removed.
    pub temporaries: u64,
    /// The lengths of all of these, summed.
    pub bytes: u64,
}

/// What became of an artifact that was to be removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Removal {
    /// It was there, and is no longer.
    Removed,
    /// There was nothing.
    Absent,
    /// Somebody holds its lock or a lease on it, or has just published it anew.
    InUse,
}

impl Store {
    /// Removes every layer, disk and blob that no image record refers to, as `references` tells for each record.
    ///
    /// Stale parts and the temporary files of dead writers go as well. Left alone are: what is leased and the layers
    /// of it, what somebody holds the lock of, and what is younger than the grace age. No record is published and no lease
    /// taken while this runs; they wait, so `references` must do neither.
    ///
    /// # Errors
    /// A record that cannot be read might refer to anything, so it is an error, and nothing is removed; see
    /// [`PruneOptions::remove_corrupt_records`]. A later version's record is always an error.
    pub fn prune<T: DeserializeOwned>(
        &self,
        options: &PruneOptions,
        mut references: impl FnMut(&ImageKey, T) -> References,
    ) -> Result<Pruned> {
        let _gate = self.begin_prune()?;
        let mut pruned = Pruned::default();
        let mut keep = References::default();
        let mut corrupt = Vec::new();
        for listed in self.list_images()? {
            match listed.record {
                Ok((key, image)) => keep.extend(references(&key, image)),
                Err(error) if error.is_corrupt() && options.remove_corrupt_records => {
                    corrupt.push(listed.path)
                }
                Err(error) => return Err(error),
            }
        }
        for leased in self.leased()? {
            keep.extend(leased);
        }
        for path in corrupt {
            pruned.bytes = pruned
                .bytes
                .saturating_add(dirs::file_len(&path)?.unwrap_or(0));
            pruned.corrupt_records += u64::from(self.remove_record(&path)?);
        }
        self.prune_unreferenced(options, &keep, &mut pruned)?;
        let Swept { files, bytes } = self.sweep_stale_temporaries()?;
        pruned.temporaries = files;
        pruned.bytes = pruned.bytes.saturating_add(bytes);
        Ok(pruned)
    }

    fn prune_unreferenced(
        &self,
        options: &PruneOptions,
        keep: &References,
        pruned: &mut Pruned,
    ) -> Result<()> {
        let grace = Grace(Some((SystemTime::now(), options.grace)));
        // Disks before their layers: a descriptor never points at a file that is gone.
        for disk in self.disks()? {
            if !keep.disks.contains(&disk.key)
                && grace.is_over(disk.modified)
                && self.remove_disk_files(&disk.key, &grace)? == Removal::Removed
            {
                pruned.bytes = pruned.bytes.saturating_add(disk.bytes);
                pruned.disks.push(disk.key);
            }
        }
        for layer in self.layers()? {
            if !keep.layers.contains(&layer.key)
                && grace.is_over(layer.modified)
                && self.remove_layer_files(&layer.key, &grace)? == Removal::Removed
            {
                pruned.bytes = pruned.bytes.saturating_add(layer.bytes);
                pruned.layers.push(layer.key);
            }
        }
        for blob in self.blobs()? {
            if !keep.blobs.contains(&blob.key)
                && grace.is_over(blob.modified)
                && self.remove_blob(&blob.key)?
            {
                pruned.bytes = pruned.bytes.saturating_add(blob.bytes);
                pruned.blobs.push(blob.key);
            }
        }
        for part in self.partial_blobs()? {
            // Only its lock tells whether a pull has it open; opening it takes the lock.
            if grace.is_over(part.modified)
                && let Some(open) = self.open_partial_blob(&part.key, u64::MAX)?
            {
                open.discard()?;
                pruned.partial_blobs += 1;
                pruned.bytes = pruned.bytes.saturating_add(part.bytes);
            }
        }
        Ok(())
    }

    /// Removes a layer, unless somebody holds its lock or a lease that keeps it.
    ///
    /// Whether an image record or a disk needs it is the caller's to know; [`Self::prune`] does.
    pub fn remove_layer(&self, key: &LayerKey) -> Result<Removal> {
        let _gate = self.begin_prune()?;
        if self
            .leased()?
            .iter()
            .any(|leased| leased.layers.contains(key))
        {
            return Ok(Removal::InUse);
        }
        self.remove_layer_files(key, &Grace::NONE)
    }

    /// Removes a disk, unless somebody holds its lock or a lease on it.
    pub fn remove_disk(&self, key: &DiskKey) -> Result<Removal> {
        let _gate = self.begin_prune()?;
        if self.is_leased(key)? {
            return Ok(Removal::InUse);
        }
        self.remove_disk_files(key, &Grace::NONE)
    }

    fn remove_layer_files(&self, key: &LayerKey, grace: &Grace) -> Result<Removal> {
        let Some(_lock) = self.try_lock(LockOn::Layer(&key.diff_id))? else {
            return Ok(Removal::InUse);
        };
        // The sidecar speaks for the layer, so it goes first.
        remove_if_old(
            &[
                self.layer_sidecar_path(key),
                self.layer_image_path(key),
                self.verified_blobs_path(key),
            ],
            grace,
        )
    }

    fn remove_disk_files(&self, key: &DiskKey, grace: &Grace) -> Result<Removal> {
        let Some(_lock) = self.try_lock(LockOn::Disk(key))? else {
            return Ok(Removal::InUse);
        };
        let removal = remove_if_old(&[self.vmdk_path(key), self.fsmeta_path(key)], grace)?;
        if removal != Removal::InUse && remove_empty_dir(&self.disk_dir(key))? {
            return Ok(Removal::Removed);
        }
        Ok(removal)
    }

    /// Removes a blob; `false` when there was none. Whoever needs it writes it again.
    pub fn remove_blob(&self, digest: &Digest) -> Result<bool> {
        dirs::remove_file(&self.blob_path(digest))
    }
}

/// Removes the files in this order, if none of them is younger than the grace age.
///
/// Called under the artifact's lock: it may have been published anew since it was listed.
fn remove_if_old(paths: &[PathBuf], grace: &Grace) -> Result<Removal> {
    for path in paths {
        if let Some(metadata) = dirs::stat(path)?
            && !grace.is_over(metadata.modified().at(Step::Stat, path)?)
        {
            return Ok(Removal::InUse);
        }
    }
    let mut removal = Removal::Absent;
    for path in paths {
        if dirs::remove_file(path)? {
            removal = Removal::Removed;
        }
    }
    Ok(removal)
}

/// `false` when there is none, or a live writer's temporary file keeps it.
fn remove_empty_dir(dir: &Path) -> Result<bool> {
    match std::fs::remove_dir(dir) {
        Ok(()) => Ok(true),
        Err(e)
            if matches!(
                e.kind(),
                std::io::ErrorKind::NotFound
                    | std::io::ErrorKind::DirectoryNotEmpty
                    | std::io::ErrorKind::NotADirectory
            ) =>
        {
            Ok(false)
        }
        Err(e) => Err(Error::from_io(Step::Remove, dir, e)),
    }
}

/// The time of a prune and the age below which nothing is removed; `None` when age does not matter.
struct Grace(Option<(SystemTime, Duration)>);

impl Grace {
    const NONE: Self = Self(None);

    /// A time in the future, after the clock was set back, is young.
    fn is_over(&self, modified: SystemTime) -> bool {
        self.0
            .is_none_or(|(now, grace)| now.duration_since(modified).is_ok_and(|age| age >= grace))
    }
}
