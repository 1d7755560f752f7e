//! Image records: what an image is made of, in the caller's words.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use msb_oci::Digest;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::error::{At as _, DecodeError, Error, Result};
use crate::key::IMAGES;
use crate::step::Step;
use crate::{DiskKey, ImageKey, LayerKey, Store, dirs};

/// The artifacts that an image record names.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct References {
    /// The image's layers.
    pub layers: BTreeSet<LayerKey>,
    /// Its stitched disks.
    pub disks: BTreeSet<DiskKey>,
    /// Its raw manifest and config.
    pub blobs: BTreeSet<Digest>,
}

impl References {
    /// Adds all that `other` names.
    pub fn extend(&mut self, other: Self) {
        self.layers.extend(other.layers);
        self.disks.extend(other.disks);
        self.blobs.extend(other.blobs);
    }
}

/// What a listing found under one record's name.
#[derive(Debug)]
pub struct ListedImage<T> {
    /// The record's path.
    pub path: PathBuf,
    /// Which image, and the caller's value; or why it cannot be read.
    pub record: Result<(ImageKey, T)>,
}

/// A record's file: the key is in it, since a file name can lie.
#[derive(Serialize, Deserialize)]
struct Envelope<S, T> {
    format: u32,
    reference: S,
    platform: S,
    image: T,
}

/// The one field that every format has.
#[derive(Deserialize)]
struct FormatOnly {
    format: u32,
}

const FORMAT: u32 = 1;

/// The largest image record that is read, in bytes.
pub const RECORD_LIMIT_BYTES: u64 = 16 << 20;

impl Store {
    /// The record of an image; `None` when there is none.
    ///
    /// # Errors
    /// [`Error::is_corrupt`] for a record that is too large, cannot be decoded, or is another image's;
    /// [`Error::NewerRecord`] for a later version's.
    pub fn read_image<T: DeserializeOwned>(&self, key: &ImageKey) -> Result<Option<T>> {
        let path = self.image_record_path(key);
        let Some((actual, image)) = read(&path)? else {
            return Ok(None);
        };
        if actual != *key {
            return Err(Error::RecordMismatch {
                path,
                expected: Box::new(key.clone()),
                actual: Box::new(actual),
            });
        }
        Ok(Some(image))
    }

    /// Publishes the record of an image: the last step of a pull.
    ///
    /// Every artifact of `references` must be in the store. Their directories are synced first, whoever published
    /// there, so a record that survives a crash never names what did not; its own directory is synced last. No prune runs in
    /// between.
    ///
    /// # Errors
    /// [`Error::Vanished`] when an artifact is missing: do that part of the pull again.
    pub fn write_image<T: Serialize>(
        &self,
        key: &ImageKey,
        image: &T,
        references: &References,
    ) -> Result<()> {
        let path = self.image_record_path(key);
        let bytes = serde_json::to_vec(&Envelope {
            format: FORMAT,
            reference: key.reference(),
            platform: key.platform(),
            image,
        })
        .map_err(|source| Error::RecordEncode {
            path: path.clone(),
            source,
        })?;
        if u64::try_from(bytes.len()).map_or(true, |len| len > RECORD_LIMIT_BYTES) {
            return Err(Error::TooLarge {
                path,
                limit_bytes: RECORD_LIMIT_BYTES,
            });
        }
        let _gate = self.hold_off_prune()?;
        let named = self.paths_of(references);
        for artifact in &named {
            if dirs::file_len(artifact)?.is_none() {
                return Err(Error::Vanished {
                    path: artifact.clone(),
                });
            }
        }
        // Before the root is synced, so that the directory's own name is durable too.
        let dir = self.root().join(IMAGES);
        std::fs::create_dir_all(&dir).at(Step::Create, &dir)?;
        self.sync_ancestors(named.iter().map(PathBuf::as_path))?;
        self.publish_bytes(&path, &bytes)?;
        dirs::sync(&dir)
    }

    /// Removes the record of an image; `false` when there was none. What it named stays until it is pruned.
    pub fn remove_image(&self, key: &ImageKey) -> Result<bool> {
        self.remove_record(&self.image_record_path(key))
    }

    /// Removes a record by the path that a listing gave; for those that cannot be read.
    pub fn remove_record(&self, path: &Path) -> Result<bool> {
        let removed = dirs::remove_file(path)?;
        if removed && let Some(dir) = path.parent() {
            dirs::sync(dir)?;
        }
        Ok(removed)
    }

    /// Every record, sorted by file name; those that cannot be read come with the reason.
    pub fn list_images<T: DeserializeOwned>(&self) -> Result<Vec<ListedImage<T>>> {
        let mut found = Vec::new();
        for path in dirs::list(&self.root().join(IMAGES))? {
            if path.extension().is_none_or(|extension| extension != "json")
                || crate::staged::is_temporary(&path)
            {
                continue;
            }
            let record = match read::<T>(&path) {
                // Removed since the directory was listed.
                Ok(None) => continue,
                Ok(Some((key, _))) if self.image_record_path(&key) != path => {
                    Err(Error::RecordMisplaced {
                        path: path.clone(),
                        actual: Box::new(key),
                    })
                }
                Ok(Some(record)) => Ok(record),
                Err(error) => Err(error),
            };
            found.push(ListedImage { path, record });
        }
        Ok(found)
    }

    /// The files whose presence means that all of `references` is there.
    fn paths_of(&self, references: &References) -> Vec<PathBuf> {
        let mut paths = Vec::new();
        for layer in &references.layers {
            paths.push(self.layer_image_path(layer));
            paths.push(self.layer_sidecar_path(layer));
        }
        for disk in &references.disks {
            paths.push(self.fsmeta_path(disk));
            paths.push(self.vmdk_path(disk));
        }
        for blob in &references.blobs {
            paths.push(self.blob_path(blob));
        }
        paths
    }
}

fn read<T: DeserializeOwned>(path: &Path) -> Result<Option<(ImageKey, T)>> {
    let Some(bytes) = dirs::read_capped(path, RECORD_LIMIT_BYTES)? else {
        return Ok(None);
    };
    let newer = |found| Error::NewerRecord {
        path: path.to_owned(),
        found,
        supported: FORMAT,
    };
    match serde_json::from_slice::<Envelope<String, T>>(&bytes) {
        Ok(envelope) if envelope.format > FORMAT => Err(newer(envelope.format)),
        Ok(envelope) => Ok(Some((
            ImageKey::from_record(envelope.reference, envelope.platform),
            envelope.image,
        ))),
        // A later format may not decode as ours; its number still does, and must not be taken for damage.
        Err(source) => Err(match serde_json::from_slice::<FormatOnly>(&bytes) {
            Ok(FormatOnly { format }) if format > FORMAT => newer(format),
            _ => Error::RecordDecode {
                path: path.to_owned(),
                source: DecodeError::from(source),
            },
        }),
    }
}
