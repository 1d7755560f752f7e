//! Raw manifests and configs: small files of exact bytes, hashed whenever they are read.

use msb_oci::Digest;

use crate::Store;
use crate::artifact::BLOB;
use crate::error::{Error, Result};

impl Store {
    /// Returns the blob's exact bytes; `None` if it is absent.
    ///
    /// The bytes are hashed. A blob that does not have its digest counts as absent, and is removed unless the cache is only read.
    ///
    /// # Errors
    /// [`Error::TooLarge`] for a blob above the limit, which stays; [`Error::Io`] from the file system.
    pub fn read_blob(&self, digest: &Digest, limit_bytes: u64) -> Result<Option<Vec<u8>>> {
        let place = BLOB.place(digest, 0);
        let Some(bytes) = self.read_place(&place, limit_bytes)? else {
            return Ok(None);
        };
        if Digest::of(digest.algorithm(), &bytes) == *digest {
            return Ok(Some(bytes));
        }
        if self.inner.is_read_only {
            return Ok(None);
        }
        tracing::warn!(%digest, "a stored blob does not have its digest; it is removed");
        if let Some(dir) = self.dir(&place.dir)? {
            dir.remove_file(&place.name)?;
        }
        Ok(None)
    }

    /// Returns whether the blob has its digest; `None` if it is absent. Changes nothing.
    ///
    /// # Errors
    /// [`Error::TooLarge`] for a blob above the limit.
    pub fn verify_blob(&self, digest: &Digest, limit_bytes: u64) -> Result<Option<bool>> {
        let bytes = self.read_place(&BLOB.place(digest, 0), limit_bytes)?;
        Ok(bytes.map(|bytes| Digest::of(digest.algorithm(), &bytes) == *digest))
    }

    /// Publishes a blob. If the same bytes are there already, they only get a new modification time, which pruning looks at.
    ///
    /// # Errors
    /// [`Error::DigestMismatch`] when the bytes do not have that digest, and nothing is written.
    pub fn write_blob(&self, digest: &Digest, bytes: &[u8]) -> Result<()> {
        let place = BLOB.place(digest, 0);
        let actual = Digest::of(digest.algorithm(), bytes);
        if actual != *digest {
            return Err(Error::DigestMismatch {
                path: self.path_of(&place),
                expected: Box::new(*digest),
                actual: Box::new(actual),
            });
        }
        let limit_bytes = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        let session = self.session();
        if matches!(session.read_place(&place, limit_bytes), Ok(Some(stored)) if stored == bytes)
            && let Some(dir) = session.dir(&place.dir)?
            && dir.touch(&place.name)?
        {
            return Ok(());
        }
        session.publish_bytes(place, bytes)
    }
}
