use msb_oci::{Descriptor, Digest};

/// A blob that a manifest names.
#[derive(Clone, Debug)]
pub(crate) struct Blob {
    pub(crate) digest: Digest,
    /// The length in bytes; at most 2^63 - 1.
    pub(crate) bytes: u64,
    pub(crate) media_type: String,
    /// Other places that serve it; for layers that a registry may not distribute.
    pub(crate) urls: Vec<String>,
}

impl From<Descriptor> for Blob {
    fn from(descriptor: Descriptor) -> Self {
        Self {
            digest: descriptor.digest,
            bytes: descriptor.size,
            media_type: descriptor.media_type,
            urls: descriptor.urls,
        }
    }
}

/// A layer as manifest and config name it.
#[derive(Clone, Debug)]
pub(crate) struct LayerSource {
    pub(crate) blob: Blob,
    pub(crate) diff_id: Digest,
}
