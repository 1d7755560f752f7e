//! Image records: what an image consists of, as the caller's own type.
//!
//! ```text
//! {"format":2,"reference":"...","platform":"...","image":{...}}
//! <CRC-32C of the first line, 8 hex digits>
//! ```
//!
//! Records of format 1 have the first line alone.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use msb_oci::Digest;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::artifact::IMAGES;
use crate::artifact::{ArtifactKey, ArtifactKind, BLOB, DISK, LAYER, LAYER_BLOB, Place};
use crate::dir::Dir;
use crate::error::{DecodeError, Error, Result};
use crate::last_line::{last_line, without_checksum};
use crate::{DiskKey, ImageKey, LayerKey, Store};

/// The artifacts that an image record names.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct References {
    /// The image's layers.
    pub layers: BTreeSet<LayerKey>,
    /// Its disks.
    pub disks: BTreeSet<DiskKey>,
    /// Its raw manifest and config.
    pub blobs: BTreeSet<Digest>,
    /// The blobs of its layers.
    #[serde(default)]
    pub layer_blobs: BTreeSet<Digest>,
}

impl References {
    /// Adds everything that `other` names.
    pub fn extend(&mut self, other: Self) {
        self.layers.extend(other.layers);
        self.disks.extend(other.disks);
        self.blobs.extend(other.blobs);
        self.layer_blobs.extend(other.layer_blobs);
    }
}

/// One record of a listing.
#[derive(Debug)]
pub struct ListedImage<T> {
    /// The record's path.
    pub path: PathBuf,
    /// Its file name.
    pub(crate) name: String,
    /// When the image was last used, as [`Store::use_image`] records it. The epoch for a record that cannot be read.
    pub used: SystemTime,
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
/// The first format whose records have a checksum.
const FIRST_WITH_CHECKSUM: u32 = 2;

/// How old the recorded time of an image's use becomes before another use is recorded.
pub const USE_INTERVAL: Duration = Duration::from_secs(300);

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
        let record = read_of(&dir, key)?;
        Ok(record.map(|record| record.image))
    }

    /// Returns the record of an image that is about to be used, as [`Self::read_image`] does, and records the time of its use, which
    /// decides what a prune with a budget removes first.
    ///
    /// The time is the record's modification time. It is written only if it is more than [`USE_INTERVAL`] old, and not at all if the
    /// directory is read-only or the record belongs to another user.
    ///
    /// # Errors
    /// As [`Self::read_image`].
    pub fn use_image<T: DeserializeOwned>(&self, key: &ImageKey) -> Result<Option<T>> {
        let Some(dir) = self.dir(IMAGES)? else {
            return Ok(None);
        };
        let Some(record) = read_of(&dir, key)? else {
            return Ok(None);
        };
        let age = SystemTime::now().duration_since(record.used);
        if age.is_ok_and(|age| age > USE_INTERVAL) {
            // A use that is not recorded makes the image a candidate for removal earlier, and no call fail.
            if let Err(error) = dir.touch(&key.file_name()) {
                tracing::debug!(%error, "the use of an image is not recorded");
            }
        }
        Ok(Some(record.image))
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
        let mut bytes = serde_json::to_vec(&Envelope {
            format: FORMAT,
            reference: key.reference(),
            platform: key.platform(),
            image,
        })
        .map_err(|source| Error::RecordEncode {
            path: path.clone(),
            source,
        })?;
        let last_line = last_line(&bytes);
        bytes.extend_from_slice(last_line.as_bytes());
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
        session.check_kind(&LAYER_BLOB, &references.layer_blobs, &mut dirs)?;
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
    pub(crate) fn check_kind<K: ArtifactKey>(
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
        Ok(self.remove_record_file(&key.file_name())?.is_some())
    }

    /// Returns the length of a record by its file name.
    pub(crate) fn record_bytes(&self, name: &str) -> Result<Option<u64>> {
        match self.dir(IMAGES)? {
            Some(dir) => dir.file_bytes(name),
            None => Ok(None),
        }
    }

    /// Removes a record by its file name; returns its length.
    pub(crate) fn remove_record_file(&self, name: &str) -> Result<Option<u64>> {
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
            let mut used = SystemTime::UNIX_EPOCH;
            let record = match read::<T>(&dir, &name) {
                // Removed since the directory was listed.
                Ok(None) => continue,
                Ok(Some(record)) if record.key.file_name() != name => Err(Error::RecordMisplaced {
                    path: path.clone(),
                    actual: Box::new(record.key),
                }),
                Ok(Some(record)) => {
                    used = record.used;
                    Ok((record.key, record.image))
                }
                Err(error) => Err(error),
            };
            found.push(ListedImage {
                path,
                name,
                used,
                record,
            });
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

/// A record that was read.
struct Read<T> {
    key: ImageKey,
    image: T,
    used: SystemTime,
}

fn read_of<T: DeserializeOwned>(dir: &Dir, key: &ImageKey) -> Result<Option<Read<T>>> {
    let name = key.file_name();
    match read(dir, &name)? {
        Some(record) if record.key != *key => Err(Error::RecordMismatch {
            path: dir.path_of(&name),
            expected: Box::new(key.clone()),
            actual: Box::new(record.key),
        }),
        record => Ok(record),
    }
}

fn read<T: DeserializeOwned>(dir: &Dir, name: &str) -> Result<Option<Read<T>>> {
    let Some((bytes, entry)) = dir.read_with_entry(name, RECORD_LIMIT_BYTES)? else {
        return Ok(None);
    };
    let newer = |found| Error::NewerRecord {
        path: dir.path_of(name),
        found,
        supported: FORMAT,
    };
    let damaged = || Error::RecordChecksum {
        path: dir.path_of(name),
    };
    // Before the format is looked at, whose number may be what is damaged.
    let (text, has_checksum) = without_checksum(&bytes).ok_or_else(damaged)?;
    match serde_json::from_slice::<Envelope<String, T>>(text) {
        Ok(envelope) if envelope.format > FORMAT => Err(newer(envelope.format)),
        Ok(envelope) if envelope.format >= FIRST_WITH_CHECKSUM && !has_checksum => Err(damaged()),
        Ok(envelope) => Ok(Some(Read {
            key: ImageKey::from_record(envelope.reference, envelope.platform),
            image: envelope.image,
            used: entry.modified,
        })),
        // A later format may not decode as ours; its number still does, and must not be taken for damage.
        Err(source) => Err(match serde_json::from_slice::<FormatOnly>(text) {
            Ok(FormatOnly { format }) if format > FORMAT => newer(format),
            _ => Error::RecordDecode {
                path: dir.path_of(name),
                source: DecodeError::from(source),
            },
        }),
    }
}
