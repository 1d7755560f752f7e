use std::collections::HashMap;
use std::hash::Hash;

use erofs_format::{BLOCK_SIZE, MAX_EXTRA_DEVICES};

use crate::vmdk::{self, SECTOR_SIZE};
use crate::{DeviceId, PerDevice, StitchError};

/// The longest file of a disk: EROFS counts blocks in 32 bits.
const MAX_FILE_BYTES: u64 = u32::MAX as u64 * BLOCK_SIZE as u64;

/// The distinct layers of an image in the order of its disk, and the stack that they form. `K` is how the caller knows a layer.
///
/// A layer that an image lists twice is one device, because a hypervisor refuses a file that comes twice. Devices are numbered in
/// the order of their first occurrence, bottom to top.
///
/// Invariants: at most 65,535 layers; a descriptor of all files, each of the greatest length, can be written.
#[derive(Clone, Debug)]
pub struct LayerSet<K> {
    fsmeta_file: String,
    layers: PerDevice<(K, LayerNames)>,
    stack: Vec<DeviceId>,
}

/// The names of a layer on a disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LayerNames {
    /// The tag in the device slot, up to 64 bytes of it.
    pub tag: String,
    /// The file of the layer image, as seen from the descriptor's directory.
    pub file: String,
}

impl<K> LayerSet<K> {
    /// Creates the set of a stack of layers, bottom to top. `fsmeta_file` is the merged metadata as seen from the descriptor's
    /// directory.
    ///
    /// Nothing needs to be known of a layer but its names, so that all limits are checked before anything is downloaded.
    ///
    /// # Errors
    /// [`StitchError::TooManyLayers`] if a device table or a descriptor cannot hold that many; [`StitchError::Vmdk`] for a file name
    /// that a descriptor cannot hold.
    pub fn new(
        fsmeta_file: impl Into<String>,
        stack: impl IntoIterator<Item = K>,
        names: impl Fn(&K) -> LayerNames,
    ) -> Result<Self, StitchError>
    where
        K: Clone + Eq + Hash,
    {
        let mut known: HashMap<K, usize> = HashMap::new();
        let mut layers = Vec::new();
        let places = stack.into_iter().map(|key| {
            *known.entry(key).or_insert_with_key(|key| {
                layers.push((key.clone(), names(key)));
                layers.len() - 1
            })
        });
        let places: Vec<usize> = places.collect();
        let fsmeta_file = fsmeta_file.into();
        let files = layers.iter().map(|(_, names)| names.file.as_str());
        check(&fsmeta_file, layers.len(), files)?;
        // OK because there are no more layers than devices.
        let stack = places.into_iter().filter_map(DeviceId::at).collect();
        Ok(Self {
            fsmeta_file,
            layers: layers.into_iter().collect(),
            stack,
        })
    }

    /// Returns the number of distinct layers.
    #[must_use]
    pub fn len(&self) -> usize {
        self.layers.len()
    }

    /// Returns whether the image has no layers.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.layers.is_empty()
    }

    /// Returns the distinct layers with their devices, in the order of the disk.
    pub fn iter(&self) -> impl Iterator<Item = (DeviceId, &K)> {
        self.layers
            .devices()
            .map(|(device, (key, _))| (device, key))
    }

    /// Returns the device of each layer of the image, bottom to top. A layer that comes twice has the same device twice.
    #[must_use]
    pub fn stack(&self) -> &[DeviceId] {
        &self.stack
    }

    /// Returns the layer that is this device; `None` for a device that the disk does not have.
    #[must_use]
    pub fn get(&self, device: DeviceId) -> Option<&K> {
        self.layers.get(device).map(|(key, _)| key)
    }

    /// Returns the layer with this file name.
    pub fn find_file(&self, is_it: impl Fn(&str) -> bool) -> Option<&K> {
        let mut layers = self.layers.iter();
        layers
            .find(|(_, names)| is_it(&names.file))
            .map(|(key, _)| key)
    }

    /// Returns a value for each device.
    pub fn per_device<T>(&self, value: impl FnMut(DeviceId) -> T) -> PerDevice<T> {
        self.layers
            .devices()
            .map(|(device, _)| device)
            .map(value)
            .collect()
    }

    /// Returns the values of the devices, given those of the stack, bottom to top. Of a layer that comes twice the first one counts.
    pub fn distinct<T>(&self, of_stack: impl IntoIterator<Item = T>) -> PerDevice<T> {
        let mut next = 0;
        let values = self.stack.iter().zip(of_stack);
        let values = values.filter_map(|(device, value)| {
            let is_first = device.index() == next;
            next += usize::from(is_first);
            is_first.then_some(value)
        });
        values.collect()
    }

    /// Returns how many files a hypervisor has open for the disk: fsmeta, the layer images and the descriptor.
    #[must_use]
    pub fn open_files(&self) -> u64 {
        self.len() as u64 + 2
    }

    /// Returns the file of the merged metadata, as seen from the descriptor's directory.
    #[must_use]
    pub fn fsmeta_file(&self) -> &str {
        &self.fsmeta_file
    }

    pub(crate) fn names(&self) -> impl Iterator<Item = (DeviceId, &LayerNames)> {
        self.layers
            .devices()
            .map(|(device, (_, names))| (device, names))
    }
}

