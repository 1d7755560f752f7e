use std::fs::File;
use std::io::{self, Write};
use std::thread;

use erofs_format::BLOCK_SIZE;
use erofs_reader::Image;
use msb_oci::Digest;
use msb_sidecar::Sidecar;
use msb_stitch::{
    Disk, DiskExtent, Fsmeta, Merge, ProofError, Slot, StitchError, prove_unpublished,
};
use msb_store::{DiskKey, LayerKey, Store, publish_all};

use crate::cache::FORMAT;
use crate::record::layer_key;

/// The disk over some layers: its name in the cache, and its devices.
#[derive(Clone, Debug)]
pub(crate) struct DiskPlan {
    key: DiskKey,
    /// The layers in order, each once: a hypervisor refuses a file that comes twice.
    slots: Vec<DeviceSlot>,
    /// The device of each layer of the image, bottom to top, from 1.
    devices: Vec<u16>,
}

/// A layer image as a device of the disk.
#[derive(Clone, Debug)]
pub(crate) struct DeviceSlot {
    pub(crate) layer: LayerKey,
    pub(crate) image_bytes: u64,
}

/// Why a disk was not built.
#[derive(Debug)]
pub(crate) enum BuildError {
    Stitch(StitchError),
    Store(msb_store::Error),
    /// What was written is not what a guest can read: a mistake of ours, or of the machine's.
    Proof(ProofError),
    Panicked,
    /// A layer's sidecar is missing or damaged: the layer has to be made again.
    DamagedLayer(LayerKey),
}

