use msb_layer::LayerError;
use msb_oci::{Digest, Excerpt, Reference};
use msb_sidecar::Note;
use msb_stitch::{StitchError, VerifyError};

use crate::{ArchiveError, CacheError};

/// Reports why a pull or a load failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PullError {
    /// The cache cannot be used, or has no such image.
    #[error(transparent)]
    Cache(#[from] CacheError),
    /// A request to a registry failed.
    #[error(transparent)]
    Registry(#[from] msb_registry::Error),
    /// The layout or archive that the image is loaded from cannot be used.
    #[error(transparent)]
    Archive(#[from] ArchiveError),
    /// The index cannot be read, or has nothing for the platform.
    #[error("{reference}: choosing from its index")]
    Platform {
        /// The reference.
        reference: Box<Reference>,
        /// The cause.
        source: msb_platform::Error,
    },
    /// Indexes are nested too deep.
    #[error("{reference}: more than {limit} indexes inside one another")]
    IndexDepth {
        /// The reference.
        reference: Box<Reference>,
        /// The largest number.
        limit: usize,
    },
    /// An index leads to more documents than are read for one image.
    #[error("{reference}: no image that fits among the first {limit} documents of its index")]
    TooManyDocuments {
        /// The reference.
        reference: Box<Reference>,
        /// The largest number of documents.
        limit: usize,
    },
    /// A document does not match the descriptor that names it.
    #[error("{digest}: {problem}")]
    Announced {
        /// The document.
        digest: Digest,
        /// The difference.
        problem: AnnouncedProblem,
    },
    /// The manifest is malformed.
    #[error("manifest {digest}: parsing it")]
    ManifestDocument {
        /// The manifest.
        digest: Digest,
        /// The cause.
        source: msb_oci::ManifestError,
    },
    /// The manifest contradicts itself or the config.
    #[error("manifest {digest}: {problem}")]
    Manifest {
        /// The manifest.
        digest: Digest,
        /// The contradiction.
        problem: ManifestProblem,
    },
    /// The config cannot be parsed.
    #[error("image config {digest}: parsing it")]
    Config {
        /// The config.
        digest: Digest,
        /// The cause.
        source: serde_json::Error,
    },
    /// The platform in the config is malformed.
    #[error("image config {digest}: os, architecture or variant is not a name")]
    ConfigPlatform {
        /// The config.
        digest: Digest,
    },
    /// A layer cannot be converted to a layer image.
    #[error("layer {digest} of {reference}")]
    Layer {
        /// The layer's blob.
        digest: Digest,
        /// The image.
        reference: Box<Reference>,
        /// The cause.
        source: LayerError,
    },
    /// The index offers no EROFS layers, and the options require them.
    #[error("{reference}: its index offers no EROFS layers")]
    NotPublished {
        /// The image.
        reference: Box<Reference>,
    },
    /// The manifest of the EROFS layers cannot be used.
    #[error("EROFS manifest {digest}: {problem}")]
    PublishedManifest {
        /// The manifest.
        digest: Digest,
        /// What is wrong.
        problem: Box<crate::PublishedProblem>,
    },
    /// An EROFS layer cannot be used.
    #[error("EROFS layer {digest} of {reference}")]
    Published {
        /// The blob of its image.
        digest: Digest,
        /// The image.
        reference: Box<Reference>,
        /// The cause.
        source: Box<crate::PublishedLayerError>,
    },
    /// The layers cannot be joined.
    #[error("{reference}: joining its layers into a disk")]
    Stitch {
        /// The image.
        reference: Box<Reference>,
        /// The cause.
        source: StitchError,
    },
    /// A part of the image cannot be represented exactly, and the options are strict.
    #[error("{reference} cannot be represented exactly: {note}")]
    NotExact {
        /// The image.
        reference: Box<Reference>,
        /// The first fidelity note.
        note: Box<Note>,
    },
    /// A layer's files in the cache are damaged again after each rebuild.
    #[error("layer {diff_id}: its cached files are damaged again after {rebuilds} rebuilds")]
    DamagedAgain {
        /// The layer's diff_id.
        diff_id: Digest,
        /// The number of rebuilds.
        rebuilds: usize,
    },
    /// The disk does not match its layers.
    #[error("{reference}: its disk is damaged")]
    Verify {
        /// The image.
        reference: Box<Reference>,
        /// The first difference.
        source: VerifyError,
    },
    /// A background task panicked or was aborted.
    #[error("a background task panicked or was aborted")]
    Worker,
    /// The pull was cancelled.
    #[error("the pull was cancelled")]
    Cancelled,
}

/// Reports what is wrong with a manifest.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ManifestProblem {
    /// It is of another artifact, such as a chart or a signature: its config is none of an image.
    #[error("it is no image: its config has the media type {config_type}")]
    NotAnImage {
        /// The media type of the config.
        config_type: Excerpt,
    },
    /// It has more or fewer layers than the config has diff_ids.
    #[error("it has {layers} layers, and its config has {diff_ids} diff_ids")]
    LayerCount {
        /// The number of layers.
        layers: usize,
        /// The number of diff_ids.
        diff_ids: usize,
    },
    /// The image's record would be longer than the cache allows, because of its config and the number of its layers.
    #[error("the record of the image would have {bytes} bytes; the cache allows {limit}")]
    RecordTooLarge {
        /// The bytes of the record, at most.
        bytes: u64,
        /// The largest number.
        limit: u64,
    },
    /// More layers than a disk can have.
    #[error("it has {layers} layers; a disk can have {limit}")]
    TooManyLayers {
        /// The number of layers.
        layers: usize,
        /// The largest number.
        limit: usize,
    },
}

/// Reports the difference between a document and its descriptor.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AnnouncedProblem {
    /// The size.
    #[error("size mismatch: its descriptor states {expected} bytes, it has {actual}")]
    Size {
        /// The descriptor's, in bytes.
        expected: u64,
        /// The document's, in bytes.
        actual: u64,
    },
    /// The media type.
    #[error("media type mismatch: its descriptor states {expected}, it is {actual}")]
    MediaType {
        /// The descriptor's.
        expected: &'static str,
        /// The document's.
        actual: msb_oci::Excerpt,
    },
}

