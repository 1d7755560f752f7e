//! Images that are published as EROFS layers: the documents that describe them.
//!
//! ```text
//!   index ─┬─ the original manifest                               for every client
//!          └─ EROFS manifest, os.features: ["erofs"]              for clients that know it; names the original
//!               ├─ config: the original one, with the digests of the layer images as diff_ids
//!               └─ layers: application/vnd.erofs.layer.v1+zstd    annotations: table of ranges, diff_id, sidecar
//!                      ▲ subject
//!   metadata manifest ─┘  layers: merged metadata, sidecars       keeps them alive; listed as a referrer
//! ```
//!
//! The digests of the sidecars are annotations of the EROFS manifest, so that the digest of the index covers all that a pull uses.
//! containerd compares the diff_ids of a config with the digests of the uncompressed layer images, so that the EROFS manifest needs a
//! config of its own.

pub(crate) mod documents;
pub(crate) mod parse;

/// A layer image, compressed. containerd 2.3 reads it, and skips the table of ranges.
pub(crate) const LAYER_TYPE: &str = "application/vnd.erofs.layer.v1+zstd";
pub(crate) const CONFIG_TYPE: &str = "application/vnd.oci.image.config.v1+json";

/// The artifact type of the metadata manifest.
pub(crate) const METADATA_TYPE: &str = "application/vnd.microsandbox.erofs.metadata.v1";
pub(crate) const FSMETA_TYPE: &str = "application/vnd.microsandbox.erofs.fsmeta.v1+zstd";
pub(crate) const SIDECAR_TYPE: &str = "application/vnd.microsandbox.erofs.sidecar.v1+zstd";

/// The `os.features` entry of an EROFS manifest.
pub(crate) const FEATURE: &str = "erofs";

/// On the entry of an EROFS manifest in an index, and on the manifest: the digest of the original manifest.
pub(crate) const ORIGINAL: &str = "dev.microsandbox.image.original";

/// On the EROFS manifest: the format version of its layer images and sidecars.
pub(crate) const VERSION: &str = "dev.microsandbox.image.version";

/// On a layer image or a sidecar: the diff_id of the layer in the original config.
pub(crate) const DIFF_ID: &str = "dev.microsandbox.layer.diff-id";

/// On a layer image: the digest and the size in bytes of its sidecar's blob, separated by a blank.
pub(crate) const SIDECAR: &str = "dev.microsandbox.layer.sidecar";

/// On every compressed file: offset, length and digest of the table of ranges, separated by blanks.
pub(crate) const RANGES: &str = "dev.microsandbox.ranges";
