//! What lies in the store, found by listing its directories.

use std::collections::BTreeMap;
use std::time::SystemTime;

use crate::Store;
use crate::artifact::{ALGORITHMS, ArtifactKey, ArtifactKind};
use crate::dir::Dir;
use crate::error::Result;

/// One artifact, as the file system shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Stored {
    /// Sum of the lengths of its files.
    pub(crate) bytes: u64,
    /// When the newest of its files was last written.
    pub(crate) modified: SystemTime,
}

impl Store {
    /// Returns the keys of every artifact of a kind, complete or not, sorted. Names that are not of the layout are left out.
    pub(crate) fn keys<K: ArtifactKey>(&self, kind: &ArtifactKind) -> Result<Vec<K>> {
        let mut keys = Vec::new();
        for algorithm in ALGORITHMS {
            if let Some(dir) = self.dir(&kind.algorithm_dir(algorithm))? {
                let names = dir.list()?;
                keys.extend(names.iter().filter_map(|name| kind.key_of(algorithm, name)));
            }
        }
        keys.sort();
        keys.dedup();
        Ok(keys)
    }

    /// Returns every artifact of a kind, complete or not.
    pub(crate) fn artifacts<K: ArtifactKey>(
        &self,
        kind: &ArtifactKind,
    ) -> Result<BTreeMap<K, Stored>> {
        let mut found = BTreeMap::new();
        for key in self.keys::<K>(kind)? {
            // One that went away since the listing was removed by another process.
            if let Some(dir) = self.dir(&kind.dir(&key))? {
                let stored = measure(&dir, kind, &key)?;
                found.insert(key, stored);
            }
        }
        Ok(found)
    }
}

fn measure(dir: &Dir, kind: &ArtifactKind, key: &impl ArtifactKey) -> Result<Stored> {
    let mut stored = Stored {
        bytes: 0,
        modified: SystemTime::UNIX_EPOCH,
    };
    for at in 0..kind.files.len() {
        if let Some(entry) = dir.stat(&kind.file_name(key, at))? {
            stored.bytes = stored.bytes.saturating_add(entry.bytes);
            stored.modified = stored.modified.max(entry.modified);
        }
    }
    if stored.modified == SystemTime::UNIX_EPOCH && kind.has_own_dir {
        // No files yet: the directory itself is what a pull has just created.
        stored.modified = dir.entry()?.modified;
    }
    Ok(stored)
}
