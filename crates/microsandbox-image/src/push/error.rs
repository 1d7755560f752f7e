use std::io;
use std::path::PathBuf;

use msb_oci::{Digest, ManifestError, Reference};
use msb_platform::Platform;
use msb_ranges::EncodeError;

use crate::{CacheError, InspectError};

/// Reports why an image was not pushed. The tag of the destination is as it was.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PushError {
    /// The cache cannot be used.
    #[error(transparent)]
    Cache(#[from] CacheError),
    /// The registry refused a request, or a request failed.
    #[error(transparent)]
    Registry(#[from] msb_registry::Error),
    /// A cached file is damaged, and is not published.
    #[error(transparent)]
    Inspect(#[from] InspectError),
    /// The destination has a digest.
    #[error("{destination}: an image is pushed to a tag, not to a digest")]
    Digest {
        /// The destination.
        destination: Box<Reference>,
    },
    /// The index needs the blobs of the original image, and one of them is neither in the registry nor in the cache.
    #[error("{reference}: the original blob {blob} is neither at {destination} nor in the cache")]
    NoOriginalBlob {
        /// The image.
        reference: Box<Reference>,
        /// Its platform.
        platform: Box<Platform>,
        /// The destination.
        destination: Box<Reference>,
        /// The blob of a layer.
        blob: Box<Digest>,
    },
    /// The manifest or config of the image is no longer cached.
    #[error("{reference}: the cache lacks its document {digest}")]
    NoDocument {
        /// The image.
        reference: Box<Reference>,
        /// The manifest or config.
        digest: Digest,
    },
    /// The cached manifest cannot be parsed.
    #[error("{reference}: parsing its manifest")]
    Manifest {
        /// The image.
        reference: Box<Reference>,
        /// The cause.
        source: ManifestError,
    },
    /// The cached config is not a JSON object.
    #[error("{reference}: its config is not a JSON object")]
    Config {
        /// The image.
        reference: Box<Reference>,
    },
    /// A cached file cannot be opened.
    #[error("{}: opening it to publish it", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// A cached file cannot be compressed.
    #[error("{}: compressing it", path.display())]
    Encode {
        /// The file.
        path: PathBuf,
        /// The cause.
        source: EncodeError,
    },
    /// The temporary file for a compressed file cannot be created or written.
    #[error("{}: writing a temporary file in it", directory.display())]
    Temporary {
        /// The folder of the cache.
        directory: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// A background task panicked, or the runtime is shutting down.
    #[error("a background task of the push panicked or was aborted")]
    Worker,
}

impl PushError {
    /// Returns whether a file of the cache is damaged or missing.
    #[must_use]
    pub fn is_corrupt(&self) -> bool {
        match self {
            Self::Cache(error) => error.is_corrupt(),
            Self::Registry(error) => error.is_corrupt(),
            Self::Inspect(_) | Self::NoDocument { .. } | Self::Manifest { .. } => true,
            _ => false,
        }
    }
}
