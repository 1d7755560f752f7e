//! Opening the files of layers and disks.

use std::fs::File;
use std::io;
use std::path::Path;

use crate::error::{At as _, Error, Result};
use crate::step::Step;
use crate::{DiskKey, LayerKey, Staged, Store, dirs, platform};

/// `None` stands for anything but a regular file.
impl Store {
    /// Opens a layer image for reading; `None` if it is absent.
    pub fn open_layer_image(&self, key: &LayerKey) -> Result<Option<File>> {
        open(&self.layer_image_path(key))
    }

    /// Opens a layer's sidecar for reading; `None` if it is absent.
    pub fn open_layer_sidecar(&self, key: &LayerKey) -> Result<Option<File>> {
        open(&self.layer_sidecar_path(key))
    }

    /// Opens a disk's metadata image for reading; `None` if it is absent.
    pub fn open_fsmeta(&self, key: &DiskKey) -> Result<Option<File>> {
        open(&self.fsmeta_path(key))
    }

    /// Reads a disk's VMDK descriptor; `None` if it is absent.
    ///
    /// # Errors
    /// [`Error::TooLarge`] for a file longer than `limit_bytes`.
    pub fn read_vmdk(&self, key: &DiskKey, limit_bytes: u64) -> Result<Option<Vec<u8>>> {
        match dirs::read_capped(&self.vmdk_path(key), limit_bytes) {
            Err(Error::NotAFile { .. }) => Ok(None),
            other => other,
        }
    }

    /// Creates a temporary file that becomes the layer image of `key` when it is published.
    pub fn stage_layer_image(&self, key: &LayerKey) -> Result<Staged> {
        self.stage(&self.layer_image_path(key))
    }

    /// Creates a temporary file that becomes the sidecar of `key` when it is published.
    pub fn stage_layer_sidecar(&self, key: &LayerKey) -> Result<Staged> {
        self.stage(&self.layer_sidecar_path(key))
    }

    /// Creates a temporary file that becomes the metadata image of the disk `key` when it is published.
    pub fn stage_fsmeta(&self, key: &DiskKey) -> Result<Staged> {
        self.stage(&self.fsmeta_path(key))
    }

    /// Creates a temporary file that becomes the VMDK descriptor of the disk `key` when it is published.
    pub fn stage_vmdk(&self, key: &DiskKey) -> Result<Staged> {
        self.stage(&self.vmdk_path(key))
    }
}

fn open(path: &Path) -> Result<Option<File>> {
    let file = match platform::open_no_follow(path) {
        Ok(file) => file,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(_) if path.is_symlink() => return Ok(None),
        Err(e) => return Err(Error::from_io(Step::Open, path, e)),
    };
    let metadata = file.metadata().at(Step::Stat, path)?;
    Ok(metadata.is_file().then_some(file))
}
