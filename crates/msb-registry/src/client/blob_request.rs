//! What is asked of a blob stream, and what it returns.

use bytes::Bytes;
use msb_oci::Digest;

/// Which blob is fetched, and from where on.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct BlobRequest {
    /// The blob's digest. It is only asked for here; the caller verifies the bytes.
    pub digest: Digest,
    /// The size that the descriptor declares, in bytes.
    pub size: u64,
    /// The number of bytes from the start that the caller has already.
    pub offset: u64,
    /// Where else the blob may be had, as the descriptor's `urls` state.
    pub urls: Vec<String>,
}

impl BlobRequest {
    /// Returns a request for the whole blob.
    #[must_use]
    pub fn new(digest: Digest, size: u64) -> Self {
        Self {
            digest,
            size,
            offset: 0,
            urls: Vec::new(),
        }
    }

    /// Leaves out the first `offset` bytes.
    #[must_use]
    pub fn from_offset(self, offset: u64) -> Self {
        Self { offset, ..self }
    }

    /// Sets the URLs that are tried, over HTTPS and without credentials, if the registry does not serve the blob.
    #[must_use]
    pub fn with_urls(self, urls: Vec<String>) -> Self {
        Self { urls, ..self }
    }
}

/// A piece of a blob, from a [`BlobStream`](super::BlobStream).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BlobEvent {
    /// The next bytes; never empty.
    Data(Bytes),
    /// The registry cannot continue in the middle. All bytes so far are void, also those before the offset of
    /// the request: the next ones start at byte 0.
    Restarted,
}
