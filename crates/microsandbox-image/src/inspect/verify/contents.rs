use std::collections::HashSet;
use std::path::{Path, PathBuf};

use fs_tree::show_path;
use msb_stitch::{DeviceId, DiskVerifier, Merge, VerifyError};
use msb_store::{FileChecksum, Store};

use super::{ArtifactKind, Verification};
use crate::cache::open_file::open_file;
use crate::cache::record::ImageRecord;
use crate::inspect::error::InspectError;
use crate::inspect::files::{verify_checksum, verify_file};
use crate::{CacheError, PullResult};

/// The comparison of contents: checksums of whole files, and the disk as a guest reads it.
impl Verification {
    /// Compares the checksums of the merged metadata and of the layer images, also of the parts that no guest reads.
    pub(super) fn checksums(
        &mut self,
        record: &ImageRecord,
        image: &PullResult,
    ) -> Result<(), InspectError> {
        if let Some(crc32c) = record.fsmeta_crc32c
            && !self.is_damaged(&image.fsmeta)
        {
            let expected = FileChecksum {
                bytes: record.fsmeta_bytes,
                crc32c,
            };
            if let Err(error) = verify_file(&image.fsmeta, expected) {
                self.add(ArtifactKind::Fsmeta, &image.fsmeta, None, error)?;
            }
        }
        let mut seen = HashSet::new();
        for layer in &image.layers {
            if !seen.insert(&layer.diff_id)
                || self.is_damaged(&layer.erofs)
                || self.is_damaged(&sidecar_of(&layer.erofs))
            {
                continue;
            }
            if let Err(error) = verify_checksum(&layer.erofs) {
                let (artifact, path) = match &error {
                    InspectError::Cache(CacheError::Sidecar { path, .. }) => {
                        (ArtifactKind::Sidecar, path.clone())
                    }
                    _ => (ArtifactKind::LayerImage, layer.erofs.clone()),
                };
                self.add(artifact, &path, Some(&layer.diff_id), error)?;
            }
        }
        Ok(())
    }

    /// Reads the disk through its descriptor.
    pub(super) fn disk(
        &mut self,
        store: &Store,
        record: &ImageRecord,
        image: &PullResult,
        merge: Option<&Merge>,
    ) -> Result<(), InspectError> {
        let verifier = DiskVerifier::new(store.vmdk_path(record.disk.key()), open_file);
        let result = match merge {
            Some(merge) => verifier.find_damaged_files(merge.tree()),
            None => verifier.verify_structure().map(|disk| (disk, Vec::new())),
        };
        match result {
            Ok((disk, damaged)) => {
                self.disk = disk;
                damaged
                    .into_iter()
                    .try_for_each(|error| self.damaged_file(image, error))
            }
            Err(error) => self.verify_error(image, error),
        }
    }

    /// Records a damaged file with the layer that holds its bytes.
    pub(super) fn damaged_file(
        &mut self,
        image: &PullResult,
        error: VerifyError,
    ) -> Result<(), InspectError> {
        let VerifyError::Contents { path, device, .. } = &error else {
            return self.verify_error(image, error);
        };
        let file = format!("/{}", show_path(path));
        let holder = holder(image, *device).to_owned();
        if let Some(known) = self.damage.iter_mut().find(|damage| damage.path == holder) {
            known.files.push(file);
            return Ok(());
        }
        self.verify_error(image, error)?;
        if let Some(new) = self.damage.last_mut() {
            new.files.push(file);
        }
        Ok(())
    }

    pub(super) fn verify_error(
        &mut self,
        image: &PullResult,
        error: VerifyError,
    ) -> Result<(), InspectError> {
        let path = match &error {
            VerifyError::Read { path, .. }
            | VerifyError::Vmdk { path, .. }
            | VerifyError::Length { path, .. }
            | VerifyError::Blocks { path, .. } => path.clone(),
            VerifyError::Contents { device, .. } => holder(image, *device).to_owned(),
            // All of the disk's structure is in its first file.
            _ => image.fsmeta.clone(),
        };
        let layer = image.layers.iter().find(|layer| layer.erofs == path);
        let artifact = match layer {
            Some(_) => ArtifactKind::LayerImage,
            None if path.extension().is_some_and(|name| name == "vmdk") => ArtifactKind::Descriptor,
            None => ArtifactKind::Fsmeta,
        };
        let layer = layer.map(|layer| layer.diff_id);
        let error = InspectError::Verify {
            reference: Box::new(image.reference.clone()),
            source: error,
        };
        self.add(artifact, &path, layer.as_ref(), error)
    }

    /// Records the sidecar that could not be replayed.
    pub(super) fn merge_error(
        &mut self,
        image: &PullResult,
        error: InspectError,
    ) -> Result<(), InspectError> {
        let path = match &error {
            InspectError::Cache(CacheError::Sidecar { path, .. }) => path.clone(),
            InspectError::Stitch { source, .. } => match source.device() {
                Some(device) => sidecar_of(holder(image, Some(device))),
                None => image.fsmeta.clone(),
            },
            _ => image.fsmeta.clone(),
        };
        let mut layers = image.layers.iter();
        let layer = layers.find(|layer| sidecar_of(&layer.erofs) == path);
        let layer = layer.map(|layer| layer.diff_id);
        self.add(ArtifactKind::Sidecar, &path, layer.as_ref(), error)
    }
}

/// Returns the file of the disk that holds the data of a device; `None` is fsmeta.
fn holder(image: &PullResult, device: Option<DeviceId>) -> &Path {
    // The first extent is fsmeta.
    let place = device.map_or(0, |device| usize::from(device.get()));
    let extent = image.extents.get(place);
    extent.map_or(&image.fsmeta, |extent| &extent.path)
}

/// Returns the path of the sidecar of a layer image.
pub(super) fn sidecar_of(image: &Path) -> PathBuf {
    image.with_extension("layer")
}
