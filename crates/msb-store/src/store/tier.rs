//! Other caches, which are only read: a pull looks there for what this cache lacks.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::Store;
use crate::error::{At as _, Error, Result, Shown};
use crate::step::Step;

/// A cache that is only read: its files may lie on a read-only file system, belong to another user and be used by another host.
///
/// Nothing that fails there fails a pull: a directory that is missing, unreadable or no cache of a known layout is skipped, with one
/// warning in the log. Nothing there is locked or leased, so that its owner must not remove what others use.
#[derive(Debug, Clone)]
pub struct Tier {
    store: Store,
    /// Whether a warning was logged; shared by all handles of the cache above.
    has_warned: Arc<AtomicBool>,
}

impl Tier {
    /// Returns the absolute root.
    #[must_use]
    pub fn root(&self) -> &Path {
        self.store.root()
    }

    /// Looks for something in the tier. A tier that cannot be used, and an error of `look`, count as absence, with a warning in the log.
    pub fn look<T, E: From<Error> + fmt::Display>(
        &self,
        look: impl FnOnce(&Store) -> Result<Option<T>, E>,
    ) -> Option<T> {
        let found = match self.store.require() {
            Ok(()) => look(&self.store),
            Err(error) => Err(error.into()),
        };
        found.unwrap_or_else(|error| {
            if !self.has_warned.swap(true, Ordering::Relaxed) {
                tracing::warn!(path = %Shown(self.root()), %error, "a cache to read from is not used");
            }
            None
        })
    }
}

impl Store {
    /// Returns the caches of [`StoreOptions::cache_from`](crate::StoreOptions::cache_from), in that order. This cache itself is not one
    /// of them.
    ///
    /// Their handles refuse to write, with [`Error::ReadOnly`].
    #[must_use]
    pub fn tiers(&self) -> &[Tier] {
        &self.inner.tiers
    }
}

/// Returns the tiers of the cache at `root`, each once.
pub(super) fn tiers(root: &Path, paths: &[PathBuf]) -> Result<Vec<Tier>> {
    let mut tiers: Vec<Tier> = Vec::new();
    for path in paths {
        let path = std::path::absolute(path).at(Step::Resolve, path)?;
        if path == root || tiers.iter().any(|tier| tier.root() == path) {
            continue;
        }
        tiers.push(Tier {
            store: Store::read_only(path),
            has_warned: Arc::default(),
        });
    }
    Ok(tiers)
}
