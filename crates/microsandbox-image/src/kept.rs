use msb_store::Stored;
use serde::Serialize;

use crate::record::ImageRecord;
use crate::{GlobalCache, PullError};

/// Layers, disks and documents that no image needs and that a prune kept, because they are younger than the grace time, or
/// because a pull or a lease uses them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Kept {
    /// Number of artifacts.
    pub artifacts: u64,
    /// Sum of their lengths, in bytes.
    pub bytes: u64,
}

impl Kept {
    /// Counts what a prune left that no record refers to.
    pub(crate) fn count(cache: &GlobalCache) -> Result<Self, PullError> {
        let store = cache.store();
        let mut needed = msb_store::References::default();
        for listed in store.list_images::<ImageRecord>()? {
            // A record that cannot be read stopped the prune before.
            if let Ok((_, record)) = listed.record {
                needed.extend(record.references());
            }
        }
        let mut kept = Self::default();
        kept.add(store.layers()?, |layer| !needed.layers.contains(layer));
        kept.add(store.disks()?, |disk| !needed.disks.contains(disk));
        kept.add(store.blobs()?, |blob| !needed.blobs.contains(blob));
        kept.add(store.parts()?, |_| true);
        Ok(kept)
    }

    fn add<K>(&mut self, stored: Vec<Stored<K>>, is_unneeded: impl Fn(&K) -> bool) {
        for stored in stored.iter().filter(|stored| is_unneeded(&stored.key)) {
            self.artifacts += 1;
            self.bytes = self.bytes.saturating_add(stored.bytes);
        }
    }
}