impl DiskPlan {
    /// The disk over these layers, bottom to top. Its name is the ordered list of diff_ids, so that two tags over the same
    /// layers share it.
    pub(crate) fn new<'a>(layers: impl Iterator<Item = (&'a Digest, u64)>) -> Self {
        let mut chain = String::new();
        let mut slots: Vec<DeviceSlot> = Vec::new();
        let mut devices = Vec::new();
        for (diff_id, image_bytes) in layers {
            chain.push_str(diff_id.as_str());
            chain.push('\n');
            let at = slots
                .iter()
                .position(|slot| slot.layer.diff_id == *diff_id)
                .unwrap_or_else(|| {
                    slots.push(DeviceSlot {
                        layer: layer_key(diff_id),
                        image_bytes,
                    });
                    slots.len() - 1
                });
            // OK because manifests with more layers than devices are refused.
            devices.push(u16::try_from(at + 1).unwrap_or(u16::MAX));
        }
        Self {
            key: DiskKey::new(Digest::sha256_of(chain.as_bytes()), FORMAT),
            slots,
            devices,
        }
    }

    pub(crate) fn key(&self) -> &DiskKey {
        &self.key
    }

    pub(crate) fn slots(&self) -> &[DeviceSlot] {
        &self.slots
    }

    /// Whether the disk is in the cache with these bytes of merged metadata, and with the very descriptor that would be
    /// written now.
    pub(crate) fn is_whole(
        &self,
        store: &Store,
        fsmeta_bytes: u64,
    ) -> Result<bool, crate::PullError> {
        let Some(lengths) = store.disk_lengths(&self.key)? else {
            return Ok(false);
        };
        let Ok(descriptor) = self.descriptor(fsmeta_bytes) else {
            return Ok(false);
        };
        if lengths.fsmeta_bytes != fsmeta_bytes || lengths.vmdk_bytes != descriptor.len() as u64 {
            return Ok(false);
        }
        Ok(std::fs::read(store.vmdk_path(&self.key))
            .is_ok_and(|text| text == descriptor.as_bytes()))
    }

    /// The length of the merged metadata that is in the cache, if it is as long as its own superblock says.
    pub(crate) fn cached_fsmeta_bytes(&self, store: &Store) -> Option<u64> {
        let file = File::open(store.fsmeta_path(&self.key)).ok()?;
        let actual = file.metadata().ok()?.len();
        let image = Image::open_metadata(file).ok()?;
        let expected = u64::from(image.superblock().blocks.get()) * u64::from(BLOCK_SIZE);
        (actual == expected).then_some(actual)
    }

    /// Merges the layers, proves the disk and publishes it; gives the length of the merged metadata.
    pub(crate) fn build(&self, store: &Store) -> Result<u64, BuildError> {
        let mut merge = Merge::new();
        for device in &self.devices {
            let layer = &self.slots[usize::from(*device) - 1].layer;
            let damaged = |_| BuildError::DamagedLayer(layer.clone());
            let file = File::open(store.layer_sidecar_path(layer)).map_err(damaged)?;
            let sidecar =
                Sidecar::open(file).map_err(|_| BuildError::DamagedLayer(layer.clone()))?;
            merge
                .add(*device, &sidecar)
                .map_err(|error| match error.corrupt_layer() {
                    Some(_) => BuildError::DamagedLayer(layer.clone()),
                    None => BuildError::Stitch(error),
                })?;
        }
        tracing::trace!(target: "microsandbox_image::disk", "merged");
        let slots = self.stitch_slots();
        let mut uuid = [0; 16];
        uuid.copy_from_slice(&self.key.chain.hex().as_bytes()[..16]);

        let staged = store.stage(&store.fsmeta_path(&self.key))?;
        let file = staged.try_clone_file()?;
        let (fsmeta, _) =
            merge
                .write_fsmeta(file, &slots, uuid)
                .map_err(|error| match error.write_error() {
                    Some(source) => {
                        BuildError::Store(staged.write_error(clone_error(source), None))
                    }
                    None => BuildError::Stitch(error),
                })?;
        tracing::trace!(target: "microsandbox_image::disk", "written");
        let text = self.descriptor(fsmeta.bytes).map_err(BuildError::Stitch)?;
        let written = staged.try_clone_file()?;
        let (proof, fsmeta_file) = thread::scope(|scope| {
            // What was just written is read back as a guest would, while it goes to stable storage.
            let proof =
                scope.spawn(|| prove_unpublished(&store.vmdk_path(&self.key), &text, written));
            let fsmeta_file = staged.sync();
            (proof.join(), fsmeta_file)
        });
        // First the sync's: what could not be written cannot be read back either.
        let fsmeta_file = fsmeta_file?;
        proof
            .map_err(|_| BuildError::Panicked)?
            .map_err(|error| self.proof_error(error))?;
        tracing::trace!(target: "microsandbox_image::disk", "proved");
        let staged = store.stage(&store.vmdk_path(&self.key))?;
        let mut file = staged.file();
        file.write_all(text.as_bytes())
            .map_err(|source| staged.write_error(source, Some(text.len() as u64)))?;
        publish_all([fsmeta_file, staged.sync()?])?;
        Ok(fsmeta.bytes)
    }

    /// A layer image that is gone or cut since it was looked at is made again; everything else is wrong for good.
    fn proof_error(&self, error: ProofError) -> BuildError {
        let (ProofError::Read { path, .. } | ProofError::Length { path, .. }) = &error else {
            return BuildError::Proof(error);
        };
        let mut slots = self.slots.iter();
        match slots.find(|slot| path.ends_with(slot.layer.image_path_from_disk())) {
            Some(slot) => BuildError::DamagedLayer(slot.layer.clone()),
            None => BuildError::Proof(error),
        }
    }

    /// The text of the disk descriptor.
    fn descriptor(&self, fsmeta_bytes: u64) -> Result<String, StitchError> {
        let mut extents = vec![DiskExtent {
            file: "fsmeta.erofs".into(),
            bytes: fsmeta_bytes,
        }];
        extents.extend(self.slots.iter().map(|slot| DiskExtent {
            file: slot.layer.image_path_from_disk(),
            bytes: slot.image_bytes,
        }));
        let fsmeta = Fsmeta {
            bytes: fsmeta_bytes,
            inodes: 0,
            crc32c: 0,
        };
        Disk::new(&fsmeta, &self.stitch_slots(), extents)?.descriptor()
    }

    fn stitch_slots(&self) -> Vec<Slot> {
        self.slots
            .iter()
            .map(|slot| Slot {
                tag: slot.layer.diff_id.hex().to_owned(),
                image_bytes: slot.image_bytes,
            })
            .collect()
    }
}

impl From<msb_store::Error> for BuildError {
    fn from(error: msb_store::Error) -> Self {
        Self::Store(error)
    }
}

/// The same error again, for an owner of its own.
pub(crate) fn clone_error(error: &io::Error) -> io::Error {
    error
        .raw_os_error()
        .map_or_else(|| error.kind().into(), io::Error::from_raw_os_error)
}
