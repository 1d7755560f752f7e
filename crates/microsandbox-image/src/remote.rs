use msb_oci::{Digest, Reference};
use msb_platform::Platform;
use serde::{Deserialize, Serialize};

use crate::ImageConfig;

/// An image of a registry, described without pulling it; see [`Registry::inspect`](crate::Registry::inspect).
///
/// As data it is the object that `msb-image inspect --remote --format json` prints.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct RemoteImage {
    /// The reference, in full.
    pub reference: Reference,
    /// The digest of the document that the reference names: the index, or the manifest if there is no index.
    pub digest: Digest,
    /// The platforms that the index states for its images, in its order. Those of indexes below it are not listed. Without an index the
    /// image's own.
    pub platforms: Vec<RemotePlatform>,
    /// The digest of the manifest that a pull for the platform of the registry uses.
    pub manifest_digest: Digest,
    /// The platform of that image, from its config.
    pub platform: Platform,
    /// The length of the blobs of all its layers, in bytes. A pull downloads at most as many.
    pub total_bytes: u64,
    /// Its layers, bottom to top.
    pub layers: Vec<RemoteLayer>,
    /// How to run it, from its config.
    pub config: ImageConfig,
}

/// One image of an index.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct RemotePlatform {
    /// The platform that the index states.
    pub platform: Platform,
    /// The digest of the manifest for it.
    pub manifest_digest: Digest,
}

/// One layer of an image that is not pulled.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct RemoteLayer {
    /// The digest of the unpacked archive.
    pub diff_id: Digest,
    /// The digest of the blob.
    pub digest: Digest,
    /// The blob's media type, as the manifest states it.
    pub media_type: String,
    /// The blob's length in bytes.
    pub size: u64,
}
