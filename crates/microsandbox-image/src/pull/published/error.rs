use std::io;

use msb_layer::UnpackError;
use msb_oci::Digest;

/// Reports what is wrong with a layer that is published as an EROFS image. Nothing of it is in the cache.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PublishedLayerError {
    /// A blob cannot be unpacked, or has another digest.
    #[error("unpacking the blob {blob}")]
    Unpack {
        /// The blob of the image or of the sidecar.
        blob: Digest,
        /// The cause.
        source: UnpackError,
    },
    /// The sidecar is malformed, or of another version.
    #[error("reading its sidecar")]
    Sidecar(#[source] msb_sidecar::Error),
    /// The image has another length or checksum than the sidecar states.
    #[error(
        "its image of {actual_bytes} bytes is not the one of its sidecar, with {expected_bytes} bytes"
    )]
    OtherImage {
        /// The length in the sidecar.
        expected_bytes: u64,
        /// The length of the image.
        actual_bytes: u64,
    },
    /// The image is not a layer image.
    #[error("reading its image")]
    Image(#[source] erofs_reader::Error),
    /// The image needs further devices.
    #[error("its image needs {count} further devices")]
    Devices {
        /// Their number.
        count: usize,
    },
    /// The layer is cached with other contents.
    #[error("the cached layer {diff_id} has other contents")]
    OtherLayer {
        /// The layer.
        diff_id: Digest,
    },
    /// The files of a cached layer cannot be compared.
    #[error("comparing it with the cached layer")]
    Compare(#[source] io::Error),
}
