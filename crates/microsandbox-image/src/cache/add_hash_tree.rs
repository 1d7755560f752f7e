use msb_oci::Reference;
use msb_platform::Platform;

use super::keys::image_key;
use super::record::ImageRecord;
use super::{CacheError, GlobalCache};
use crate::PullResult;
use crate::disk::hash_tree;

impl GlobalCache {
    /// Adds a hash tree of dm-verity to the disk of a cached image, unless it has one; see [`PullResult::verity`]. Reads each layer
    /// image once whose hashes are not cached. Blocks on file I/O.
    ///
    /// The disk must be in this cache. A pull with [`PullOptions::verity`](crate::PullOptions::verity) copies one from another cache.
    ///
    /// # Errors
    /// [`CacheError::NotCached`], [`CacheError::Changed`] for a damaged file, [`CacheError::HashTree`], [`CacheError::Store`].
    pub fn add_hash_tree(
        &self,
        reference: &Reference,
        platform: &Platform,
    ) -> Result<PullResult, CacheError> {
        let found = self.image(reference, platform)?;
        if found.verity.is_some() {
            return Ok(found);
        }
        let (store, key) = (self.existing()?, image_key(reference, platform));
        let not_cached = || CacheError::NotCached {
            reference: Box::new(reference.clone()),
            platform: Box::new(platform.clone()),
        };
        // Another process may have removed or replaced it.
        let record = store.read_image::<ImageRecord>(&key)?;
        let mut record = record.ok_or_else(not_cached)?;
        let lease = record.lease(store)?;
        if store.disk_lengths(record.disk.key())?.is_none() {
            return Err(not_cached());
        }
        let layout = record.layout().ok_or_else(not_cached)?;
        let disk = &record.disk;
        let root = hash_tree::build(
            disk,
            layout,
            store,
            record.fsmeta_bytes,
            record.fsmeta_crc32c,
        );
        let root = root.map_err(|error| error.into_cache(store, disk.key()))?;
        record.verity_root = Some(root);
        let mut references = record.references();
        // They need not be there.
        references.layer_blobs.clear();
        store.write_image(&key, &record, &references)?;
        Ok(record.to_result(store, reference, false, lease))
    }
}
