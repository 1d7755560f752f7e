use std::io;
use std::path::PathBuf;

use msb_layer::decode::DecodeError;
use msb_oci::{Digest, ManifestError, Reference};

use crate::export::WriteError;
use crate::{CacheError, NewFileError};

/// Reports why images cannot be saved.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SaveError {
    /// The cache cannot be used, or the blob of a layer was not kept ([`CacheError::NoLayerBlob`]).
    #[error(transparent)]
    Cache(#[from] CacheError),
    /// The manifest or config of an image is no longer cached.
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
    /// The cached manifest has other layers than the record of the image.
    #[error("{reference}: its manifest has other layers than its disk")]
    OtherLayers {
        /// The image.
        reference: Box<Reference>,
    },
    /// A kept blob cannot be read.
    #[error("{}: reading the blob of a layer", path.display())]
    ReadBlob {
        /// The file.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// A kept blob is damaged.
    #[error("{}: digest mismatch: expected {expected}, found {actual}", path.display())]
    Blob {
        /// The file.
        path: PathBuf,
        /// The digest in the manifest, or the diff_id in the config.
        expected: Digest,
        /// The digest of its bytes.
        actual: Digest,
    },
    /// A kept blob has another length than its descriptor.
    #[error("{}: length mismatch: expected {expected} bytes, found {actual}", path.display())]
    BlobLength {
        /// The file.
        path: PathBuf,
        /// The expected length in bytes.
        expected: u64,
        /// The length in bytes.
        actual: u64,
    },
    /// A kept blob cannot be decompressed.
    #[error("{}: decompressing the blob of a layer", path.display())]
    Decode {
        /// The file.
        path: PathBuf,
        /// The cause.
        source: DecodeError,
    },
    /// The output cannot be created, or get its name.
    #[error(transparent)]
    File(#[from] NewFileError),
    /// The output cannot be written.
    #[error("{}: writing to it after {offset} bytes", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// The number of bytes before the failure.
        offset: u64,
        /// The cause.
        source: io::Error,
    },
    /// The stream cannot be written.
    #[error("writing the archive to a stream after {offset} bytes")]
    Stream {
        /// The number of bytes before the failure.
        offset: u64,
        /// The cause.
        source: io::Error,
    },
}

impl SaveError {
    /// Returns whether the disk of the output, or the quota on it, is full.
    #[must_use]
    pub fn is_full(&self) -> bool {
        match self {
            Self::File(error) => error.is_full(),
            Self::Write { source, .. } | Self::Stream { source, .. } => matches!(
                source.kind(),
                io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded
            ),
            _ => false,
        }
    }

    /// Returns whether a file of the cache is damaged or missing.
    #[must_use]
    pub fn is_corrupt(&self) -> bool {
        match self {
            Self::Cache(error) => error.is_corrupt(),
            Self::NoDocument { .. }
            | Self::Manifest { .. }
            | Self::OtherLayers { .. }
            | Self::Blob { .. }
            | Self::BlobLength { .. }
            | Self::Decode { .. } => true,
            _ => false,
        }
    }
}

impl From<WriteError> for SaveError {
    fn from(error: WriteError) -> Self {
        match error {
            WriteError::File {
                path,
                offset,
                source,
            } => Self::Write {
                path,
                offset,
                source,
            },
            WriteError::Stream { offset, source } => Self::Stream { offset, source },
        }
    }
}
