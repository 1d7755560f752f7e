//! Image records: what an image consists of, as the caller's own type.

use std::collections::BTreeSet;
use std::path::PathBuf;

use msb_oci::Digest;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::artifact::IMAGES;
use crate::artifact::{ArtifactKey, ArtifactKind, BLOB, DISK, LAYER, Place};
use crate::dir::Dir;
use crate::error::{DecodeError, Error, Result};
use crate::{DiskKey, ImageKey, LayerKey, Store};

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
    /// Adds everything that `other` names.
    pub fn extend(&mut self, other: Self) {
        self.layers.extend(other.layers);
        self.disks.extend(other.disks);
        self.blobs.extend(other.blobs);
    }
}

/// One record of a listing.
#[derive(Debug)]
pub struct ListedImage<T> {
    /// The record's path.
    pub path: PathBuf,
    /// Its file name.
    pub(crate) name: String,
    /// The image and the caller's value, or why the record cannot be read.
    pub record: Result<(ImageKey, T)>,
}

/// A record's file. The key is in it, since a file name may be wrong.
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

const FORMAT: u32 = cache_format::RECORD;

/// The largest image record that is read, in bytes.
pub const RECORD_LIMIT_BYTES: u64 = 16 << 20;

impl Store {
    /// Returns the record of an image; `None` if there is none.
    ///
    /// # Errors
    /// [`Error::is_corrupt`] for a record that is too large, cannot be decoded, or is another image's;
    /// [`Error::NewerRecord`] for a later version's.
    pub fn read_image<T: DeserializeOwned>(&self, key: &ImageKey) -> Result<Option<T>> {
        let Some(dir) = self.dir(IMAGES)? else {
            return Ok(None);
        };
        let name = key.file_name();
        let Some((actual, image)) = read(&dir, &name)? else {
            return Ok(None);
        };
        if actual != *key {
            return Err(Error::RecordMismatch {
                path: dir.path_of(&name),
                expected: Box::new(key.clone()),
                actual: Box::new(actual),
            });
        }
        Ok(Some(image))
    }

    /// Publishes the record of an image: the last step of a pull.
    ///
    /// Every artifact of `references` must be in the store. Their directories are synced first, whichever process published
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
        let place = Place::new(IMAGES, key.file_name());
        let path = self.path_of(&place);
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
        let session = self.session();
        let _gate = session.hold_off_prune()?;
        let mut dirs = BTreeSet::new();
        session.check_kind(&LAYER, &references.layers, &mut dirs)?;
        session.check_kind(&DISK, &references.disks, &mut dirs)?;
        session.check_kind(&BLOB, &references.blobs, &mut dirs)?;
        // Before the root is synced, so that the directory's own name is durable too.
        let (images, _) = session.make_dir(IMAGES)?;
        // Deepest first: a name is durable before the name of its directory is.
        for below in dirs.iter().rev().filter(|below| !below.is_empty()) {
            if let Some(dir) = session.dir(below)? {
                dir.sync()?;
            }
        }
        session.make_dir("")?.0.sync()?;
        session.publish_bytes(place, &bytes)?;
        images.sync()
    }

    /// Checks that the files of these artifacts are there, and adds their directories and those above them to `dirs`.
    ///
    /// A process that created a directory may have died before syncing it, so a record that depends on it syncs it again.
    fn check_kind<K: ArtifactKey>(
        &self,
        kind: &ArtifactKind,
        keys: &BTreeSet<K>,
        dirs: &mut BTreeSet<String>,
    ) -> Result<()> {
        for key in keys {
            for (at, file) in kind.files.iter().enumerate() {
                let below = kind.dir(key, at);
                if dirs.insert(below.clone()) {
                    let mut levels = below.as_str();
                    while let Some((above, _)) = levels.rsplit_once('/') {
                        dirs.insert(above.to_owned());
                        levels = above;
                    }
                }
                if !file.is_required {
                    continue;
                }
                let is_there = match self.dir(&below)? {
                    Some(dir) => dir.file_bytes(&kind.file_name(key, at))?.is_some(),
                    None => false,
                };
                if !is_there {
                    return Err(Error::Vanished {
                        path: self.path_of(&kind.place(key, at)),
                    });
                }
            }
        }
        Ok(())
    }

    /// Removes the record of an image; `false` if there was none. What it named stays until it is pruned.
    pub fn remove_image(&self, key: &ImageKey) -> Result<bool> {
        Ok(self.remove_record(&key.file_name())?.is_some())
    }

    /// Removes a record by its file name; returns its length.
    pub(crate) fn remove_record(&self, name: &str) -> Result<Option<u64>> {
        let Some(dir) = self.dir(IMAGES)? else {
            return Ok(None);
        };
        let bytes = dir.file_bytes(name)?.unwrap_or(0);
        if !dir.remove_file(name)? {
            return Ok(None);
        }
        dir.sync()?;
        Ok(Some(bytes))
    }

    /// Returns every record, sorted by file name; those that cannot be read come with the reason.
    pub fn list_images<T: DeserializeOwned>(&self) -> Result<Vec<ListedImage<T>>> {
        let mut found = Vec::new();
        let Some(dir) = self.dir(IMAGES)? else {
            return Ok(found);
        };
        for name in dir.list()? {
            if !is_record_name(&name) {
                continue;
            }
            let path = dir.path_of(&name);
            let record = match read::<T>(&dir, &name) {
                // Removed since the directory was listed.
                Ok(None) => continue,
                Ok(Some((key, _))) if key.file_name() != name => Err(Error::RecordMisplaced {
                    path: path.clone(),
                    actual: Box::new(key),
                }),
                Ok(Some(record)) => Ok(record),
                Err(error) => Err(error),
            };
            found.push(ListedImage { path, name, record });
        }
        Ok(found)
    }
}

/// Returns whether [`ImageKey`] makes names like this one: `<readable>-<32 hex digits>.json`.
pub(crate) fn is_record_name(name: &str) -> bool {
    let stem = name.strip_suffix(".json");
    stem.and_then(|stem| stem.rsplit_once('-'))
        .is_some_and(|(readable, hash)| {
            !readable.starts_with(['.', '-'])
                && hash.len() == 32
                && hash.bytes().all(|b| b.is_ascii_hexdigit())
        })
}

fn read<T: DeserializeOwned>(dir: &Dir, name: &str) -> Result<Option<(ImageKey, T)>> {
    let Some(bytes) = dir.read_capped(name, RECORD_LIMIT_BYTES)? else {
        return Ok(None);
    };
    let newer = |found| Error::NewerRecord {
        path: dir.path_of(name),
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
                path: dir.path_of(name),
                source: DecodeError::from(source),
            },
        }),
    }
}
