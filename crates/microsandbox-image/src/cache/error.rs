use std::path::PathBuf;

use msb_oci::{Digest, Reference};
use msb_platform::Platform;
use msb_store::UnmetBudget;

/// Reports why an operation on the cache failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CacheError {
    /// The image is not cached, and the registry may not be contacted.
    #[error("{reference} for {platform} is not cached")]
    NotCached {
        /// The reference.
        reference: Box<Reference>,
        /// The platform.
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
    /// The blob of a layer was not kept when the image was pulled.
    #[error("layer {diff_id} of {reference}: its blob {blob} was not kept")]
    NoLayerBlob {
        /// The reference.
        reference: Box<Reference>,
        /// The image's own platform.
        platform: Box<Platform>,
        /// The diff_id of the layer.
        diff_id: Box<Digest>,
        /// The digest of the blob.
        blob: Box<Digest>,
    },
    /// The image is pinned.
    #[error("{reference} is pinned as {}", names.join(", "))]
    Pinned {
        /// The reference.
        reference: Box<Reference>,
        /// The names of the pins.
        names: Vec<String>,
    },
    /// The cache cannot be brought within its budget, or a pull would exceed it.
    #[error("{unmet}{}", wanted(*needed_bytes))]
    Budget {
        /// The budget, and what holds the bytes above it.
        unmet: UnmetBudget,
        /// What a pull needs at least, which its budget leaves; 0 for a prune.
        needed_bytes: u64,
    },
    /// A pull needs more than the whole budget of the cache.
    #[error(
        "the pull needs at least {needed_bytes} bytes, and the budget of the cache is {max_bytes}"
    )]
    TooLarge {
        /// The budget.
        max_bytes: u64,
        /// What the pull needs at least.
        needed_bytes: u64,
    },
    /// The cache directory cannot be used.
    #[error(transparent)]
    Store(#[from] msb_store::Error),
    /// A cached layer's sidecar cannot be read.
    #[error("{}: reading it", path.display())]
    Sidecar {
        /// The file.
        path: PathBuf,
        /// The cause.
        source: msb_sidecar::Error,
    },
    /// A cached layer image cannot be read.
    #[error("{}: reading it", path.display())]
    LayerImage {
        /// The file.
        path: PathBuf,
        /// The cause.
        source: std::io::Error,
    },
    /// The merged metadata of a cached disk cannot be read.
    #[error("{}: reading it", path.display())]
    Fsmeta {
        /// The file.
        path: PathBuf,
        /// The cause.
        source: std::io::Error,
    },
    /// A file of the cache cannot be hashed, or its hashes cannot be read.
    #[error("{}: hashing the disk for dm-verity", path.display())]
    HashTree {
        /// The file.
        path: PathBuf,
        /// The cause.
        source: msb_verity::Error,
    },
    /// The bytes of a file of the cache have changed.
    #[error("{}: the file has changed since it was written", path.display())]
    Changed {
        /// The file.
        path: PathBuf,
    },
}

impl CacheError {
    /// Returns whether the image is not cached.
    #[must_use]
    pub fn is_not_found(&self) -> bool {
        matches!(self, Self::NotCached { .. } | Self::UnknownId { .. })
    }

    /// Returns whether the same operation may succeed later.
    #[must_use]
    pub fn is_temporary(&self) -> bool {
        matches!(self, Self::Store(error) if error.is_temporary())
    }

    /// Returns whether a file of the cache is damaged.
    #[must_use]
    pub fn is_corrupt(&self) -> bool {
        match self {
            Self::Store(error) => error.is_corrupt(),
            Self::Sidecar { source, .. } => source.is_corrupt(),
            Self::Changed { .. } => true,
            _ => false,
        }
    }
}

fn wanted(needed_bytes: u64) -> String {
    match needed_bytes {
        0 => String::new(),
        bytes => format!("; that budget leaves the {bytes} bytes that the pull needs at least"),
    }
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
