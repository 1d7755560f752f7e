use msb_oci::Reference;
use msb_platform::Platform;
use msb_store::PinName;
use serde::{Deserialize, Serialize};

use super::keys::image_key;
use super::lookup;
use super::record::ImageRecord;
use super::{CacheError, GlobalCache};

/// A lasting, named hold on an image.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ImagePin {
    /// The name of the pin.
    pub name: String,
    /// The reference of the image, in full.
    pub reference: String,
    /// The platform that the image was pulled for.
    pub platform: String,
}

impl GlobalCache {
    /// Adds a pin of this name to a cached image: until [`unpin`](Self::unpin), no prune removes it, whatever the budget, and
    /// [`remove`](Self::remove) refuses to. If the reference is pulled again and names another image then, the files of both stay.
    ///
    /// Blocks on file I/O.
    ///
    /// # Errors
    /// [`CacheError::NotCached`] if the image is not cached or lacks a file; [`CacheError::Store`], for example if the name pins another
    /// image.
    pub fn pin(
        &self,
        name: &PinName,
        reference: &Reference,
        platform: &Platform,
    ) -> Result<(), CacheError> {
        let (store, key) = (self.existing()?, image_key(reference, platform));
        let record = match store.use_image::<ImageRecord>(&key)? {
            Some(record) if lookup::is_whole(store, &record)? => record,
            _ => {
                return Err(CacheError::NotCached {
                    reference: Box::new(reference.clone()),
                    platform: Box::new(platform.clone()),
                });
            }
        };
        let mut references = record.references();
        for layer in &record.layers {
            if store.layer_blob_bytes(&layer.digest)?.is_none() {
                references.layer_blobs.remove(&layer.digest);
            }
        }
        Ok(store.pin(name, &key, &references)?)
    }

    /// Removes a pin; `false` if there was none. The image stays.
    ///
    /// # Errors
    /// [`CacheError::Store`].
    pub fn unpin(&self, name: &PinName) -> Result<bool, CacheError> {
        Ok(self.existing()?.unpin(name)?)
    }

    /// Returns all pins, sorted by name.
    ///
    /// # Errors
    /// [`CacheError::Store`], also for a damaged pin.
    pub fn pins(&self) -> Result<Vec<ImagePin>, CacheError> {
        let pins = self.existing()?.pins()?.into_iter();
        Ok(pins
            .map(|pin| ImagePin {
                name: pin.name.to_string(),
                reference: pin.key.reference().to_owned(),
                platform: pin.key.platform().to_owned(),
            })
            .collect())
    }

    /// Checks that no pin names the image.
    pub(super) fn require_unpinned(
        &self,
        reference: &Reference,
        platform: &Platform,
    ) -> Result<(), CacheError> {
        let key = image_key(reference, platform);
        let pins = self.existing()?.pins()?.into_iter();
        let names: Vec<String> = pins
            .filter(|pin| pin.key == key)
            .map(|pin| pin.name.to_string())
            .collect();
        if names.is_empty() {
            return Ok(());
        }
        Err(CacheError::Pinned {
            reference: Box::new(reference.clone()),
            names,
        })
    }
}
