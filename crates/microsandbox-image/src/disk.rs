mod build;

pub(crate) use build::{BuildError, DiskMerge, WrittenDisk, build};

use std::collections::HashMap;
use std::io;

use erofs_format::BLOCK_SIZE;
use erofs_reader::Image;
use msb_oci::Digest;
use msb_stitch::{Disk, DiskExtent, Slot, StitchError};
use msb_store::{DiskKey, LayerKey, Store};

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

impl DiskPlan {
    /// The disk over these layers, bottom to top. Its name is the ordered list of diff_ids, so that two tags over the same
    /// layers share it.
    pub(crate) fn new<'a>(layers: impl Iterator<Item = (&'a Digest, u64)>) -> Self {
        let mut chain = String::new();
        let mut slots: Vec<DeviceSlot> = Vec::new();
        let mut places: HashMap<&Digest, usize> = HashMap::new();
        let mut devices = Vec::new();
        for (diff_id, image_bytes) in layers {
            chain.push_str(diff_id.as_str());
            chain.push('\n');
            let at = *places.entry(diff_id).or_insert_with(|| {
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

    /// The device of each layer of the image, bottom to top, from 1.
    pub(crate) fn devices(&self) -> &[u16] {
        &self.devices
    }

    /// The slot of a device.
    pub(crate) fn slot(&self, device: u16) -> &DeviceSlot {
        &self.slots[usize::from(device) - 1]
    }

    /// The same disk, now that the lengths of the layer images are known.
    pub(crate) fn with_image_bytes(mut self, image_bytes: &[u64]) -> Self {
        for (slot, bytes) in self.slots.iter_mut().zip(image_bytes) {
            slot.image_bytes = *bytes;
        }
        self
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
        let text = store.read_vmdk(&self.key, lengths.vmdk_bytes)?;
        Ok(text.is_some_and(|text| text == descriptor.as_bytes()))
    }

    /// The length of the merged metadata that is in the cache, if it is as long as its own superblock says.
    pub(crate) fn cached_fsmeta_bytes(&self, store: &Store) -> Option<u64> {
        let file = store.open_fsmeta(&self.key).ok()??;
        let actual = file.metadata().ok()?.len();
        let image = Image::open_metadata(file).ok()?;
        let expected = u64::from(image.superblock().blocks.get()) * u64::from(BLOCK_SIZE);
        (actual == expected).then_some(actual)
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
        Disk::new(fsmeta_bytes, &self.stitch_slots(), extents)?.descriptor()
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

/// The same error again, for an owner of its own.
pub(crate) fn clone_error(error: &io::Error) -> io::Error {
    error
        .raw_os_error()
        .map_or_else(|| error.kind().into(), io::Error::from_raw_os_error)
}