impl From<msb_store::Error> for PullError {
    fn from(error: msb_store::Error) -> Self {
        Self::Cache(error.into())
    }
}

impl PullError {
    /// Returns whether a manifest or a config is malformed, or is not that of an image.
    pub(crate) fn is_of_document(&self) -> bool {
        matches!(
            self,
            Self::ManifestDocument { .. }
                | Self::Config { .. }
                | Self::ConfigPlatform { .. }
                | Self::Manifest {
                    problem: ManifestProblem::NotAnImage { .. },
                    ..
                }
        )
    }

    /// Returns whether the original layers may be used in place of EROFS layers that cannot be.
    pub(crate) fn is_of_published(&self) -> bool {
        match self {
            Self::PublishedManifest { .. } | Self::Published { .. } => true,
            Self::Registry(error) => error.is_not_found() || error.is_corrupt(),
            _ => false,
        }
    }

    /// Returns whether the image is missing: in the cache, in the source, or for the platform.
    #[must_use]
    pub fn is_not_found(&self) -> bool {
        match self {
            Self::Cache(error) => error.is_not_found(),
            Self::Registry(error) => error.is_not_found(),
            Self::Archive(error) => error.is_not_found(),
            Self::Platform { source, .. } => source.is_not_found(),
            _ => false,
        }
    }

    /// Returns whether the registry needs other credentials.
    #[must_use]
    pub fn is_unauthorized(&self) -> bool {
        matches!(self, Self::Registry(error) if error.is_unauthorized())
    }

    /// Returns whether the same pull may succeed later.
    #[must_use]
    pub fn is_temporary(&self) -> bool {
        match self {
            Self::Registry(error) => error.is_temporary(),
            Self::Cache(error) => error.is_temporary(),
            _ => false,
        }
    }

    /// Returns whether the disk of the cache is full.
    #[must_use]
    pub fn is_full(&self) -> bool {
        matches!(self, Self::Cache(CacheError::Store(error)) if error.is_full())
    }

    /// Returns whether bytes contradict their digests or the checksums of the cache.
    #[must_use]
    pub fn is_corrupt(&self) -> bool {
        match self {
            Self::Registry(error) => error.is_corrupt(),
            Self::Archive(error) => error.is_corrupt(),
            Self::Cache(error) => error.is_corrupt(),
            Self::Layer { source, .. } => source.is_mismatch(),
            Self::Verify { .. }
            | Self::DamagedAgain { .. }
            | Self::Announced { .. }
            | Self::PublishedManifest { .. }
            | Self::Published { .. } => true,
            _ => false,
        }
    }
}