/// Checks that a disk can consist of these files, each of which may have the greatest length.
fn check<'a>(
    fsmeta: &'a str,
    count: usize,
    layers: impl Iterator<Item = &'a str>,
) -> Result<(), StitchError> {
    let too_many = |limit| StitchError::TooManyLayers { count, limit };
    if count > MAX_EXTRA_DEVICES {
        return Err(too_many(MAX_EXTRA_DEVICES));
    }
    let mut left_bytes = vmdk::MAX_BYTES - vmdk::head(0).len();
    // A hash tree may follow, whose name is as long as that of fsmeta.
    let tree = vmdk::line(MAX_FILE_BYTES / SECTOR_SIZE, fsmeta);
    left_bytes = left_bytes.saturating_sub(tree.len());
    for (layers_before, file) in std::iter::once(fsmeta).chain(layers).enumerate() {
        vmdk::check_name(file).map_err(|source| StitchError::Vmdk { source })?;
        let line = vmdk::line(MAX_FILE_BYTES / SECTOR_SIZE, file);
        left_bytes = left_bytes
            .checked_sub(line.len())
            // The first file is no layer.
            .ok_or_else(|| too_many(layers_before.saturating_sub(1)))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(stack: impl IntoIterator<Item = u32>) -> Result<LayerSet<u32>, StitchError> {
        LayerSet::new("fsmeta.erofs", stack, |number| LayerNames {
            tag: number.to_string(),
            file: format!("layers/sha256/{number:064x}.v4.erofs"),
        })
    }

    #[test]
    fn more_layers_than_a_descriptor_holds_are_refused_before_their_lengths_are_known() {
        let limit = |layers: u32| match set(0..layers) {
            Ok(_) => None,
            Err(StitchError::TooManyLayers { count, limit }) => {
                assert_eq!(count, layers as usize);
                Some(limit)
            }
            Err(error) => panic!("{error}"),
        };
        assert_eq!(limit(65_536), Some(MAX_EXTRA_DEVICES));
        let most = limit(65_535).unwrap();
        assert!((8_000..12_000).contains(&most), "{most}");
        let most = u32::try_from(most).unwrap();
        assert_eq!(limit(most + 1), Some(most as usize));
        assert_eq!(limit(most), None);
    }

    #[test]
    fn a_layer_that_comes_twice_is_one_device() {
        let layers = set((0..70_000).map(|_| 7)).unwrap();
        assert_eq!((layers.len(), layers.stack().len()), (1, 70_000));
        assert_eq!(layers.open_files(), 3);

        let layers = set([7, 8, 7, 9, 8]).unwrap();
        let numbers: Vec<u16> = layers.stack().iter().map(|device| device.get()).collect();
        assert_eq!(numbers, [1, 2, 1, 3, 2]);
        let values: Vec<_> = layers.distinct("abcde".chars()).into_iter().collect();
        assert_eq!(values, ['a', 'b', 'd']);
        let third = DeviceId::new(3).unwrap();
        assert_eq!(layers.get(third), Some(&9));
        assert_eq!(layers.get(DeviceId::new(4).unwrap()), None);
        assert_eq!(
            layers.iter().map(|(_, key)| *key).collect::<Vec<_>>(),
            [7, 8, 9]
        );
    }
}
