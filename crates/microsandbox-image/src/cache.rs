use std::path::Path;

use msb_oci::Digest;
use msb_store::{FormatVersion, LayerKey, Store, StoreOptions};

use crate::PullError;

/// The local cache: one directory, used by any number of processes at once. Cheap to clone.
#[derive(Clone, Debug)]
pub struct GlobalCache {
    store: Store,
}

impl GlobalCache {
    /// Returns the cache at `root`, without touching the disk: a pull creates it, and what reads or removes needs an existing one.
    ///
    /// # Errors
    /// [`PullError::Store`] if `root` is relative and the current directory is gone.
    pub fn new(root: impl AsRef<Path>) -> Result<Self, PullError> {
        Ok(Self {
            store: Store::open(root)?,
        })
    }

    /// Returns the cache at `root`, whose files are created as `options` says.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn with_options(root: impl AsRef<Path>, options: CacheOptions) -> Result<Self, PullError> {
        Ok(Self {
            store: Store::with_options(root, options)?,
        })
    }

    /// Returns how the cache creates its files.
    #[must_use]
    pub fn options(&self) -> &CacheOptions {
        self.store.options()
    }

    /// Returns the directory, absolute.
    #[must_use]
    pub fn root(&self) -> &Path {
        self.store.root()
    }

    pub(crate) fn store(&self) -> &Store {
        &self.store
    }

    /// Returns the store of a cache that exists, for reading and removing.
    pub(crate) fn existing(&self) -> Result<&Store, PullError> {
        self.store.require()?;
        Ok(&self.store)
    }
}

/// How a cache creates its files.
pub type CacheOptions = StoreOptions;

/// The version in the names of all artifacts, so that no file is written by two versions of the writers.
pub(crate) const FORMAT: FormatVersion = FormatVersion(msb_sidecar::VERSION);

/// Returns the key of a layer, which is what it unpacks to: two blobs of one archive are one layer.
pub(crate) fn layer_key(diff_id: &Digest) -> LayerKey {
    LayerKey::new(*diff_id, FORMAT)
}
