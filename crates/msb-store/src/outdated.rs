//! The disks of layout 2, whose directories no other layout has.

use std::time::SystemTime;

use crate::artifact::{ALGORITHMS, DISK};
use crate::dir::Dir;
use crate::error::Result;
use crate::prune::Pruned;
use crate::sweep::remove_if_unlocked;
use crate::temporary::temporary_target;
use crate::{DiskKey, References, Store};

/// The files of a disk in `disks/<alg>/<hex>.vN/`. The descriptor, which marked it complete, is removed first.
const FILES: [&str; 2] = ["rootfs.vmdk", "fsmeta.erofs"];

impl Store {
    /// Removes the disks of layout 2 that no process leases and that are old enough; returns their keys.
    ///
    /// No version reads them any more: the formats that are built today have other names. Directories with foreign files stay.
    pub(crate) fn remove_outdated_disks(
        &self,
        leased: &References,
        is_old: impl Fn(SystemTime) -> bool,
        pruned: &mut Pruned,
    ) -> Result<Vec<DiskKey>> {
        let mut removed = Vec::new();
        for algorithm in ALGORITHMS {
            let above = DISK.algorithm_dir(algorithm);
            let Some(parent) = self.dir(&above)? else {
                continue;
            };
            for name in parent.list()? {
                let is_dir = parent.stat(&name)?.is_some_and(|entry| entry.is_dir());
                let Some(key) = DISK.key_of_stem::<DiskKey>(algorithm, &name) else {
                    continue;
                };
                if !is_dir || leased.disks.contains(&key) {
                    continue;
                }
                let dir = self.dir(&format!("{above}/{name}"))?;
                if let Some(bytes) = dir.map(|dir| empty(&dir, &is_old)).transpose()?.flatten() {
                    pruned.bytes = pruned.bytes.saturating_add(bytes);
                    if parent.remove_empty_dir(&name)? {
                        removed.push(key);
                    }
                }
            }
        }
        Ok(removed)
    }
}

/// Removes the files of a disk, and the temporary files of dead writers. Returns their length; `None` if a file is young.
fn empty(dir: &Dir, is_old: &impl Fn(SystemTime) -> bool) -> Result<Option<u64>> {
    for name in FILES {
        if let Some(entry) = dir.stat(name)?
            && (entry.is_dir() || !is_old(entry.modified))
        {
            return Ok(None);
        }
    }
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
    Ok(Some(bytes))
}
