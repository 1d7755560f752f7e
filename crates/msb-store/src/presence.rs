//! Whether an artifact is there whole, told by names and lengths alone.

use crate::error::Result;
use crate::{DiskKey, LayerKey, Store, dirs};

/// The lengths of a layer's two files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LayerLengths {
    /// Length of the layer image, in bytes.
    pub image_bytes: u64,
    /// Length of the sidecar, in bytes.
    pub sidecar_bytes: u64,
}

/// The lengths of a disk's two files; those of its layers are the layers'.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DiskLengths {
    /// Length of the metadata image, in bytes.
    pub fsmeta_bytes: u64,
    /// Length of the VMDK descriptor, in bytes.
    pub vmdk_bytes: u64,
}

impl Store {
    /// The lengths of a layer's files; `None` unless both are there. Two `stat` calls.
    pub fn layer_lengths(&self, key: &LayerKey) -> Result<Option<LayerLengths>> {
        let Some(sidecar_bytes) = dirs::file_len(&self.layer_sidecar_path(key))? else {
            return Ok(None);
        };
        let Some(image_bytes) = dirs::file_len(&self.layer_image_path(key))? else {
            return Ok(None);
        };
        Ok(Some(LayerLengths {
            image_bytes,
            sidecar_bytes,
        }))
    }

    /// The layer's sidecar is there, and its image has exactly `image_bytes`.
    pub fn has_layer(&self, key: &LayerKey, image_bytes: u64) -> Result<bool> {
        Ok(self
            .layer_lengths(key)?
            .is_some_and(|lengths| lengths.image_bytes == image_bytes))
    }

    /// The bytes of a layer's sidecar, of at most `limit_bytes`; `None` when it is not there.
    pub fn read_layer_sidecar(&self, key: &LayerKey, limit_bytes: u64) -> Result<Option<Vec<u8>>> {
        dirs::read_capped(&self.layer_sidecar_path(key), limit_bytes)
    }

    /// The lengths of a disk's files; `None` unless both are there. Two `stat` calls.
    pub fn disk_lengths(&self, key: &DiskKey) -> Result<Option<DiskLengths>> {
        let Some(vmdk_bytes) = dirs::file_len(&self.vmdk_path(key))? else {
            return Ok(None);
        };
        let Some(fsmeta_bytes) = dirs::file_len(&self.fsmeta_path(key))? else {
            return Ok(None);
        };
        Ok(Some(DiskLengths {
            fsmeta_bytes,
            vmdk_bytes,
        }))
    }

    /// The disk's two files are there with exactly these lengths.
    pub fn has_disk(&self, key: &DiskKey, lengths: DiskLengths) -> Result<bool> {
        Ok(self.disk_lengths(key)? == Some(lengths))
    }
}
