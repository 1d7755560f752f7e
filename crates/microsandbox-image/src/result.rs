use std::path::PathBuf;

use msb_oci::{Digest, Reference};
use msb_platform::Platform;
use msb_sidecar::Note;
use msb_store::Lease;
use serde::{Deserialize, Serialize};

use crate::{BootFacts, ImageConfig, PullStats, Verity};

/// A cached image: its config and layers, and the files of its disk.
///
/// It owns a lease: no prune removes any of its files while it or a clone of it exists.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct PullResult {
    #[serde(skip)]
    pub(crate) lease: Lease,
    /// The reference that was pulled or loaded, in full.
    #[serde(serialize_with = "as_text")]
    pub reference: Reference,
    /// The digest of the image's manifest, not of the index that led to it.
    pub manifest_digest: Digest,
    /// The image's own platform, from its config: the one that was asked for, or a lower variant of it.
    pub platform: Platform,
    /// Whether everything came from the cache.
    pub cached: bool,
    /// The diff_ids, bottom to top.
    #[serde(skip)]
    pub layer_diff_ids: Vec<Digest>,
    /// The layers, bottom to top.
    pub layers: Vec<LayerArtifact>,
    /// The merged metadata image (fsmeta): the first file of the disk.
    pub fsmeta: PathBuf,
    /// The disk descriptor, in the root of the cache. It names the files of the disk relative to its own directory, and lies above
    /// all of them.
    pub vmdk: PathBuf,
    /// The files of the disk in order, for a hypervisor that reads no VMDK. With dm-verity, the last one is the hash tree.
    pub extents: Vec<DiskExtent>,
    /// The parameters of dm-verity, if the disk has a hash tree; see [`PullOptions::verity`](crate::PullOptions::verity).
    pub verity: Option<Verity>,
    /// What the disk does not represent exactly.
    pub notes: Vec<Note>,
    /// How to run the image, from its config.
    pub config: ImageConfig,
    pub(crate) boot: BootFacts,
    /// What the pull or load did; `None` for an image that was looked up in the cache.
    pub stats: Option<PullStats>,
}

impl PullResult {
    /// Returns the lease of the image's disk, which can be cloned and kept beyond this result.
    ///
    /// A VM process that inherits its descriptor (see [`Lease::inheritable_fd`]) holds the lease until it ends, even if the process
    /// that started it ends first.
    pub fn lease(&self) -> &Lease {
        &self.lease
    }

    /// Returns the files of the disk that hold the file system: all but the hash tree.
    pub(crate) fn data_extents(&self) -> &[DiskExtent] {
        let has_tree = self
            .verity
            .as_ref()
            .is_some_and(|verity| verity.data_blocks > 1);
        let count = self.extents.len() - usize::from(has_tree);
        &self.extents[..count]
    }
}

/// One layer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct LayerArtifact {
    /// The digest of the unpacked archive.
    pub diff_id: Digest,
    /// The digest of the blob.
    pub digest: Digest,
    /// The blob's media type, as the manifest states it.
    pub media_type: String,
    /// The blob's length in bytes.
    pub size: u64,
    /// The layer image.
    pub erofs: PathBuf,
}

/// One file of the disk.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct DiskExtent {
    /// The file.
    pub path: PathBuf,
    /// Its length in bytes. An extent is always a whole file.
    pub bytes: u64,
}

fn as_text<S: serde::Serializer>(reference: &Reference, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(reference)
}
