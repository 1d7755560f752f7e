use std::path::Path;

use msb_store::{FormatVersion, Store};

use crate::PullError;

/// The local cache: one directory, shared by all processes that name it. Cheap to clone.
#[derive(Clone, Debug)]
pub struct GlobalCache {
    store: Store,
}

impl GlobalCache {
    /// Opens the cache at `root`, which is made when there is something to put into it.
    ///
    /// # Errors
    /// [`PullError::Store`] when it cannot be opened, or a later version made it.
    pub fn new(root: impl AsRef<Path>) -> Result<Self, PullError> {
        Ok(Self {
            store: Store::open(root)?,
        })
    }

    /// The directory, absolute.
    #[must_use]
    pub fn root(&self) -> &Path {
        self.store.root()
    }

    pub(crate) fn store(&self) -> &Store {
        &self.store
    }
}

/// What the artifacts' names carry, so that two versions of the writers never meet in one file.
pub(crate) const FORMAT: FormatVersion = FormatVersion(msb_sidecar::VERSION);
