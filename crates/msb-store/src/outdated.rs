//! The disks of layout 2, whose directories no other layout has.

use crate::artifact::{ALGORITHMS, DISK};
use crate::contents::Artifact;
use crate::dir::Dir;
use crate::error::Result;
use crate::prune::{Grace, Pruned};
use crate::sweep::remove_if_unlocked;
use crate::temporary::temporary_target;
use crate::{DiskKey, Store};

/// The files of a disk in `disks/<alg>/<hex>.vN/`. The descriptor, which marked it complete, is removed first.
const FILES: [&str; 3] = ["rootfs.vmdk", "fsmeta.crc32c", "fsmeta.erofs"];

impl Store {
    /// Removes the disks of layout 2 that are neither held nor young; returns their keys.
    ///
    /// No version reads them any more: the formats that are built today have other names. Directories with foreign files stay.
    pub(crate) fn remove_outdated_disks(
        &self,
        grace: &Grace,
        is_held: impl Fn(Artifact) -> bool,
        pruned: &mut Pruned,
    ) -> Result<Vec<DiskKey>> {
        let mut removed = Vec::new();
        for algorithm in ALGORITHMS {
            let above = DISK.algorithm_dir(algorithm);
            let Some(parent) = self.dir(&above)? else {
                continue;
            };
            for name in parent.list()? {
                // Only these have no ending.
                let Some(key) = DISK.key_of_stem::<DiskKey>(algorithm, &name) else {
                    continue;
                };
                let is_dir = parent.stat(&name)?.is_some_and(|entry| entry.is_dir());
                if !is_dir || is_held(Artifact::Disk(key.clone())) {
                    continue;
                }
                let Some(dir) = self.dir(&format!("{above}/{name}"))? else {
                    continue;
                };
                let Some(bytes) = old_bytes(&dir, grace)? else {
                    continue;
                };
                if grace.dry_run {
                    pruned.bytes = pruned.bytes.saturating_add(bytes);
                    removed.push(key);
                    continue;
                }
                pruned.bytes = pruned.bytes.saturating_add(empty(&dir)?);
                if parent.remove_empty_dir(&name)? {
                    removed.push(key);
                }
            }
        }
        Ok(removed)
    }
}

/// Returns the sum of the lengths of a disk's files; `None` if one is young, or a directory.
fn old_bytes(dir: &Dir, grace: &Grace) -> Result<Option<u64>> {
    let mut bytes = 0_u64;
    for name in FILES {
        let Some(entry) = dir.stat(name)? else {
            continue;
        };
        if entry.is_dir() || !grace.is_over(entry.modified) {
            return Ok(None);
        }
        bytes = bytes.saturating_add(entry.bytes);
    }
    Ok(Some(bytes))
}

/// Removes the files of a disk, and the temporary files of dead writers. Returns the sum of their lengths.
fn empty(dir: &Dir) -> Result<u64> {
    let mut bytes = 0_u64;
    for name in dir.list()? {
        if temporary_target(&name).is_some_and(|target| FILES.contains(&target)) {
            bytes = bytes.saturating_add(remove_if_unlocked(dir, &name)?.unwrap_or(0));
        }
    }
    for name in FILES {
        let length = dir.file_bytes(name)?.unwrap_or(0);
        if dir.remove_file(name)? {
            bytes = bytes.saturating_add(length);
        }
    }
    Ok(bytes)
}
