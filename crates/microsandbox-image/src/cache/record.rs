use msb_oci::{Digest, Reference};
use msb_platform::Platform;
use msb_sidecar::Note;
use msb_stitch::{PerDevice, StitchError};
use msb_store::{FileChecksum, Lease, References, Store};
use serde::{Deserialize, Serialize};

use super::keys::layer_key;
use crate::disk::{ImageDisk, ImageLayout};
use crate::{BootFacts, DiskExtent, ImageConfig, LayerArtifact, PullResult, Verity};

/// The record of a cached image. It has everything that a pull returns, so that a warm pull reads nothing else.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(try_from = "Fields")]
pub(crate) struct ImageRecord {
    pub(crate) manifest_digest: Digest,
    pub(crate) config_digest: Digest,
    pub(crate) platform: Platform,
    pub(crate) config: ImageConfig,
    /// Bottom to top.
    pub(crate) layers: Vec<LayerRecord>,
    pub(crate) fsmeta_bytes: u64,
    /// The checksum of the merged metadata; `None` in the records of development versions.
    pub(crate) fsmeta_crc32c: Option<u32>,
    /// The root hash of the hash tree over the disk, if it has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) verity_root: Option<Digest>,
    /// Whether only a publisher vouches for a layer: that its image is what the original blob unpacks to.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub(crate) is_claimed: bool,
    pub(crate) notes: Vec<Note>,
    /// The disk over `layers`.
    #[serde(skip_serializing)]
    pub(crate) disk: ImageDisk,
}

/// The fields of a record in its file.
#[derive(Deserialize)]
struct Fields {
    manifest_digest: Digest,
    config_digest: Digest,
    platform: Platform,
    config: ImageConfig,
    layers: Vec<LayerRecord>,
    fsmeta_bytes: u64,
    #[serde(default)]
    fsmeta_crc32c: Option<u32>,
    #[serde(default)]
    verity_root: Option<Digest>,
    #[serde(default)]
    is_claimed: bool,
    notes: Vec<Note>,
}

impl TryFrom<Fields> for ImageRecord {
    type Error = StitchError;

    fn try_from(fields: Fields) -> Result<Self, StitchError> {
        let disk = ImageDisk::new(fields.layers.iter().map(|layer| &layer.diff_id))?;
        Ok(Self {
            manifest_digest: fields.manifest_digest,
            config_digest: fields.config_digest,
            platform: fields.platform,
            config: fields.config,
            layers: fields.layers,
            fsmeta_bytes: fields.fsmeta_bytes,
            fsmeta_crc32c: fields.fsmeta_crc32c,
            verity_root: fields.verity_root,
            is_claimed: fields.is_claimed,
            notes: fields.notes,
            disk,
        })
    }
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
    /// Returns the layout of the disk; `None` if the record states lengths that no layer image has.
    pub(crate) fn layout(&self) -> Option<ImageLayout> {
        self.disk.layout(self.image_bytes()).ok()
    }

    /// Returns the lengths of the layer images.
    fn image_bytes(&self) -> PerDevice<u64> {
        let lengths = self.layers.iter().map(|layer| layer.image_bytes);
        self.disk.layers().distinct(lengths)
    }

    /// Returns whether merged metadata of this length and checksum is the record's.
    pub(crate) fn is_disk(&self, fsmeta: FileChecksum) -> bool {
        self.fsmeta_bytes == fsmeta.bytes
            && self
                .fsmeta_crc32c
                .is_none_or(|crc32c| crc32c == fsmeta.crc32c)
    }

    /// Leases the disk of the record, with its layers, their blobs, and its documents. Blocks on file I/O.
    pub(crate) fn lease(&self, store: &Store) -> Result<Lease, msb_store::Error> {
        let mut blobs = vec![self.manifest_digest, self.config_digest];
        blobs.extend(self.layers.iter().map(|layer| layer.digest));
        self.disk.lease(store, &blobs)
    }

    /// Returns the length of the disk in bytes; `None` if the lengths of its files do not fit 64 bits.
    pub(crate) fn disk_bytes(&self) -> Option<u64> {
        let lengths = self.image_bytes();
        lengths
            .into_iter()
            .try_fold(self.fsmeta_bytes, u64::checked_add)
    }

    /// Returns the sum of the blobs' sizes in bytes; `None` if it does not fit 64 bits.
    pub(crate) fn blob_bytes(&self) -> Option<u64> {
        let mut sizes = self.layers.iter().map(|layer| layer.size);
        sizes.try_fold(0, u64::checked_add)
    }

    /// Returns the artifacts that the record refers to. The blobs of the layers need not be kept.
    pub(crate) fn references(&self) -> References {
        References {
            layers: self
                .layers
                .iter()
                .map(|layer| layer_key(&layer.diff_id))
                .collect(),
            disks: [self.disk.key().clone()].into(),
            blobs: [self.manifest_digest, self.config_digest].into(),
            layer_blobs: self.layers.iter().map(|layer| layer.digest).collect(),
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
        let key = self.disk.key();
        let fsmeta = store.fsmeta_path(key);
        let mut extents = vec![DiskExtent {
            path: fsmeta.clone(),
            bytes: self.fsmeta_bytes,
        }];
        let layers = self.disk.layers().iter().zip(self.image_bytes());
        extents.extend(layers.map(|((_, layer), bytes)| DiskExtent {
            path: store.layer_image_path(layer),
            bytes,
        }));
        let verity = self
            .verity_root
            .as_ref()
            .map(|root| Verity::new(root, extents.iter().map(|extent| extent.bytes).sum()));
        if let Some(verity) = &verity {
            let bytes = msb_verity::tree_bytes(verity.data_blocks);
            // The root hash of a single block needs no tree.
            if bytes > 0 {
                let path = store.tree_path(key);
                extents.push(DiskExtent { path, bytes });
            }
        }
        let mut notes = self.notes.clone();
        notes.extend(open_files_note(self.disk.layers().open_files()));
        let boot = BootFacts::new(extents.len(), verity.as_ref());
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
            vmdk: match verity {
                Some(_) => store.verity_vmdk_path(key),
                None => store.vmdk_path(key),
            },
            extents,
            verity,
            notes,
            config: self.config.clone(),
            boot,
            stats: None,
        }
    }
}

/// Returns a note on the files that a hypervisor opens for the disk, if a common limit is lower.
fn open_files_note(files: u64) -> Option<Note> {
    /// The number of files that a hypervisor opens beside those of the disk.
    const OTHERS: u64 = 32;
    const COMMON_LIMITS: [u64; 2] = [1024, 256];
    let limit = COMMON_LIMITS
        .into_iter()
        .find(|limit| files + OTHERS > *limit)?;
    Some(Note::OpenFiles { files, limit })
}
