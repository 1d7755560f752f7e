//! A handle on a cache directory, and how its directories are opened.

mod tier;

pub use tier::Tier;

use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use crate::artifact::Place;
use crate::crash;
use crate::dir::Dir;
use crate::error::{At as _, Error, Result};
use crate::file_system;
use crate::marker::{self, Found, store_dirs};
use crate::open_dirs::OpenDirs;
use crate::permissions::{Modes, warn_of_others};
use crate::step::Step;
use crate::sys;

/// A handle on one cache directory; cheap to clone, free to share between threads, tasks and processes.
///
/// All calls block for as long as the file system takes, except the `async` ones. No descriptor stays open between calls, except in a
/// [`Session`](crate::Session).
#[derive(Debug)]
pub struct Store {
    pub(crate) inner: Arc<Inner>,
    /// The directories that are open; `None` outside of a session.
    opened: Option<Box<OpenDirs>>,
}

/// A clone is never part of a session, so that what outlives the session keeps no directory open.
impl Clone for Store {
    fn clone(&self) -> Self {
        Self {
            inner: Arc::clone(&self.inner),
            opened: None,
        }
    }
}

#[derive(Debug)]
pub(crate) struct Inner {
    /// Absolute; not resolved through links, so that a cache behind a link shows the paths that the user gave.
    pub(crate) root: PathBuf,
    pub(crate) options: StoreOptions,
    /// How far this handle has checked the root: [`UNKNOWN`], [`READABLE`], [`WRITABLE`]. Only ever grows.
    checked: AtomicU8,
    /// See [`Store::tiers`].
    pub(crate) tiers: Vec<Tier>,
    /// Whether every writing call is refused.
    pub(crate) is_read_only: bool,
}

/// How a store creates its files.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct StoreOptions {
    /// Shares a new cache with this group: directories have mode 2770, locks 0660, published files 0440. An empty directory is a new
    /// cache. A cache that has contents stays as it is, because its root's mode decides; a warning is logged if it is not shared with
    /// this group.
    pub shared_group: Option<u32>,
    /// Sets the immutable flag of published layers and disks, where the file system has it and the process may
    /// (`CAP_LINUX_IMMUTABLE`). Removing clears it first.
    pub immutable: bool,
    /// The most bytes that all artifacts may have together. The store itself does not compare; its callers prune before and after they
    /// add to it. Default: no limit.
    pub max_bytes: Option<u64>,
    /// The grace age of these prunes; `None` is that of [`PruneOptions::default`](crate::PruneOptions).
    pub budget_grace: Option<Duration>,
    /// Other caches that are only read.
    pub cache_from: Vec<PathBuf>,
    /// Whether layer images and merged metadata of these caches are compared with their checksums before their first use. Lengths,
    /// records, documents and sidecars always are. The store itself does not compare.
    pub verify_cache_from: bool,
    /// Whether disks of these caches are rebuilt in this cache instead of used in place, so that this cache does not depend on them.
    pub is_self_contained: bool,
    /// Makes a new cache readable for all users, so that other users and hosts can read from it: directories have mode 2755, published
    /// files 0444. An empty directory is a new cache; the mode of its root decides about any other, as with `shared_group`.
    pub is_public: bool,
}

const UNKNOWN: u8 = 0;
const READABLE: u8 = 1;
const WRITABLE: u8 = 2;

impl Store {
    /// Returns a handle on the cache at `root`, without touching the disk.
    ///
    /// What reads finds nothing in a directory that does not exist; what writes creates it. See [`Self::require`] for callers to whom a
    /// missing cache is an error.
    ///
    /// # Errors
    /// [`Error::Io`] if `root` is relative and the current directory is gone.
    pub fn open(root: impl AsRef<Path>) -> Result<Self> {
        Self::with_options(root, StoreOptions::default())
    }

    /// Returns a handle that creates files with these `options`; see [`Self::open`].
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn with_options(root: impl AsRef<Path>, options: StoreOptions) -> Result<Self> {
        let root = root.as_ref();
        let root = std::path::absolute(root).at(Step::Resolve, root)?;
        let tiers = tier::tiers(&root, &options.cache_from)?;
        Ok(Self::new(root, options, tiers, false))
    }

    /// Returns a handle that refuses to write.
    pub(crate) fn read_only(root: PathBuf) -> Self {
        Self::new(root, StoreOptions::default(), Vec::new(), true)
    }

    fn new(root: PathBuf, options: StoreOptions, tiers: Vec<Tier>, is_read_only: bool) -> Self {
        Self {
            inner: Arc::new(Inner {
                root,
                options,
                checked: AtomicU8::new(UNKNOWN),
                tiers,
                is_read_only,
            }),
            opened: None,
        }
    }

