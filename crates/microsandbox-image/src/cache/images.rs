use std::time::SystemTime;

use msb_oci::{Digest, Reference};
use msb_platform::Platform;
use serde::{Deserialize, Serialize};

use super::keys::image_key;
use super::lookup::tiers::home;
use super::lookup::{self, FoundImage};
use super::record::ImageRecord;
use super::{CacheError, GlobalCache};
use crate::PullResult;

/// An image of the cache, as a listing shows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct CachedImage {
    /// The reference that it was pulled by, in full.
    pub reference: String,
    /// The platform that it was pulled for.
    pub platform: Platform,
    /// The digest of its manifest.
    pub manifest_digest: Digest,
    /// The number of its layers.
    pub layer_count: usize,
    /// The length of its disk in bytes, including layers that other images share.
    pub disk_bytes: u64,
    /// Whether all of its files exist.
    pub complete: bool,
    /// When it was last used, to the coarseness that a warm pull records; not part of its data.
    #[serde(skip)]
    pub used: Option<SystemTime>,
    /// The names of its pins.
    pub pinned: Vec<String>,
    /// Whether a process holds a lease on its disk.
    pub leased: bool,
}

impl GlobalCache {
    /// Returns all images, sorted by reference. A damaged record is left out with a warning in the log.
    ///
    /// # Errors
    /// [`CacheError::Store`].
    pub fn images(&self) -> Result<Vec<CachedImage>, CacheError> {
        let mut images = Vec::new();
        let store = self.existing()?;
        let pins = store.pins().unwrap_or_else(|error| {
            tracing::warn!(%error, "the pins cannot be read");
            Vec::new()
        });
        for listed in store.list_images::<ImageRecord>()? {
            let (key, record) = match listed.record {
                Ok(listed) => listed,
                Err(error) => {
                    tracing::warn!(path = %listed.path.display(), %error, "an image record cannot be read");
                    continue;
                }
            };
            let Some(disk_bytes) = record.disk_bytes() else {
                tracing::warn!(path = %listed.path.display(), "an image record states impossible sizes");
                continue;
            };
            images.push(CachedImage {
                reference: key.reference().to_owned(),
                // The image may be for a lower variant of the platform.
                platform: key
                    .platform()
                    .parse()
                    .unwrap_or_else(|_| record.platform.clone()),
                manifest_digest: record.manifest_digest,
                layer_count: record.layers.len(),
                disk_bytes,
                complete: lookup::is_whole(&home(store, &record)?, &record)?,
                used: Some(listed.used),
                pinned: pins
                    .iter()
                    .filter(|pin| pin.key == key)
                    .map(|pin| pin.name.to_string())
                    .collect(),
                leased: store.is_leased(record.disk.key())?,
            });
        }
        images.sort_by(|a, b| (&a.reference, &a.platform).cmp(&(&b.reference, &b.platform)));
        Ok(images)
    }

    /// Returns the error of each image record that cannot be read; [`images`](Self::images) leaves these images out.
    ///
    /// # Errors
    /// [`CacheError::Store`].
    pub fn damaged_records(&self) -> Result<Vec<CacheError>, CacheError> {
        let listed = self.existing()?.list_images::<ImageRecord>()?;
        let errors = listed.into_iter().filter_map(|image| image.record.err());
        Ok(errors.map(CacheError::from).collect())
    }

    /// Returns a cached image, as a pull under [`PullPolicy::Never`](crate::PullPolicy::Never) does, which also rebuilds a disk whose
    /// merged metadata or descriptor is damaged. Blocks on file I/O.
    ///
    /// # Errors
    /// [`CacheError::NotCached`], [`CacheError::Store`].
    pub fn image(
        &self,
        reference: &Reference,
        platform: &Platform,
    ) -> Result<PullResult, CacheError> {
        match lookup::image(self.existing()?, reference, platform, true)? {
            FoundImage::Whole(result) => Ok(*result),
            FoundImage::WithoutDisk(_) | FoundImage::Absent => Err(CacheError::NotCached {
                reference: Box::new(reference.clone()),
                platform: Box::new(platform.clone()),
            }),
        }
    }

    /// Removes an image's record; `false` if there was none. Its files stay until a prune finds that no other image needs them.
    ///
    /// # Errors
    /// [`CacheError::Pinned`], [`CacheError::Store`].
    pub fn remove(&self, reference: &Reference, platform: &Platform) -> Result<bool, CacheError> {
        self.require_unpinned(reference, platform)?;
        Ok(self
            .existing()?
            .remove_image(&image_key(reference, platform))?)
    }

    /// Removes the records of an image for all platforms, and returns these platforms, sorted; see [`remove`](Self::remove).
    ///
    /// # Errors
    /// [`CacheError::Store`].
    pub fn remove_all_platforms(&self, reference: &Reference) -> Result<Vec<Platform>, CacheError> {
        let name = reference.to_string();
        let mut removed = Vec::new();
        for listed in self.existing()?.list_images::<ImageRecord>()? {
            // A record that cannot be read is reported by listings.
            let Ok((key, _)) = listed.record else {
                continue;
            };
            if key.reference() != name {
                continue;
            }
            if let Ok(platform) = key.platform().parse()
                && self.remove(reference, &platform)?
            {
                removed.push(platform);
            }
        }
        removed.sort();
        Ok(removed)
    }

    /// Returns the exact bytes of an image's manifest or config; `None` if the cache lacks them.
    ///
    /// # Errors
    /// [`CacheError::Store`].
    pub fn blob(&self, digest: &Digest) -> Result<Option<Vec<u8>>, CacheError> {
        const MAX_BLOB_BYTES: u64 = 16 << 20;
        Ok(self.existing()?.read_blob(digest, MAX_BLOB_BYTES)?)
    }
}
