mod contents;
mod damage;
mod files;
mod hash_tree;

pub use damage::{ArtifactKind, Damage};

use msb_oci::Reference;
use msb_platform::Platform;
use msb_stitch::{Merge, VerifiedDisk};
use msb_store::Store;

use super::error::InspectError;
use crate::cache::keys::image_key;
use crate::cache::lookup::tiers::home;
use crate::cache::record::ImageRecord;
use crate::{CacheError, GlobalCache, PullResult};

/// The result of verifying a cached image.
#[derive(Debug)]
#[non_exhaustive]
pub struct Verification {
    /// What was verified. Empty if a file of the disk is missing, truncated or rewritten, because then the disk cannot be read.
    pub disk: VerifiedDisk,
    /// Whether file data was compared with its checksums, and the tree with the layers.
    pub contents: bool,
    /// The damaged artifacts; empty if there are none.
    pub damage: Vec<Damage>,
}

impl GlobalCache {
    /// Verifies a cached image: the checksum of its record, the digests of its manifest and config, the length of each file of its disk, the
    /// text of its descriptor, and every inode and extent. With `contents`, also verifies the checksums of the merged metadata and of every
    /// layer image, every path against the layers' sidecars, and every file's bytes against the checksum that was computed when they were
    /// converted. The blobs of layers that were kept are verified too: their lengths, and with `contents` their digests.
    ///
    /// Blocks on file I/O. Damage is a result and not an error.
    ///
    /// # Errors
    /// [`InspectError::Cache`]. Also any error that is no evidence of damage, such as too many open files or a missing permission.
    pub fn verify(
        &self,
        reference: &Reference,
        platform: &Platform,
        contents: bool,
    ) -> Result<Verification, InspectError> {
        let key = image_key(reference, platform);
        let record = match self.existing()?.read_image::<ImageRecord>(&key) {
            Err(error) if error.is_corrupt() => {
                return Ok(Verification::of_record(error, contents));
            }
            read => read?,
        };
        let record = record.ok_or_else(|| CacheError::NotCached {
            reference: Box::new(reference.clone()),
            platform: Box::new(platform.clone()),
        })?;
        // So that no prune removes a file that is being verified.
        let lease = record.lease(self.store())?;
        let home = home(self.store(), &record)?;
        let image = record.to_result(&home, reference, true, lease);
        let mut found = Verification {
            disk: VerifiedDisk::default(),
            contents,
            damage: Vec::new(),
        };
        found.verify(self.store(), &home, &record, &image)?;
        Ok(found)
    }
}

impl Verification {
    /// Returns the result for an image whose record is damaged.
    fn of_record(error: msb_store::Error, contents: bool) -> Self {
        Self {
            disk: VerifiedDisk::default(),
            contents,
            damage: vec![Damage {
                artifact: ArtifactKind::Record,
                path: error.path().to_path_buf(),
                layer: None,
                files: Vec::new(),
                error: error.into(),
            }],
        }
    }

    /// Returns whether nothing is damaged.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        self.damage.is_empty()
    }

    /// Returns whether a file is missing or has another length.
    #[must_use]
    pub fn is_incomplete(&self) -> bool {
        self.damage.iter().any(|damage| {
            matches!(
                damage.error,
                InspectError::ArtifactLength { .. } | InspectError::ArtifactMissing { .. }
            )
        })
    }

    /// Verifies the image. `home` is the cache that has the disk; the documents are in `store`.
    fn verify(
        &mut self,
        store: &Store,
        home: &Store,
        record: &ImageRecord,
        image: &PullResult,
    ) -> Result<(), InspectError> {
        self.lengths(home, record, image)?;
        self.descriptors(home, record)?;
        let is_readable = self.damage.is_empty();
        self.documents(store, record)?;
        if self.contents {
            self.checksums(record, image)?;
        }
        if is_readable {
            let merge = self.merge(image)?;
            self.disk(home, record, image, merge.as_ref())?;
        }
        if self.contents && self.damage.is_empty() {
            self.hash_tree(home, record)?;
        }
        self.kept_blobs(store, image)
    }

    /// Merges the layers, if contents are verified and the sidecars are whole.
    fn merge(&mut self, image: &PullResult) -> Result<Option<Merge>, InspectError> {
        if !self.contents || !self.damage.iter().all(Damage::keeps_sidecars) {
            return Ok(None);
        }
        match image.merge() {
            Ok(merge) => Ok(Some(merge)),
            Err(error) => {
                self.merge_error(image, error)?;
                Ok(None)
            }
        }
    }
}