    /// Returns a handle that keeps the directories open that it opens.
    pub(crate) fn with_open_dirs(&self) -> Self {
        Self {
            opened: Some(Box::default()),
            ..self.clone()
        }
    }

    /// Closes the directories that a session has open, because one of them was removed.
    pub(crate) fn close_dirs(&self) {
        if let Some(opened) = &self.opened {
            opened.clear();
        }
    }

    /// Returns how this handle creates files.
    #[must_use]
    pub fn options(&self) -> &StoreOptions {
        &self.inner.options
    }

    /// Returns the absolute root.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.inner.root
    }

    /// Checks that the root is an existing cache, for commands that only read or remove. An empty directory is an empty cache.
    ///
    /// # Errors
    /// [`Error::NoCache`] if it does not exist, [`Error::NotACache`] if it is a directory of another purpose,
    /// [`Error::NewerLayout`] if a later version laid it out.
    pub fn require(&self) -> Result<()> {
        let path = self.root().to_owned();
        let root = self.open_root()?;
        let root = root.ok_or_else(|| Error::NoCache { path: path.clone() })?;
        match Found::at(&root)? {
            Found::Foreign => Err(Error::NotACache { path }),
            Found::Current | Found::NeedsMarker => Ok(()),
        }
    }

    /// Returns the absolute path of a file.
    pub(crate) fn path_of(&self, place: &Place) -> PathBuf {
        self.root().join(place.below_root())
    }

    /// Opens a directory below the root for reading or removing; `None` if there is none.
    pub(crate) fn dir(&self, below: &str) -> Result<Option<Dir>> {
        if let Some(dir) = self.opened.as_ref().and_then(|opened| opened.dir(below)) {
            return Ok(dir);
        }
        let Some(root) = self.root_dir()? else {
            return Ok(None);
        };
        if below.is_empty() {
            return Ok(Some(root));
        }
        let dir = root.open_dir(below)?;
        if let Some(opened) = &self.opened {
            opened.keep(below, dir.as_ref());
        }
        Ok(dir)
    }

    /// Opens a directory below the root, creating it and the cache if necessary.
    pub(crate) fn make_dir(&self, below: &str) -> Result<(Dir, Modes)> {
        let (root, modes) = self.root_for_writing()?;
        if below.is_empty() {
            return Ok((root, modes));
        }
        let opened = self.opened.as_ref().and_then(|opened| opened.dir(below));
        if let Some(dir) = opened.flatten() {
            return Ok((dir, modes));
        }
        let dir = root.make_dir(below, &modes)?;
        if let Some(opened) = &self.opened {
            opened.keep(below, Some(&dir));
        }
        Ok((dir, modes))
    }

    /// Opens the root, which alone may be a link; `None` if there is no cache.
    fn root_dir(&self) -> Result<Option<Dir>> {
        if let Some(root) = self.opened.as_ref().and_then(|opened| opened.root()) {
            return Ok(Some(root));
        }
        let Some(root) = self.open_root()? else {
            return Ok(None);
        };
        if self.inner.checked.load(Ordering::Acquire) == UNKNOWN {
            if Found::at(&root)? == Found::Foreign {
                return Ok(None);
            }
            self.mark_readable(&root)?;
        }
        if let Some(opened) = &self.opened {
            opened.keep_root(&root);
        }
        Ok(Some(root))
    }

    fn root_for_writing(&self) -> Result<(Dir, Modes)> {
        if self.inner.is_read_only {
            return Err(Error::ReadOnly {
                path: self.root().to_owned(),
            });
        }
        if let Some(writable) = self
            .opened
            .as_ref()
            .and_then(|opened| opened.writable_root())
        {
            return Ok(writable);
        }
        let opened = match self.opened.as_ref().and_then(|opened| opened.root()) {
            Some(root) => Some(root),
            None => self.open_root()?,
        };
        let root = match opened {
            Some(root) => root,
            None => self.create_root()?,
        };
        let is_checked = self.inner.checked.load(Ordering::Acquire) == WRITABLE;
        if let (false, Some(group)) = (is_checked, self.inner.options.shared_group) {
            share(&root, group)?;
        }
        if !is_checked && self.inner.options.is_public {
            open_to_all(&root)?;
        }
        let modes = Modes::of(&root.entry()?);
        if !is_checked {
            file_system::check_type(&root)?;
            let found = Found::at(&root)?;
            if self.inner.checked.load(Ordering::Acquire) == UNKNOWN {
                self.mark_readable(&root)?;
            }
            if found != Found::Current {
                tighten(&root, &modes)?;
                // A process that created the root, or a directory above it, may have died before it synced that. The marker shows
                // that it was done.
                sync_above(self.root())?;
                file_system::probe_locks(&root, &modes)?;
                marker::write(&root, &modes)?;
            }
            self.inner.checked.store(WRITABLE, Ordering::Release);
        }
        if let Some(opened) = &self.opened {
            opened.keep_writable_root(&root, modes);
        }
        Ok((root, modes))
    }

    fn mark_readable(&self, root: &Dir) -> Result<()> {
        if self.inner.is_read_only {
            // Often another user's, as its owner and the user of this option intend.
            self.inner.checked.store(READABLE, Ordering::Release);
            return Ok(());
        }
        warn_of_others(self.root(), &root.entry()?);
        self.inner.checked.store(READABLE, Ordering::Release);
        Ok(())
    }

    fn open_root(&self) -> Result<Option<Dir>> {
        let path = self.root();
        #[cfg(test)]
        crate::order::note("open", path);
        match sys::open_root(path) {
            Ok(fd) => Ok(Some(
                Dir::new(fd, path.to_owned()).read_only(self.inner.is_read_only),
            )),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(e) if sys::is_no_directory(&e) => Err(Error::NotADirectory {
                path: path.to_owned(),
            }),
            Err(e) => Err(Error::from_io(Step::Open, path, e)),
        }
    }

    /// Creates the root for its owner alone, and the directories above it with the permissions that the umask leaves.
    fn create_root(&self) -> Result<Dir> {
        let path = self.root();
        if let Some(parent) = path.parent() {
            std::fs::create_dir_all(parent).at(Step::CreateDir, parent)?;
        }
        let created = crash::around("mkdir", path, &[], || {
            std::fs::DirBuilder::new().mode(0o700).create(path)
        });
        let is_new = match created {
            Ok(()) => true,
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => false,
            Err(e) => return Err(Error::from_io(Step::CreateDir, path, e)),
        };
        let root = Dir::new(sys::open_root(path).at(Step::Open, path)?, path.to_owned());
        // A handle that knew an earlier directory of this name knows nothing of this one.
        self.inner.checked.store(UNKNOWN, Ordering::Release);
        if is_new {
            // The umask may have taken bits away.
            root.set_mode(Modes::PRIVATE.dir)?;
        }
        Ok(root)
    }
}

