use msb_store::Store;

use super::{ArtifactKind, Verification};
use crate::cache::record::ImageRecord;
use crate::disk::hash_tree::{self, TreeFault};
use crate::inspect::error::InspectError;

impl Verification {
    /// Hashes the whole disk and compares it with the hash tree and the root hash of the record.
    pub(super) fn hash_tree(
        &mut self,
        store: &Store,
        record: &ImageRecord,
    ) -> Result<(), InspectError> {
        let (Some(expected), Some(layout)) = (record.verity_root, record.layout()) else {
            return Ok(());
        };
        let disk = &record.disk;
        let path = store.tree_path(disk.key());
        let found = hash_tree::verify(disk, &layout, store, record.fsmeta_bytes, expected);
        let error = match found.map_err(|error| error.into_cache(store, disk.key()))? {
            None => return Ok(()),
            Some(TreeFault::RootHash(actual)) => InspectError::RootHash {
                path: path.clone(),
                expected: Box::new(expected),
                actual: Box::new(actual),
            },
            Some(TreeFault::Changed) => InspectError::HashTree { path: path.clone() },
        };
        self.add(ArtifactKind::HashTree, &path, None, error)
    }
}
