use msb_oci::{Digest, Reference};
use msb_platform::Platform;
use msb_store::{FormatVersion, ImageKey, LayerKey};

/// The version in the names of all artifacts, so that two versions of the writers never write the same file.
pub(crate) const FORMAT: FormatVersion = FormatVersion(msb_sidecar::VERSION);

/// Returns the key of a layer. It depends on the unpacked archive alone: two compressions of one archive are one layer.
pub(crate) fn layer_key(diff_id: &Digest) -> LayerKey {
    LayerKey::new(*diff_id, FORMAT)
}

/// Returns the key of an image's record: an image is kept by the reference and the platform that were asked for.
pub(crate) fn image_key(reference: &Reference, platform: &Platform) -> ImageKey {
    ImageKey::new(reference, &platform.to_string())
}