/// Shares an empty root with a group. The root is the caller's, and so is the decision.
fn share(root: &Dir, group: u32) -> Result<()> {
    let entry = root.entry()?;
    if Modes::of(&entry).is_shared && entry.gid == group {
        return Ok(());
    }
    let path = root.path();
    if !root.list_up_to(1)?.is_empty() {
        tracing::warn!(path = %crate::error::Shown(path), group, "the cache exists and is not shared with this group");
        return Ok(());
    }
    let owner = Some(rustix::fs::Gid::from_raw(group));
    rustix::fs::fchown(root, None, owner)
        .map_err(io::Error::from)
        .at(Step::SetPermissions, path)?;
    root.set_mode(Modes::SHARED.dir)
}

/// Makes an empty root readable for all users.
fn open_to_all(root: &Dir) -> Result<()> {
    let mode = root.entry()?.mode;
    if mode == Modes::PUBLIC.dir || mode == Modes::SHARED.dir {
        return Ok(());
    }
    if root.list_up_to(1)?.is_empty() {
        return root.set_mode(Modes::PUBLIC.dir);
    }
    tracing::warn!(path = %crate::error::Shown(root.path()), "the cache exists and is not readable for all users");
    Ok(())
}

/// Syncs every directory above the root, nearest last, so that the root's name is durable. Those that this user cannot read are left
/// out: this user created none of them.
fn sync_above(root: &Path) -> Result<()> {
    let above: Vec<&Path> = root.ancestors().skip(1).collect();
    for path in above.into_iter().rev() {
        match sys::open_root(path) {
            Ok(fd) => Dir::new(fd, path.to_owned()).sync()?,
            Err(e) if e.kind() == io::ErrorKind::PermissionDenied => {}
            Err(e) => return Err(Error::from_io(Step::Open, path, e)),
        }
    }
    Ok(())
}

/// Takes the permissions of other users from the directories of an older layout.
fn tighten(root: &Dir, modes: &Modes) -> Result<()> {
    for name in store_dirs() {
        if let Some(dir) = root.open_dir(name)?
            && modes.dir != dir.entry()?.mode
            && let Err(error) = dir.set_mode(modes.dir)
        {
            // Another user's: then the cache is theirs, and its owner decides.
            tracing::warn!(%error, "permissions of an older cache stay as they are");
        }
    }
    Ok(())
}
