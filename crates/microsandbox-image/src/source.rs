//! Where an image comes from.
//!
//! ```text
//!   pull/ ──▶ ImageSource ─┬─ registry    the distribution API
//!                          ├─ layout      an OCI image layout ──┬─ files: a directory, or a tar archive
//!                          └─ docker      of `docker save` ─────┘
//! ```
//!
//! A source only returns bytes. Its caller verifies every digest, chooses the platform, converts layers and publishes, in the same way
//! for all sources.

mod archive;
mod data;
mod docker;
mod error;
mod files;
mod layout;
mod pinned;
mod registry;

pub use archive::{ArchiveImage, ArchiveOptions, ImageArchive};
pub use error::ArchiveError;
pub(crate) use msb_registry::{BlobEvent, Document};
pub(crate) use pinned::PinnedSource;
pub(crate) use registry::RegistrySource;

use std::fmt;
use std::future::Future;
use std::pin::Pin;

use bytes::Bytes;
use futures_util::stream::BoxStream;
use msb_oci::{Descriptor, Digest};

use crate::PullError;
use crate::document::Blob;

/// The longest image manifest or index of an archive, in bytes: as of a registry.
const MAX_MANIFEST_BYTES: u64 = 4 << 20;

/// The longest image config of an archive, in bytes: as of a registry.
const MAX_CONFIG_BYTES: u64 = 8 << 20;

/// The longest `manifest.json` of `docker save`, in bytes. It describes all images of the archive.
const MAX_DOCKER_BYTES: u64 = 8 << 20;

/// The most images of one archive, each counted once for each of its names.
const MAX_IMAGES: usize = 1024;

/// A place that has the documents and blobs of one image.
///
/// The futures of documents are boxed: there are few documents. A blob is one boxed stream, so that its pieces cost no
/// allocation.
pub(crate) trait ImageSource: fmt::Debug + Send + Sync {
    /// Returns the image's manifest, or the index from which it is chosen.
    fn root(&self) -> SourceFuture<'_, Document>;

    /// Returns a manifest or an index whose bytes have this digest.
    fn manifest(&self, digest: Digest) -> SourceFuture<'_, Document>;

    /// Returns the bytes of a config: as many as its descriptor states, with its digest.
    fn config<'a>(&'a self, config: &'a Descriptor) -> SourceFuture<'a, Bytes>;

    /// Returns the bytes of the blob of layer `index` from `offset` on. Nothing is read before the stream is polled.
    ///
    /// The stream ends after exactly as many bytes as the descriptor states. Their digest is not verified.
    fn blob(&self, index: usize, blob: &Blob, offset: u64) -> BlobData;

    /// Records that the bytes of a blob have another digest. Returns whether another place has the blob; the next read uses it.
    fn reject(&self, blob: &Blob) -> bool {
        let _ = blob;
        false
    }

    /// Returns whether reading a blob can fail for reasons that are gone in a later pull, so that a partial blob is worth
    /// keeping.
    fn is_interruptible(&self) -> bool;

    /// Returns the name of what limits the speed of this source, such as the host of a registry. Pulls that wait for one
    /// another compare these names.
    fn origin(&self) -> &str;
}

/// The future of a document.
pub(crate) type SourceFuture<'a, T> =
    Pin<Box<dyn Future<Output = Result<T, PullError>> + Send + 'a>>;

/// The bytes of a blob, in pieces. [`BlobEvent::Restarted`] voids all earlier bytes, also those before the offset.
pub(crate) type BlobData = BoxStream<'static, Result<BlobEvent, PullError>>;
