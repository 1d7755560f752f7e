//! Raw manifests and configs: small, exact bytes, never believed without being hashed.

use std::fs::File;
use std::io;
use std::time::SystemTime;

use msb_oci::Digest;

use crate::error::{Error, Result};
use crate::step::Step;
use crate::{Store, dirs};

impl Store {
    /// The blob's exact bytes; `None` when it is not there.
    ///
    /// The bytes are hashed, and a blob that does not have its digest is removed and counts as absent.
    ///
    /// # Errors
    /// [`Error::TooLarge`] for a blob above the limit, which stays; [`Error::Io`] from the file system.
    pub fn read_blob(&self, digest: &Digest, limit_bytes: u64) -> Result<Option<Vec<u8>>> {
        let path = self.blob_path(digest);
        let Some(bytes) = dirs::read_capped(&path, limit_bytes)? else {
            return Ok(None);
        };
        if Digest::of(digest.algorithm(), &bytes) == *digest {
            return Ok(Some(bytes));
        }
        tracing::warn!(path = %path.display(), "a stored blob does not have its digest; removing it");
        dirs::remove_file(&path)?;
        Ok(None)
    }

    /// Publishes a blob, unless the same bytes are there already; then it only counts as new, for pruning.
    ///
    /// # Errors
    /// [`Error::DigestMismatch`] when the bytes do not have that digest, and nothing is written.
    pub fn write_blob(&self, digest: &Digest, bytes: &[u8]) -> Result<()> {
        let path = self.blob_path(digest);
        let actual = Digest::of(digest.algorithm(), bytes);
        if actual != *digest {
            return Err(Error::DigestMismatch {
                path,
                expected: Box::new(digest.clone()),
                actual: Box::new(actual),
            });
        }
        let limit_bytes = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        if matches!(dirs::read_capped(&path, limit_bytes), Ok(Some(stored)) if stored == bytes) {
            match File::options()
                .append(true)
                .open(&path)
                .and_then(|file| file.set_modified(SystemTime::now()))
            {
                Ok(()) => return Ok(()),
                // Pruned since it was read: write it again.
                Err(e) if e.kind() == io::ErrorKind::NotFound => {}
                Err(e) => return Err(Error::from_io(Step::Touch, &path, e)),
            }
        }
        self.publish_bytes(&path, bytes)
    }
}
