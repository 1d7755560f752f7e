//! Pins: lasting, named holds on images.
//!
//! ```text
//! pins/<name>.pin
//!   {"reference":"...","platform":"...","artifacts":{"layers":[...],"disks":[...],"blobs":[...],"layer_blobs":[...]}}
//!   <CRC-32C of the first line, 8 hex digits>
//! ```
//!
//! A pin holds the artifacts that the image had when it was pinned, and names the image, whose record is not evicted.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::artifact::{BLOB, DISK, LAYER, LAYER_BLOB, PINS, Place};
use crate::error::{Error, Result};
use crate::last_line::{last_line, without_checksum};
use crate::record::RECORD_LIMIT_BYTES;
use crate::{ImageKey, References, Store};

/// The name of a pin: 1 to 64 letters, digits and `._-`, the first of which is a letter or a digit.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PinName(String);

/// Reports a text that is no [`PinName`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "a pin is named by 1 to {MAX_NAME_BYTES} letters, digits and `._-`, the first of which is a letter or a digit"
)]
pub struct InvalidPinName;

const MAX_NAME_BYTES: usize = 64;
const SUFFIX: &str = ".pin";

impl PinName {
    /// Returns the name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    fn file_name(&self) -> String {
        format!("{}{SUFFIX}", self.0)
    }

    /// Returns the name of the pin in a file name; `None` for a name that is not the store's.
    pub(crate) fn of_file(name: &str) -> Option<Self> {
        name.strip_suffix(SUFFIX)?.parse().ok()
    }
}

impl FromStr for PinName {
    type Err = InvalidPinName;

    fn from_str(text: &str) -> Result<Self, InvalidPinName> {
        let is_inner = |b: u8| b.is_ascii_alphanumeric() || b"._-".contains(&b);
        let is_valid = text.len() <= MAX_NAME_BYTES
            && text.starts_with(|c: char| c.is_ascii_alphanumeric())
            && text.bytes().all(is_inner);
        is_valid
            .then(|| Self(text.to_owned()))
            .ok_or(InvalidPinName)
    }
}

impl fmt::Display for PinName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A pin.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Pin {
    /// Its name.
    pub name: PinName,
    /// The image that it names.
    pub key: ImageKey,
    /// The artifacts that it holds.
    pub artifacts: References,
}

/// A pin's file.
#[derive(Serialize, Deserialize)]
struct File<S, R> {
    reference: S,
    platform: S,
    artifacts: R,
}

impl Store {
    /// Adds a pin to an image: a prune removes neither its record nor these artifacts until the pin is removed. Pinning the same image again under
    /// the same name replaces the artifacts. Blocks while a prune runs.
    ///
    /// # Errors
    /// [`Error::PinTaken`] if the name pins another image, [`Error::Vanished`] if an artifact is missing.
    pub fn pin(&self, name: &PinName, key: &ImageKey, artifacts: &References) -> Result<()> {
        let place = Place::new(PINS, name.file_name());
        let path = self.path_of(&place);
        let _gate = self.hold_off_prune()?;
        match self.read_pin(name) {
            Ok(Some(pin)) if pin.key != *key => {
                return Err(Error::PinTaken {
                    path,
                    actual: Box::new(pin.key),
                });
            }
            Err(error) if !error.is_corrupt() => return Err(error),
            // A damaged pin of this name is replaced.
            _ => {}
        }
        let mut dirs = BTreeSet::new();
        self.check_kind(&LAYER, &artifacts.layers, &mut dirs)?;
        self.check_kind(&DISK, &artifacts.disks, &mut dirs)?;
        self.check_kind(&BLOB, &artifacts.blobs, &mut dirs)?;
        self.check_kind(&LAYER_BLOB, &artifacts.layer_blobs, &mut dirs)?;
        let mut bytes = serde_json::to_vec(&File {
            reference: key.reference(),
            platform: key.platform(),
            artifacts,
        })
        .map_err(|source| Error::RecordEncode { path, source })?;
        let last_line = last_line(&bytes);
        bytes.extend_from_slice(last_line.as_bytes());
        let (pins, _) = self.make_dir(PINS)?;
        self.make_dir("")?.0.sync()?;
        self.publish_bytes(place, &bytes)?;
        pins.sync()
    }

    /// Removes a pin, also a damaged one; `false` if there was none. The image stays.
    pub fn unpin(&self, name: &PinName) -> Result<bool> {
        let Some(dir) = self.dir(PINS)? else {
            return Ok(false);
        };
        let is_removed = dir.remove_file(&name.file_name())?;
        if is_removed {
            dir.sync()?;
        }
        Ok(is_removed)
    }

    /// Returns all pins, sorted by name.
    ///
    /// # Errors
    /// [`Error::BadPin`] for a damaged one, which may hold anything.
    pub fn pins(&self) -> Result<Vec<Pin>> {
        let mut pins = Vec::new();
        let Some(dir) = self.dir(PINS)? else {
            return Ok(pins);
        };
        for name in dir.list()?.iter().filter_map(|name| PinName::of_file(name)) {
            pins.extend(self.read_pin(&name)?);
        }
        Ok(pins)
    }

    fn read_pin(&self, name: &PinName) -> Result<Option<Pin>> {
        let place = Place::new(PINS, name.file_name());
        let Some(bytes) = self.read_place(&place, RECORD_LIMIT_BYTES)? else {
            return Ok(None);
        };
        let bad = || Error::BadPin {
            path: self.path_of(&place),
        };
        let (text, has_checksum) = without_checksum(&bytes).ok_or_else(bad)?;
        let file: File<String, References> = serde_json::from_slice(text)
            .ok()
            .filter(|_| has_checksum)
            .ok_or_else(bad)?;
        Ok(Some(Pin {
            name: name.clone(),
            key: ImageKey::from_record(file.reference, file.platform),
            artifacts: file.artifacts,
        }))
    }
}
