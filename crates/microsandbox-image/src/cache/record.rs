use msb_oci::{Digest, Reference};
use msb_platform::Platform;
use msb_sidecar::Note;
use msb_store::{Lease, References, Store};
use serde::{Deserialize, Serialize};

use super::keys::layer_key;
use crate::disk::DiskPlan;
use crate::{DiskExtent, ImageConfig, LayerArtifact, PullResult};

/// What the cache remembers of an image: all that a warm pull answers with, so that it reads this and nothing else.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct ImageRecord {
    pub(crate) manifest_digest: Digest,
    pub(crate) config_digest: Digest,
    pub(crate) platform: Platform,
    pub(crate) config: ImageConfig,
    /// Bottom to top.
    pub(crate) layers: Vec<LayerRecord>,
    pub(crate) fsmeta_bytes: u64,
    pub(crate) notes: Vec<Note>,
}

/// One layer of an image.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct LayerRecord {
    pub(crate) diff_id: Digest,
    pub(crate) digest: Digest,
    pub(crate) media_type: String,
    pub(crate) size: u64,
    pub(crate) image_bytes: u64,
    pub(crate) sidecar_bytes: u64,
}

impl ImageRecord {
    pub(crate) fn disk_plan(&self) -> DiskPlan {
        DiskPlan::new(
            self.layers
                .iter()
                .map(|layer| (&layer.diff_id, layer.image_bytes)),
        )
    }

    /// Leases the disk of the record, with its layers and documents. Blocks on file I/O.
    pub(crate) fn lease(&self, store: &Store) -> Result<Lease, msb_store::Error> {
        let plan = self.disk_plan();
        let blobs = [self.manifest_digest, self.config_digest];
        plan.lease(store, &blobs)
    }

    /// Returns the length of the disk in bytes; `None` if the lengths of its files do not fit 64 bits.
    pub(crate) fn disk_bytes(&self) -> Option<u64> {
        let plan = self.disk_plan();
        let mut layers = plan.slots().iter().map(|slot| slot.image_bytes);
        layers.try_fold(self.fsmeta_bytes, u64::checked_add)
    }

    /// Returns the sum of the blobs' sizes in bytes; `None` if it does not fit 64 bits.
    pub(crate) fn blob_bytes(&self) -> Option<u64> {
        let mut sizes = self.layers.iter().map(|layer| layer.size);
        sizes.try_fold(0, u64::checked_add)
    }

    /// The artifacts that the record stands for.
    pub(crate) fn references(&self) -> References {
        References {
            layers: self
                .layers
                .iter()
                .map(|layer| layer_key(&layer.diff_id))
                .collect(),
            disks: [self.disk_plan().key().clone()].into(),
            blobs: [self.manifest_digest, self.config_digest].into(),
        }
    }

    /// Returns the result of a pull, which owns the lease of the disk.
    pub(crate) fn to_result(
        &self,
        store: &Store,
        reference: &Reference,
        cached: bool,
        lease: Lease,
    ) -> PullResult {
        let plan = self.disk_plan();
        let fsmeta = store.fsmeta_path(plan.key());
        let mut extents = vec![DiskExtent {
            path: fsmeta.clone(),
            bytes: self.fsmeta_bytes,
        }];
        extents.extend(plan.slots().iter().map(|slot| DiskExtent {
            path: store.layer_image_path(&slot.layer),
            bytes: slot.image_bytes,
        }));
        let mut notes = self.notes.clone();
        notes.extend(open_files_note(extents.len()));
        PullResult {
            lease,
            reference: reference.clone(),
            manifest_digest: self.manifest_digest,
            platform: self.platform.clone(),
            cached,
            layer_diff_ids: self.layers.iter().map(|layer| layer.diff_id).collect(),
            layers: self
                .layers
                .iter()
                .map(|layer| LayerArtifact {
                    diff_id: layer.diff_id,
                    digest: layer.digest,
                    media_type: layer.media_type.clone(),
                    size: layer.size,
                    erofs: store.layer_image_path(&layer_key(&layer.diff_id)),
                })
                .collect(),
            fsmeta,
            vmdk: store.vmdk_path(plan.key()),
            extents,
            notes,
            config: self.config.clone(),
        }
    }
}

/// Returns a note on the open files that a hypervisor needs for the disk, if a common limit is lower.
fn open_files_note(extents: usize) -> Option<Note> {
    /// Open files that a hypervisor needs beside those of the disk.
    const OTHERS: u64 = 32;
    const COMMON_LIMITS: [u64; 2] = [1024, 256];
    // The descriptor is one more.
    let files = extents as u64 + 1;
    let limit = COMMON_LIMITS
        .into_iter()
        .find(|limit| files + OTHERS > *limit)?;
    Some(Note::OpenFiles { files, limit })
}
