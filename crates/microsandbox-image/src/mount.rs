//! Mounts an image's disk on a directory of this machine, read-only or under a writable overlay.
//!
//! ```text
//!   DIR   overlay  source "msb-image"                    with an upper directory: UPPER/upper, UPPER/work
//!   DIR   erofs    source <cache>/disks/.../<hex>.vN.erofs, one device for each layer, nosuid, nodev
//! ```
//!
//! Both mounts lie on the same directory, so that the table of mounts shows what is there and [`GlobalCache::unmount`] needs no
//! record of its own.
//!
//! # Leases
//! A mount outlives the process that made it, and a lease does not. It needs none: the kernel keeps the files of the disk open as
//! long as the mount exists. A prune may remove their names; the mount reads the same bytes until it is unmounted, and only then is
//! their space free.

mod context;
mod error;
mod table;
mod upper;

pub use error::MountError;

use std::io;
use std::path::{Path, PathBuf};

use rustix::mount::{MountAttrFlags, UnmountFlags};

use crate::{GlobalCache, PullResult};
use context::Context;
use table::Mounted;

/// The source of our overlays in the table of mounts.
const OVERLAY_SOURCE: &str = "msb-image";

/// Options of [`PullResult::mount`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct MountOptions {
    /// A directory for what is written to the mount: it gets the directories `upper` and `work` of an overlay. `None` mounts
    /// read-only.
    ///
    /// It must be on a file system that overlays can write to, such as ext4, XFS, btrfs or tmpfs. A directory that was used before
    /// keeps its changes.
    pub upper: Option<PathBuf>,
}

impl MountOptions {
    /// Sets [`upper`](Self::upper).
    #[must_use]
    pub fn with_upper(mut self, directory: impl Into<PathBuf>) -> Self {
        self.upper = Some(directory.into());
        self
    }
}

impl PullResult {
    /// Mounts the disk on the directory `target`, with `nosuid` and `nodev`. Needs `CAP_SYS_ADMIN`, and Linux 6.12 to mount files
    /// without loop devices.
    ///
    /// The mount stays when this process ends; see [`GlobalCache::unmount`]. Blocks on file I/O.
    ///
    /// # Errors
    /// See [`MountError`]. A failure leaves nothing mounted.
    pub fn mount(
        &self,
        target: impl AsRef<Path>,
        options: &MountOptions,
    ) -> Result<(), MountError> {
        let target = directory(target.as_ref())?;
        if !table::mounts_on(&target)?.is_empty() {
            return Err(MountError::AlreadyMounted { target });
        }
        self.mount_disk(&target)?;
        let Some(upper) = &options.upper else {
            return Ok(());
        };
        let mounted = mount_overlay(&target, upper);
        if mounted.is_err() {
            // The failure is reported; one of the clean-up would hide it.
            let _ = unmount_top(&target);
        }
        mounted
    }

    fn mount_disk(&self, target: &Path) -> Result<(), MountError> {
        let context = Context::new("erofs", target)?;
        let fsmeta = absolute(&self.fsmeta)?;
        context.set_path("source", &fsmeta)?;
        // The first extent is fsmeta. The hash tree is no device of the file system.
        for extent in self.data_extents().iter().skip(1) {
            context.set_path("device", &absolute(&extent.path)?)?;
        }
        context.set_flag("ro")?;
        context.mount(
            MountAttrFlags::MOUNT_ATTR_RDONLY
                | MountAttrFlags::MOUNT_ATTR_NOSUID
                | MountAttrFlags::MOUNT_ATTR_NODEV,
        )
    }
}

fn mount_overlay(target: &Path, upper: &Path) -> Result<(), MountError> {
    let upper = upper::prepare(upper, target)?;
    let context = Context::new("overlay", target)?;
    context.set_text("source", OVERLAY_SOURCE)?;
    context.set_path("lowerdir+", target)?;
    context.set_path("upperdir", &upper.upper)?;
    context.set_path("workdir", &upper.work)?;
    context.mount(MountAttrFlags::MOUNT_ATTR_NOSUID | MountAttrFlags::MOUNT_ATTR_NODEV)
}

impl GlobalCache {
    /// Unmounts what [`PullResult::mount`] mounted on the directory `target` from this cache, and nothing else. Blocks until what
    /// was written is on the disk of the upper directory.
    ///
    /// # Errors
    /// See [`MountError`]: [`MountError::NotMounted`], [`MountError::Foreign`] for a mount that is not of this cache,
    /// [`MountError::Busy`] for one that a process uses.
    pub fn unmount(&self, target: impl AsRef<Path>) -> Result<(), MountError> {
        let target = directory(target.as_ref())?;
        // A disk may be used in place in another cache.
        let tiers = self.store().tiers().iter().map(|tier| tier.root());
        let disks: Vec<PathBuf> = std::iter::once(self.root())
            .chain(tiers)
            .filter_map(|root| absolute(&root.join("disks")).ok())
            .collect();
        let is_ours = |mounted: &Mounted| {
            let is_disk = disks.iter().any(|disks| mounted.source.starts_with(disks));
            mounted.file_system == "erofs" && is_disk
        };
        let mounts = table::mounts_on(&target)?;
        let count = match &mounts[..] {
            [] => return Err(MountError::NotMounted { target }),
            [.., top] if is_ours(top) => 1,
            [.., disk, top]
                if top.file_system == "overlay"
                    && top.source == Path::new(OVERLAY_SOURCE)
                    && is_ours(disk) =>
            {
                2
            }
            [.., top] => {
                return Err(MountError::Foreign {
                    target,
                    file_system: top.file_system.clone(),
                    mounted: top.source.clone(),
                });
            }
        };
        for _ in 0..count {
            unmount_top(&target)?;
        }
        Ok(())
    }
}

/// Unmounts the topmost mount of a directory.
fn unmount_top(target: &Path) -> Result<(), MountError> {
    rustix::mount::unmount(target, UnmountFlags::NOFOLLOW)
        .map_err(|error| MountError::refused(target, "unmounting it", "", error))
}

/// Returns the absolute path of a directory without symbolic links.
fn directory(path: &Path) -> Result<PathBuf, MountError> {
    let path = absolute(path)?;
    if path.is_dir() {
        return Ok(path);
    }
    Err(MountError::Path {
        source: io::ErrorKind::NotADirectory.into(),
        path,
    })
}

fn absolute(path: &Path) -> Result<PathBuf, MountError> {
    path.canonicalize().map_err(|source| MountError::Path {
        path: path.to_path_buf(),
        source,
    })
}
