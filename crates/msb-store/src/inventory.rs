//! What lies in the store, found by listing its directories.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use msb_oci::Digest;

use crate::error::{At as _, Result};
use crate::key::{BLOBS, DISKS, IMAGE, LAYERS, PARTS, SIDECAR, VERIFIED};
use crate::step::Step;
use crate::{DiskKey, FormatVersion, LayerKey, Store, dirs};

/// One artifact, as the file system shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored<K> {
    /// Which.
    pub key: K,
    /// Sum of the lengths of its files.
    pub bytes: u64,
    /// When the newest of its files was last written.
    pub modified: SystemTime,
    /// All of its files are there. What a crash cut off is not complete, and is never served.
    pub complete: bool,
}

impl Store {
    /// Every layer, complete or not, sorted by key.
    pub fn layers(&self) -> Result<Vec<Stored<LayerKey>>> {
        let files = self.scan(LAYERS, |digest, name| {
            let (rest, kind) = name.rsplit_once('.')?;
            let (hex, version) = rest.rsplit_once('.')?;
            let key = LayerKey::new(digest(hex)?, FormatVersion::from_name(version)?);
            [IMAGE, SIDECAR, VERIFIED].contains(&kind).then_some(key)
        })?;
        let mut found: BTreeMap<LayerKey, Vec<PathBuf>> = BTreeMap::new();
        for (key, path) in files {
            found.entry(key).or_default().push(path);
        }
        let mut layers = collect(found, 0)?;
        for layer in &mut layers {
            layer.complete = self.layer_lengths(&layer.key)?.is_some();
        }
        Ok(layers)
    }

    /// Every disk, complete or not, sorted by key.
    pub fn disks(&self) -> Result<Vec<Stored<DiskKey>>> {
        let mut found = BTreeMap::new();
        for (key, dir) in self.scan(DISKS, |digest, name| {
            let (hex, version) = name.rsplit_once('.')?;
            Some(DiskKey::new(
                digest(hex)?,
                FormatVersion::from_name(version)?,
            ))
        })? {
            let files = vec![self.fsmeta_path(&key), self.vmdk_path(&key)];
            let mut stored = stored(key, &files, 2)?;
            if stored.modified == SystemTime::UNIX_EPOCH
                && let Some(metadata) = dirs::stat(&dir)?
            {
                // No files yet: the directory itself is what a pull has just made.
                stored.modified = metadata.modified().at(Step::Stat, &dir)?;
            }
            found.insert(stored.key.clone(), stored);
        }
        Ok(found.into_values().collect())
    }

    /// Every blob, sorted by digest.
    pub fn blobs(&self) -> Result<Vec<Stored<Digest>>> {
        let files = self.scan(BLOBS, |digest, name| digest(name))?;
        collect(
            files
                .into_iter()
                .map(|(key, path)| (key, vec![path]))
                .collect(),
            1,
        )
    }

    /// Every part, sorted by digest; `bytes` is how much of the blob is there.
    pub fn partial_blobs(&self) -> Result<Vec<Stored<Digest>>> {
        let files = self.scan(PARTS, |digest, name| digest(name.strip_suffix(".part")?))?;
        collect(
            files
                .into_iter()
                .map(|(key, path)| (key, vec![path]))
                .collect(),
            1,
        )
    }

    /// The names in `<kind>/<algorithm>/` that `parse` knows; all others are not ours, and are left alone.
    ///
    /// `parse` gets a function that makes a digest of the directory's algorithm from hexadecimal digits.
    pub(crate) fn scan<K>(
        &self,
        kind: &str,
        parse: impl Fn(&dyn Fn(&str) -> Option<Digest>, &str) -> Option<K>,
    ) -> Result<Vec<(K, PathBuf)>> {
        let mut found = Vec::new();
        for dir in dirs::list(&self.root().join(kind))? {
            let Some(algorithm) = name_of(&dir) else {
                continue;
            };
            let digest = |hex: &str| format!("{algorithm}:{hex}").parse().ok();
            for path in dirs::list(&dir)? {
                if let Some(key) = name_of(&path).and_then(|name| parse(&digest, name)) {
                    found.push((key, path));
                }
            }
        }
        Ok(found)
    }
}

fn name_of(path: &Path) -> Option<&str> {
    path.file_name()?.to_str()
}

fn collect<K: Ord>(
    found: BTreeMap<K, Vec<PathBuf>>,
    complete_files: usize,
) -> Result<Vec<Stored<K>>> {
    found
        .into_iter()
        .map(|(key, files)| stored(key, &files, complete_files))
        .collect()
}

fn stored<K>(key: K, files: &[PathBuf], complete_files: usize) -> Result<Stored<K>> {
    let mut stored = Stored {
        key,
        bytes: 0,
        modified: SystemTime::UNIX_EPOCH,
        complete: false,
    };
    let mut present = 0;
    for path in files {
        // One that went away since the listing was removed by somebody else.
        if let Some(metadata) = dirs::stat(path)? {
            present += usize::from(metadata.is_file());
            stored.bytes = stored.bytes.saturating_add(metadata.len());
            stored.modified = stored
                .modified
                .max(metadata.modified().at(Step::Stat, path)?);
        }
    }
    stored.complete = present == complete_files;
    Ok(stored)
}
