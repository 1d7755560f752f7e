//! The requests that can be made of a registry.

mod ask;
mod blob;
mod blob_request;
mod builder;
mod candidates;
mod content_range;
mod endpoint;
mod guard;
mod health;
mod listing;
mod manifest;
mod push;
mod rate;
mod retry;
mod sender;
mod sign_in;
mod source;
mod upstream;
mod upstreams;

use msb_oci::{Digest, Reference};

pub use self::blob::BlobStream;
pub use self::blob_request::{BlobEvent, BlobRequest};
pub use self::builder::ClientBuilder;
pub use self::health::HostHealth;
pub use self::listing::{Referrer, Referrers};
use self::manifest::fetch_manifest;
pub use self::push::{BlobUpload, Pushed, PushedManifest, ReferrerEntry};
use self::sender::Sender;
use self::upstreams::Upstreams;
use crate::auth::Auth;
use crate::context::Step;
use crate::document::Document;
use crate::error::Error;
use crate::notice::{Notice, Observer};

/// Sends requests to registries. Cheap to make and to clone; clones share connections, tokens and bound credentials.
///
/// Works on any tokio runtime that has its I/O and time drivers enabled. Futures are `Send` and may be dropped at any point.
#[derive(Debug, Clone)]
pub struct Client {
    sender: Sender,
}

impl Client {
    fn new(auth: Auth, upstreams: Upstreams) -> Self {
        Self {
            sender: Sender::new(auth, upstreams),
        }
    }

    /// Returns a clone whose requests report retries and stalls to `observe`, in place of any earlier observer.
    ///
    /// The observer is called on the task that polls the request, and must not block.
    #[must_use]
    pub fn with_observer(&self, observe: impl Fn(&Notice<'_>) + Send + Sync + 'static) -> Self {
        Self {
            sender: self.sender.with_observer(Observer::new(observe)),
        }
    }

    /// Fetches the manifest or index that `reference` names, by its digest if it has one, else by its tag.
    ///
    /// The digest is computed over the exact bytes received, and compared with that of the reference if there is one. A
    /// `Docker-Content-Digest` header is ignored, because nothing vouches for it.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`], [`Error::Unauthorized`] and every other fault of a request; [`Error::Html`], [`Error::NotJson`]
    /// and [`Error::Manifest`] for a document that is not a manifest; [`Error::DigestMismatch`]; [`Error::OverLimit`].
    pub async fn manifest(&self, reference: &Reference) -> Result<Document, Error> {
        let mut retry = self.sender.new_retry();
        loop {
            match fetch_manifest(&self.sender, reference).await {
                Ok(document) => return Ok(document),
                Err(error) => retry.after(error).await?,
            }
        }
    }

    /// Fetches the config `digest` of the image `reference`, and verifies its digest and that it has `size` bytes.
    ///
    /// # Errors
    ///
    /// As [`Client::blob_bytes`], with [`Limits::config_bytes`](crate::Limits::config_bytes) as the limit.
    pub async fn config(
        &self,
        reference: &Reference,
        digest: &Digest,
        size: u64,
    ) -> Result<Document, Error> {
        let limit = self.sender.exchange().limits.config_bytes;
        self.collect(Step::Config, reference, digest, size, limit)
            .await
    }

    /// Returns a blob of the repository that `reference` names, as a stream. Nothing is sent before the stream is polled.
    ///
    /// The stream checks the length; **the caller verifies the digest**.
    #[must_use]
    pub fn blob(&self, reference: &Reference, request: BlobRequest) -> BlobStream {
        BlobStream::new(self.sender.clone(), reference.clone(), request, Step::Blob)
    }

    /// Fetches a small blob, and verifies its digest and that it has `size` bytes.
    ///
    /// # Errors
    ///
    /// [`Error::OverLimit`] if `size` is above `limit`, [`Error::DigestMismatch`], and every fault of a request.
    pub async fn blob_bytes(
        &self,
        reference: &Reference,
        digest: &Digest,
        size: u64,
        limit: u64,
    ) -> Result<Document, Error> {
        self.collect(Step::Blob, reference, digest, size, limit)
            .await
    }

    /// Notes that the bytes of a blob that this client served have another digest. Returns whether another host of the registry is
    /// asked for it from now on, because a mirror served it.
    #[must_use]
    pub fn reject_blob(&self, digest: &Digest) -> bool {
        self.sender.reject(digest)
    }

    async fn collect(
        &self,
        step: Step,
        reference: &Reference,
        digest: &Digest,
        size: u64,
        limit: u64,
    ) -> Result<Document, Error> {
        if size > limit {
            return Err(Error::OverLimit {
                context: self.sender.blob_context(step, reference, digest)?,
                limit,
            });
        }
        let request = BlobRequest::new(*digest, size);
        BlobStream::new(self.sender.clone(), reference.clone(), request, step)
            .collect()
            .await
    }
}
