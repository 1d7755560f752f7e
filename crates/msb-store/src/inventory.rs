//! What lies in the store, found by listing its directories.

use std::collections::BTreeMap;
use std::time::SystemTime;

use crate::Store;
use crate::artifact::{ALGORITHMS, ArtifactKey, ArtifactKind, Folder};
use crate::error::Result;
use crate::presence::Dirs;

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
        if kind.files.iter().any(|file| file.folder == Folder::Root)
            && let Some(root) = self.dir("")?
        {
            let names = root.list()?;
            keys.extend(names.iter().filter_map(|name| kind.key_in_root(name)));
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
            let stored = self.measure(kind, &key)?;
            found.insert(key, stored);
        }
        Ok(found)
    }

    /// Measures an artifact. A file that went away since the listing was removed by another process.
    fn measure(&self, kind: &ArtifactKind, key: &impl ArtifactKey) -> Result<Stored> {
        let mut stored = Stored {
            bytes: 0,
            modified: SystemTime::UNIX_EPOCH,
        };
        let mut dirs = Dirs::default();
        for at in 0..kind.files.len() {
            let dir = dirs.open(self, &kind.dir(key, at))?;
            let entry = dir.map(|dir| dir.stat(&kind.file_name(key, at)));
            if let Some(entry) = entry.transpose()?.flatten() {
                stored.bytes = stored.bytes.saturating_add(entry.bytes);
                stored.modified = stored.modified.max(entry.modified);
            }
        }
        Ok(stored)
    }
}
