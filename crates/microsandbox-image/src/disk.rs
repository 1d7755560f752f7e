mod build;

pub(crate) use build::{BuildError, DiskMerge, WrittenDisk, build, open_sidecar};

use std::collections::HashMap;
use std::io;

use erofs_format::{BLOCK_SIZE, MAX_EXTRA_DEVICES};
use erofs_reader::Image;
use msb_oci::Digest;
use msb_stitch::{Disk, DiskExtent, Slot, StitchError, vmdk};
use msb_store::{DiskKey, LayerKey, Lease, Store};

use crate::cache::CacheError;
use crate::cache::keys::{FORMAT, layer_key};

/// The disk over some layers: its name in the cache, and its devices.
#[derive(Clone, Debug)]
pub(crate) struct DiskPlan {
    key: DiskKey,
    /// The layers in order, each once: a hypervisor refuses a file that comes twice.
    slots: Vec<DeviceSlot>,
    /// The device of each layer of the image, bottom to top, from 1.
    devices: Vec<u16>,
}

/// The name of the merged metadata beside the descriptor.
const FSMETA: &str = "fsmeta.erofs";

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
            chain.push_str(&diff_id.to_string());
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

    /// Checks that a disk can have so many layers, before any of them is downloaded. `Err` holds the number that it can have.
    ///
    /// A device table has 16 bits for a device. The descriptor is limited in bytes, which are counted here with the longest length that
    /// a layer image can have.
    pub(crate) fn check_layer_count(&self) -> Result<(), usize> {
        if self.slots.len() > MAX_EXTRA_DEVICES {
            return Err(MAX_EXTRA_DEVICES);
        }
        let longest = DiskExtent {
            file: FSMETA.into(),
            bytes: u64::from(u32::MAX) * u64::from(BLOCK_SIZE),
        };
        let slots = self.slots.iter().map(|slot| DiskExtent {
            file: slot.layer.image_path_from_disk(),
            bytes: longest.bytes,
        });
        let mut left = vmdk::MAX_BYTES - Disk::descriptor_head_bytes();
        for (count, extent) in std::iter::once(longest.clone()).chain(slots).enumerate() {
            match left.checked_sub(extent.descriptor_bytes()) {
                Some(rest) => left = rest,
                // The first extent is no layer.
                None => return Err(count - 1),
            }
        }
        Ok(())
    }

    /// Leases the disk, its layers, and the image's documents. Blocks on file I/O.
    pub(crate) fn lease(&self, store: &Store, blobs: &[Digest]) -> Result<Lease, msb_store::Error> {
        let layers: Vec<LayerKey> = self.slots.iter().map(|slot| slot.layer.clone()).collect();
        store.lease(&self.key, &layers, blobs)
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
    pub(crate) fn is_whole(&self, store: &Store, fsmeta_bytes: u64) -> Result<bool, CacheError> {
        let Some(lengths) = store.disk_lengths(&self.key)? else {
            return Ok(false);
        };
        let Ok(descriptor) = self.descriptor(fsmeta_bytes) else {
            return Ok(false);
        };
        let vmdk_bytes = descriptor.len() as u64;
        if lengths.fsmeta_bytes != fsmeta_bytes || lengths.vmdk_bytes != vmdk_bytes {
            return Ok(false);
        }
        match store.read_vmdk(&self.key, vmdk_bytes) {
            Ok(text) => Ok(text.is_some_and(|text| text == descriptor.as_bytes())),
            // It grew since its length was compared.
            Err(error) if error.is_corrupt() => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// Returns the length of the merged metadata in the cache, if it is as long as its own superblock says.
    ///
    /// # Errors
    /// [`CacheError::Store`] and [`CacheError::Fsmeta`] for a file that is there and cannot be read, which is no damage.
    pub(crate) fn cached_fsmeta_bytes(&self, store: &Store) -> Result<Option<u64>, CacheError> {
        let Some(file) = store.open_fsmeta(&self.key)? else {
            return Ok(None);
        };
        let read_error = |source| CacheError::Fsmeta {
            path: store.fsmeta_path(&self.key),
            source,
        };
        let actual = file.metadata().map_err(read_error)?.len();
        let image = match Image::open_metadata(file) {
            Ok(image) => image,
            Err(erofs_reader::Error::Io { source, .. })
                if source.kind() != io::ErrorKind::UnexpectedEof =>
            {
                return Err(read_error(source));
            }
            Err(_) => return Ok(None),
        };
        let expected = u64::from(image.superblock().blocks.get()) * u64::from(BLOCK_SIZE);
        Ok((actual == expected).then_some(actual))
    }

    /// Returns the text of the disk descriptor.
    pub(crate) fn descriptor(&self, fsmeta_bytes: u64) -> Result<String, StitchError> {
        let mut extents = vec![DiskExtent {
            file: FSMETA.into(),
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
                tag: slot.layer.diff_id.hex().to_string(),
                image_bytes: slot.image_bytes,
            })
            .collect()
    }
}

/// Copies an error.
pub(crate) fn clone_error(error: &io::Error) -> io::Error {
    error
        .raw_os_error()
        .map_or_else(|| error.kind().into(), io::Error::from_raw_os_error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_layers_than_a_descriptor_holds_are_refused_before_anything_is_known_of_them() {
        let plan = |layers: u32| {
            let diff_ids = (0..layers).map(|n| Digest::sha256_of(&n.to_le_bytes()));
            let diff_ids: Vec<Digest> = diff_ids.collect();
            DiskPlan::new(diff_ids.iter().map(|diff_id| (diff_id, 0)))
        };
        let limit = plan(65_535).check_layer_count().unwrap_err();
        assert!((8_000..9_200).contains(&limit), "{limit}");
        assert_eq!(plan(65_536).check_layer_count(), Err(MAX_EXTRA_DEVICES));

        let most = u32::try_from(limit).unwrap();
        assert_eq!(plan(most + 1).check_layer_count(), Err(limit));
        // With the longest lengths the descriptor of so many layers can be written.
        let plan = plan(most);
        assert_eq!(plan.check_layer_count(), Ok(()));
        let longest = u64::from(u32::MAX) * u64::from(BLOCK_SIZE);
        let plan = plan.with_image_bytes(&vec![longest; limit]);
        let text = plan.descriptor(longest).unwrap();
        assert!(vmdk::MAX_BYTES - text.len() < 1000, "{}", text.len());
    }

    #[test]
    fn a_layer_that_comes_twice_counts_once() {
        let diff_id = Digest::sha256_of(b"layer");
        let plan = DiskPlan::new((0..70_000).map(|_| (&diff_id, 0)));
        assert_eq!(plan.check_layer_count(), Ok(()));
    }
}
