use std::path::PathBuf;

use msb_oci::{Digest, Reference};
use msb_platform::Platform;
use msb_sidecar::Note;
use serde::{Deserialize, Serialize};

use crate::{BootFacts, DiskExtent, ImageConfig, LayerArtifact, PullResult, PullStats, Verity};

/// The object that `msb-image pull`, `load` and `inspect` print with `--format json`, for programs that run the command.
///
/// It has the members of a [`PullResult`], and no lease.
///
/// ```
/// use microsandbox_image::ImageInfo;
///
/// # fn example(line: &str) -> Result<(), serde_json::Error> {
/// let image: ImageInfo = serde_json::from_str(line)?;
/// println!("{}: {}", image.reference, image.vmdk.display());
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ImageInfo {
    /// The reference that was pulled or loaded, in full.
    pub reference: Reference,
    /// The digest of the image's manifest.
    pub manifest_digest: Digest,
    /// The image's own platform.
    pub platform: Platform,
    /// Whether everything came from the cache.
    pub cached: bool,
    /// The layers, bottom to top.
    pub layers: Vec<LayerArtifact>,
    /// The merged metadata image.
    pub fsmeta: PathBuf,
    /// The disk descriptor.
    pub vmdk: PathBuf,
    /// The files of the disk in order.
    pub extents: Vec<DiskExtent>,
    /// The parameters of dm-verity, if the disk has a hash tree.
    pub verity: Option<Verity>,
    /// What the disk does not represent exactly.
    pub notes: Vec<Note>,
    /// How to run the image.
    pub config: ImageConfig,
    /// What a guest needs to boot the disk.
    pub boot: BootFacts,
    /// What the pull or load did; `None` for an image that was looked up in the cache.
    #[serde(default)]
    pub stats: Option<PullStats>,
}

impl From<&PullResult> for ImageInfo {
    fn from(image: &PullResult) -> Self {
        Self {
            reference: image.reference.clone(),
            manifest_digest: image.manifest_digest,
            platform: image.platform.clone(),
            cached: image.cached,
            layers: image.layers.clone(),
            fsmeta: image.fsmeta.clone(),
            vmdk: image.vmdk.clone(),
            extents: image.extents.clone(),
            verity: image.verity.clone(),
            notes: image.notes.clone(),
            config: image.config.clone(),
            boot: image.boot.clone(),
            stats: image.stats,
        }
    }
}
