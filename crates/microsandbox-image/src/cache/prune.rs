use msb_oci::Digest;
use msb_store::{Kept, PruneOptions, UnmetBudget};
use serde::{Deserialize, Serialize};

use super::record::ImageRecord;
use super::{CacheError, GlobalCache};

/// The artifacts that a prune removed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct Pruned {
    /// The images that were removed because of the budget or their age.
    pub images: Vec<PrunedImage>,
    /// The diff_ids of the layers.
    pub layers: Vec<Digest>,
    /// The digests of the ordered diff_ids that the disks were built from.
    pub disks: Vec<Digest>,
    /// Manifests and configs.
    pub blobs: Vec<Digest>,
    /// The kept blobs of layers.
    pub layer_blobs: Vec<Digest>,
    /// Number of partial blobs of interrupted downloads.
    pub partial_blobs: u64,
    /// Number of image records that could not be decoded; see [`PruneOptions::remove_corrupt_records`].
    pub corrupt_records: u64,
    /// Number of temporary files of pulls whose process ended.
    pub temporaries: u64,
    /// Number of lock files that no process held.
    pub locks: u64,
    /// Sum of the lengths of all of these, in bytes.
    pub bytes: u64,
    /// What no image needs and was kept because it is younger than the grace age.
    pub kept_young: Kept,
    /// What no image needs and was kept because a pull, a lease or a pin uses it.
    pub kept_in_use: Kept,
    /// The budget and what holds the bytes above it, if it could not be met.
    pub unmet: Option<UnmetBudget>,
}

/// An image that a prune removed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct PrunedImage {
    /// The reference, in full.
    pub reference: String,
    /// The platform that the image was pulled for.
    pub platform: String,
}

impl GlobalCache {
    /// Removes what no image of the cache needs, no lease or pin holds, and no pull has written within the grace age; before that, with
    /// [`PruneOptions::max_bytes`] or [`PruneOptions::older_than`], images that were not used for longest. Blocks on file I/O; pulls wait
    /// for it before they publish. [`Pruned::unmet`] states a budget that cannot be met.
    ///
    /// # Errors
    /// [`CacheError::Store`]; a damaged image record is one, because it may need anything, and then nothing is removed.
    pub fn prune(&self, options: &PruneOptions) -> Result<Pruned, CacheError> {
        let pruned = self
            .store()
            .prune(options, |_, record: ImageRecord| record.references())?;
        Ok(Pruned {
            images: pruned
                .images
                .iter()
                .map(|key| PrunedImage {
                    reference: key.reference().to_owned(),
                    platform: key.platform().to_owned(),
                })
                .collect(),
            layers: pruned.layers.into_iter().map(|key| key.diff_id).collect(),
            disks: pruned.disks.into_iter().map(|key| key.chain).collect(),
            blobs: pruned.blobs,
            layer_blobs: pruned.layer_blobs,
            partial_blobs: pruned.partial_blobs,
            corrupt_records: pruned.corrupt_records,
            temporaries: pruned.temporaries,
            locks: pruned.locks,
            bytes: pruned.bytes,
            kept_young: pruned.kept_young,
            kept_in_use: pruned.kept_in_use,
            unmet: pruned.unmet,
        })
    }
}
