//! Pushing blobs, manifests and referrers.
//!
//! ```text
//!   HEAD blob ──200──▶ existing
//!      │404
//!      ▼
//!   POST uploads ──201──▶ mounted                  from another repository of the registry
//!      │202, Location
//!      ├── PUT ?digest=              the whole blob, up to Limits::upload_chunk_bytes
//!      └── PATCH, PATCH, ... PUT     chunks; after a fault GET returns where to continue
//! ```

mod exists;
mod manifest;
mod referrer;
mod session;
mod upload;

use std::fmt;
use std::sync::Arc;

use msb_oci::{Digest, Reference};
use read_at::ReadAt;

pub use self::manifest::PushedManifest;
pub use self::referrer::ReferrerEntry;
use self::upload::Upload;
use super::Client;
use crate::error::Error;

/// A blob to be pushed.
#[derive(Clone)]
#[non_exhaustive]
pub struct BlobUpload {
    /// The blob's digest. The registry verifies the bytes.
    pub digest: Digest,
    /// The blob's size, in bytes.
    pub size: u64,
    /// The bytes. They are read in pieces on blocking threads, repeatedly if a fault requires it.
    pub source: Arc<dyn ReadAt + Send + Sync>,
    /// Another repository of the registry that may have the blob.
    pub mount_from: Option<String>,
}

/// How a blob came to be in the repository.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Pushed {
    /// The repository had it.
    Existing,
    /// The registry mounted it from another repository.
    Mounted,
    /// It was sent.
    Uploaded,
}

impl BlobUpload {
    /// Returns the upload of the `size` bytes of `source`, which have `digest`.
    #[must_use]
    pub fn new(digest: Digest, size: u64, source: Arc<dyn ReadAt + Send + Sync>) -> Self {
        Self {
            digest,
            size,
            source,
            mount_from: None,
        }
    }

    /// Lets the registry mount the blob from its repository `repository`, if it has the blob and allows that.
    #[must_use]
    pub fn with_mount_from(self, repository: impl Into<String>) -> Self {
        Self {
            mount_from: Some(repository.into()),
            ..self
        }
    }
}

impl Client {
    /// Puts a blob into the repository that `reference` names. Nothing is sent if it is there, or can be mounted.
    ///
    /// The registry itself is asked, never a mirror. After a temporary fault the upload resumes where the registry has its end. The
    /// memory in use does not depend on the size of the blob.
    ///
    /// # Errors
    ///
    /// [`Error::Unauthorized`], [`Error::Denied`] or [`Error::Status`] if the registry refuses the push; [`Error::UploadSource`] if the
    /// bytes cannot be read; [`Error::DigestMismatch`] if the registry reports another digest; every other fault of a request.
    pub async fn push_blob(
        &self,
        reference: &Reference,
        upload: &BlobUpload,
    ) -> Result<Pushed, Error> {
        Upload::new(&self.sender, reference, upload).run().await
    }

    /// Mounts a blob from `repository` of the same registry into the one that `reference` names. Returns `false` if the registry does not
    /// do that; then nothing has changed.
    ///
    /// # Errors
    ///
    /// Every temporary fault of a request that lasts.
    pub async fn mount_blob(
        &self,
        reference: &Reference,
        digest: &Digest,
        repository: &str,
    ) -> Result<bool, Error> {
        let nothing: Arc<dyn ReadAt + Send + Sync> = Arc::new(Vec::<u8>::new());
        let upload = BlobUpload::new(*digest, 0, nothing).with_mount_from(repository);
        Upload::new(&self.sender, reference, &upload).mount().await
    }

    /// Returns whether the repository that `reference` names has the blob `digest`, as the registry itself reports it.
    ///
    /// # Errors
    ///
    /// Every fault of a request.
    pub async fn has_blob(&self, reference: &Reference, digest: &Digest) -> Result<bool, Error> {
        let mut retry = self.sender.new_retry();
        loop {
            match exists::blob_exists(&self.sender, reference, digest).await {
                Ok(exists) => return Ok(exists),
                Err(error) => retry.after(error).await?,
            }
        }
    }
}

impl fmt::Debug for BlobUpload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BlobUpload")
            .field("digest", &self.digest)
            .field("size", &self.size)
            .field("mount_from", &self.mount_from)
            .finish_non_exhaustive()
    }
}
