//! The images in the cache directory: lookup, listing, records and pruning.
//!
//! ```text
//!   lookup  is it cached? images, layers, documents     record  the file that a warm pull reads
//!   images  list, one image, remove                     prune   what no image needs
//!   pins    named holds on images                          usage   bytes by image
//!   image_name  which image a text names                keys    names of artifacts
//!   checksum  compares files with their checksums
//! ```

mod add_hash_tree;
pub(crate) mod checksum;
mod error;
mod image_name;
mod images;
pub(crate) mod keys;
pub(crate) mod lookup;
pub(crate) mod open_file;
mod pins;
mod prune;
pub(crate) mod record;
mod usage;

pub use error::CacheError;
pub use image_name::ImageName;
pub use images::CachedImage;
pub use pins::ImagePin;
pub use prune::{Pruned, PrunedImage};
pub use usage::{CacheUsage, ImageUsage};

use std::path::Path;

use msb_registry::HostHealth;
use msb_store::Store;

use crate::CacheOptions;

/// The local cache: one directory, used by any number of processes at once. Cheap to clone.
///
/// Clones also share which hosts of registries failed a short time ago, so that the registries that pull into them wait for such a host
/// only once.
#[derive(Clone, Debug)]
pub struct GlobalCache {
    store: Store,
    /// Shared by the registries that pull into the cache.
    host_health: HostHealth,
}

impl GlobalCache {
    /// Returns the cache at `root` without touching the disk. A pull creates the directory; reading and removing require that it exists.
    ///
    /// # Errors
    /// [`CacheError::Store`] if `root` is relative and the current directory is gone.
    pub fn new(root: impl AsRef<Path>) -> Result<Self, CacheError> {
        Ok(Self {
            store: Store::open(root)?,
            host_health: HostHealth::default(),
        })
    }

    /// Returns the cache at `root`, whose files are created according to `options`.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn with_options(root: impl AsRef<Path>, options: CacheOptions) -> Result<Self, CacheError> {
        Ok(Self {
            store: Store::with_options(root, options)?,
            host_health: HostHealth::default(),
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

    pub(crate) fn host_health(&self) -> HostHealth {
        self.host_health.clone()
    }

    pub(crate) fn store(&self) -> &Store {
        &self.store
    }

    /// Returns the store of a cache that exists, for reading and removing.
    pub(crate) fn existing(&self) -> Result<&Store, CacheError> {
        self.store.require()?;
        Ok(&self.store)
    }
}
