use std::io;
use std::path::PathBuf;

use msb_oci::{Digest, Reference};
use msb_stitch::{StitchError, VerifyError};

use crate::CacheError;

/// Reports why a cached image cannot be read, or what is damaged in it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum InspectError {
    /// The cache cannot be used, or has no such image.
    #[error(transparent)]
    Cache(#[from] CacheError),
    /// A file of the cache cannot be read.
    #[error("{}: reading it", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// The bytes of a file of the cache have changed.
    #[error("{}: checksum mismatch: expected {expected:08x}, found {actual:08x}", path.display())]
    Checksum {
        /// The file.
        path: PathBuf,
        /// The checksum computed when it was written.
        expected: u32,
        /// The checksum of the file.
        actual: u32,
    },
    /// The kept blob of a layer cannot be read.
    #[error("{}: reading the blob of a layer", path.display())]
    ReadBlob {
        /// The file.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// A manifest, a config or the kept blob of a layer has another digest.
    #[error("{}: digest mismatch: expected {expected}", path.display())]
    Digest {
        /// The file.
        path: PathBuf,
        /// The digest under which it was stored.
        expected: Digest,
    },
    /// A file of a cached image is missing.
    #[error("{}: the file is missing", path.display())]
    ArtifactMissing {
        /// The file.
        path: PathBuf,
    },
    /// The length of a file of a cached image has changed.
    #[error("{}: size mismatch: expected {expected} bytes, found {actual}", path.display())]
    ArtifactLength {
        /// The file.
        path: PathBuf,
        /// The length that was written, in bytes.
        expected: u64,
        /// The length of the file, in bytes.
        actual: u64,
    },
    /// The text of a cached disk descriptor has changed.
    #[error("{}: the descriptor was rewritten, for example by a hypervisor that opened it writable", path.display())]
    Rewritten {
        /// The file.
        path: PathBuf,
    },
    /// The hash tree of a disk has another root hash than the one that was recorded.
    #[error("{}: root hash mismatch: expected {}, found {}", path.display(), expected.hex(), actual.hex())]
    RootHash {
        /// The file.
        path: PathBuf,
        /// The root hash that was recorded.
        expected: Box<Digest>,
        /// The root hash of the files of the disk.
        actual: Box<Digest>,
    },
    /// The file of a hash tree is not the tree over the files of its disk.
    #[error("{}: the hash tree has changed", path.display())]
    HashTree {
        /// The file.
        path: PathBuf,
    },
    /// A cached disk cannot be read.
    #[error("{reference}: reading its disk")]
    Disk {
        /// The image.
        reference: Box<Reference>,
        /// The cause.
        source: erofs_reader::Error,
    },
    /// There is no such path in the image.
    #[error("{reference}: no such path: {path}")]
    NoSuchPath {
        /// The image.
        reference: Box<Reference>,
        /// The path, escaped.
        path: String,
    },
    /// The path has another type than expected.
    #[error("{reference}: {path} is not a {expected}")]
    WrongType {
        /// The image.
        reference: Box<Reference>,
        /// The path, escaped.
        path: String,
        /// The type that is expected.
        expected: &'static str,
    },
    /// A file of the image cannot be copied out.
    #[error("{reference}: copying {path} out")]
    Copy {
        /// The image.
        reference: Box<Reference>,
        /// The path, escaped.
        path: String,
        /// The cause.
        source: io::Error,
    },
    /// The layers cannot be merged.
    #[error("{reference}: merging its layers")]
    Stitch {
        /// The image.
        reference: Box<Reference>,
        /// The cause.
        source: StitchError,
    },
    /// The disk does not match its layers.
    #[error("{reference}: its disk is damaged")]
    Verify {
        /// The image.
        reference: Box<Reference>,
        /// The first difference.
        source: VerifyError,
    },
}

impl From<msb_store::Error> for InspectError {
    fn from(error: msb_store::Error) -> Self {
        Self::Cache(error.into())
    }
}

impl InspectError {
    /// Returns whether the image is not cached, or has no such path.
    #[must_use]
    pub fn is_not_found(&self) -> bool {
        match self {
            Self::NoSuchPath { .. } => true,
            Self::Cache(error) => error.is_not_found(),
            _ => false,
        }
    }

    /// Returns whether a file of the cache is damaged.
    #[must_use]
    pub fn is_corrupt(&self) -> bool {
        match self {
            Self::Cache(error) => error.is_corrupt(),
            Self::Disk { source, .. } => source.is_corrupt(),
            Self::Verify { .. }
            | Self::Checksum { .. }
            | Self::Digest { .. }
            | Self::ArtifactMissing { .. }
            | Self::ArtifactLength { .. }
            | Self::Rewritten { .. } => true,
            _ => false,
        }
    }
}
