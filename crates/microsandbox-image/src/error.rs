use std::path::PathBuf;

use msb_layer::LayerError;
use msb_oci::{Digest, Reference};
use msb_platform::Platform;
use msb_sidecar::Note;
use msb_stitch::{StitchError, VerifyError};

use crate::ArchiveError;

/// Why a pull, or a look into the cache, failed. Each names its object and the step.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PullError {
    /// The cache has no such image, and nobody may be asked.
    #[error("{reference} for {platform} is not cached")]
    NotCached {
        /// What was asked for.
        reference: Box<Reference>,
        /// For which platform.
        platform: Box<Platform>,
    },
    /// No image of the cache has this digest or id.
    #[error("no image of the cache has the name, digest or id {id}")]
    UnknownId {
        /// The name as given, escaped.
        id: String,
    },
    /// The beginning of a digest or id fits several images of the cache.
    #[error("{id} is the beginning of {} digests: {}", manifests.len(), first_of(manifests))]
    AmbiguousId {
        /// The name as given, escaped.
        id: String,
        /// The manifests of these images.
        manifests: Vec<Digest>,
    },
    /// The registry, or the way to it.
    #[error(transparent)]
    Registry(#[from] msb_registry::Error),
    /// The layout or archive that the image is loaded from.
    #[error(transparent)]
    Archive(#[from] ArchiveError),
    /// The index cannot be read, or has nothing for the platform.
    #[error("{reference}: choosing from its index")]
    Platform {
        /// What was asked for.
        reference: Box<Reference>,
        /// Why.
        source: msb_platform::Error,
    },
    /// Indexes lead to indexes without end.
    #[error("{reference}: more than {limit} indexes inside one another")]
    IndexDepth {
        /// What was asked for.
        reference: Box<Reference>,
        /// How many may be.
        limit: usize,
    },
    /// An index leads to more documents than are looked at for one image.
    #[error("{reference}: no image that fits among the first {limit} documents of its index")]
    TooManyDocuments {
        /// What was asked for.
        reference: Box<Reference>,
        /// The largest number of documents.
        limit: usize,
    },
    /// A document is not what the index or manifest that names it announces.
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
        /// Why.
        source: msb_oci::ManifestError,
    },
    /// The manifest contradicts itself or the config.
    #[error("manifest {digest}: {problem}")]
    Manifest {
        /// The manifest.
        digest: Digest,
        /// How.
        problem: ManifestProblem,
    },
    /// The config is not understood.
    #[error("image config {digest}: parsing it")]
    Config {
        /// The config.
        digest: Digest,
        /// Why.
        source: serde_json::Error,
    },
    /// The platform in the config is malformed.
    #[error("image config {digest}: os, architecture or variant is not a name")]
    ConfigPlatform {
        /// The config.
        digest: Digest,
    },
    /// A layer cannot be made into an image.
    #[error("layer {digest} of {reference}")]
    Layer {
        /// The layer's blob.
        digest: Digest,
        /// The image.
        reference: Box<Reference>,
        /// Why.
        source: LayerError,
    },
    /// The layers cannot be joined.
    #[error("{reference}: joining its layers into a disk")]
    Stitch {
        /// The image.
        reference: Box<Reference>,
        /// Why.
        source: StitchError,
    },
    /// Something of the image cannot be represented exactly, and the caller wants that to be an error.
    #[error("{reference} cannot be represented exactly: {note}")]
    NotExact {
        /// The image.
        reference: Box<Reference>,
        /// The first of its losses.
        note: Box<Note>,
    },
    /// The cache directory.
    #[error(transparent)]
    Store(#[from] msb_store::Error),
    /// A cached layer's sidecar.
    #[error("{}: reading it", path.display())]
    Sidecar {
        /// The file.
        path: PathBuf,
        /// Why.
        source: msb_sidecar::Error,
    },
    /// The merged metadata of a cached disk.
    #[error("{}: reading it", path.display())]
    Fsmeta {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A layer's files in the cache are damaged each time that it is rebuilt.
    #[error("layer {diff_id}: its cached files are damaged again after {rebuilds} rebuilds")]
    DamagedAgain {
        /// The layer's diff_id.
        diff_id: Digest,
        /// How often it was rebuilt.
        rebuilds: usize,
    },
    /// A cached layer image cannot be read.
    #[error("{}: reading it", path.display())]
    LayerImage {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The bytes of a cached layer image have changed.
    #[error("{}: checksum mismatch: expected {expected:08x}, found {actual:08x}", path.display())]
    DamagedLayer {
        /// The file.
        path: PathBuf,
        /// The checksum taken when it was written.
        expected: u32,
        /// The checksum of the file.
        actual: u32,
    },
    /// A file of a cached image is missing.
    #[error("{}: the file is missing", path.display())]
    ArtifactMissing {
        /// The file.
        path: PathBuf,
    },
    /// A file of a cached image has another length than was written.
    #[error("{}: size mismatch: expected {expected} bytes, found {actual}", path.display())]
    ArtifactLength {
        /// The file.
        path: PathBuf,
        /// The length that was written, in bytes.
        expected: u64,
        /// The length of the file, in bytes.
        actual: u64,
    },
    /// A cached disk descriptor has other text than was written.
    #[error("{}: the descriptor was rewritten, for example by a hypervisor that opened it writable", path.display())]
    Rewritten {
        /// The file.
        path: PathBuf,
    },
    /// A cached disk cannot be read.
    #[error("{reference}: reading its disk")]
    Disk {
        /// The image.
        reference: Box<Reference>,
        /// Why.
        source: erofs_reader::Error,
    },
    /// A cached disk is not what its layers say.
    #[error("{reference}: its disk is damaged")]
    Verify {
        /// The image.
        reference: Box<Reference>,
        /// Where.
        source: VerifyError,
    },
    /// There is no such path in the image.
    #[error("{reference}: no such path: {path}")]
    NoSuchPath {
        /// The image.
        reference: Box<Reference>,
        /// The path, shown safely.
        path: String,
    },
    /// The path is not what it must be.
    #[error("{reference}: {path} is not a {expected}")]
    WrongType {
        /// The image.
        reference: Box<Reference>,
        /// The path, shown safely.
        path: String,
        /// What it must be.
        expected: &'static str,
    },
    /// A file of the image cannot be copied out.
    #[error("{reference}: copying {path} out")]
    Copy {
        /// The image.
        reference: Box<Reference>,
        /// The path, shown safely.
        path: String,
        /// Why.
        source: std::io::Error,
    },
    /// A background task panicked or was aborted.
    #[error("a background task panicked or was aborted")]
    Worker,
    /// The pull was given up.
    #[error("the pull was cancelled")]
    Cancelled,
}

/// What is wrong with a manifest.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ManifestProblem {
    /// It has more or fewer layers than the config has diff_ids.
    #[error("it has {layers} layers, and its config has {diff_ids} diff_ids")]
    LayerCount {
        /// The manifest's.
        layers: usize,
        /// The config's.
        diff_ids: usize,
    },
    /// The image's record would be longer than the cache allows, because of its config and the number of its layers.
    #[error("the record of the image would have {bytes} bytes; the cache allows {limit}")]
    RecordTooLarge {
        /// The bytes of the record, at most.
        bytes: u64,
        /// How many there may be.
        limit: u64,
    },
    /// More layers than a disk can have.
    #[error("it has {layers} layers; a disk can have {limit}")]
    TooManyLayers {
        /// The manifest's.
        layers: usize,
        /// How many there may be.
        limit: usize,
    },
}

/// The difference between a document and its descriptor.
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

/// Lists the first few digests.
fn first_of(digests: &[Digest]) -> String {
    const SHOWN: usize = 4;
    let mut shown: Vec<String> = digests.iter().take(SHOWN).map(Digest::to_string).collect();
    if digests.len() > SHOWN {
        shown.push("...".into());
    }
    shown.join(", ")
}

impl PullError {
    /// Returns whether a manifest or a config is malformed, or is not that of an image.
    pub(crate) fn is_of_document(&self) -> bool {
        matches!(
            self,
            Self::ManifestDocument { .. } | Self::Config { .. } | Self::ConfigPlatform { .. }
        )
    }

    /// Whether the image is not there: in the cache, in the registry, or for the platform.
    #[must_use]
    pub fn is_not_found(&self) -> bool {
        match self {
            Self::NotCached { .. } | Self::UnknownId { .. } | Self::NoSuchPath { .. } => true,
            Self::Registry(error) => error.is_not_found(),
            Self::Archive(error) => error.is_not_found(),
            Self::Platform { source, .. } => source.is_not_found(),
            _ => false,
        }
    }

    /// Whether the registry wants other credentials.
    #[must_use]
    pub fn is_unauthorized(&self) -> bool {
        matches!(self, Self::Registry(error) if error.is_unauthorized())
    }

    /// Whether the same pull may succeed later.
    #[must_use]
    pub fn is_temporary(&self) -> bool {
        match self {
            Self::Registry(error) => error.is_temporary(),
            Self::Store(error) => error.is_temporary(),
            _ => false,
        }
    }

    /// Whether bytes are not what their digests, or the cache's own sums, promise.
    #[must_use]
    pub fn is_corrupt(&self) -> bool {
        match self {
            Self::Registry(error) => error.is_corrupt(),
            Self::Archive(error) => error.is_corrupt(),
            Self::Store(error) => error.is_corrupt(),
            Self::Layer { source, .. } => source.is_mismatch(),
            Self::Sidecar { source, .. } => source.is_corrupt(),
            Self::Disk { source, .. } => source.is_corrupt(),
            Self::Verify { .. }
            | Self::DamagedLayer { .. }
            | Self::DamagedAgain { .. }
            | Self::ArtifactMissing { .. }
            | Self::ArtifactLength { .. }
            | Self::Rewritten { .. }
            | Self::Announced { .. } => true,
            _ => false,
        }
    }
}
