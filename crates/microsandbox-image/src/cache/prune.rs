use msb_oci::Digest;
use msb_store::{Kept, PruneOptions};
use serde::{Deserialize, Serialize};

use super::record::ImageRecord;
use super::{CacheError, GlobalCache};

/// The artifacts that a prune removed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct Pruned {
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
    /// What no image needs and was kept because a pull or a lease uses it.
    pub kept_in_use: Kept,
}

impl GlobalCache {
    /// Removes what no image of the cache needs, no lease keeps, and no pull has written within the grace age. Blocks on
    /// file I/O; pulls wait for it before they publish.
    ///
    /// # Errors
    /// [`CacheError::Store`]; a damaged image record is one, because it may need anything, and then nothing is removed.
    pub fn prune(&self, options: &PruneOptions) -> Result<Pruned, CacheError> {
        let pruned = self
            .store()
            .prune(options, |_, record: ImageRecord| record.references())?;
        Ok(Pruned {
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
        })
    }
}
