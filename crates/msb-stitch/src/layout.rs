use std::sync::Arc;

use erofs_format::BLOCK_SIZE;
use erofs_writer::Device;

use crate::vmdk::Descriptor;
use crate::{DeviceId, LayerNames, LayerSet, PerDevice, StitchError};

/// A disk whose layers have known lengths: fsmeta, then the layer images in the order of the device table.
///
/// ```text
///  | fsmeta | device 1 | device 2 | ... | device n |           without dm-verity
///  | fsmeta | device 1 | device 2 | ... | device n | tree |    with a hash tree over all that is before it
/// ```
///
/// The device table of fsmeta, the descriptor and the extents all come from here, so that they agree to the block: a disk that is
/// off by one block mounts, and every later file on it is wrong. The length of fsmeta is known only after it is written, and it
/// holds the device table; so it is a parameter of whatever needs it.
///
/// Invariant: every layer image is a whole number of blocks, at least one, and fewer than 2^32.
#[derive(Clone, Debug)]
pub struct DiskLayout<K> {
    layers: Arc<LayerSet<K>>,
    image_bytes: PerDevice<u64>,
    /// The file of the hash tree, if the disk ends with one.
    tree_file: Option<String>,
}

/// One file of a disk, which is all of it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct DiskExtent {
    /// What the file holds.
    pub content: ExtentContent,
    /// The file, as seen from the descriptor's directory.
    pub file: String,
    /// Its length in bytes.
    pub bytes: u64,
}

/// What a file of a disk holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ExtentContent {
    /// The merged metadata.
    Fsmeta,
    /// A layer image.
    Layer(DeviceId),
    /// The hash tree of dm-verity over all other files.
    HashTree,
}

impl<K> DiskLayout<K> {
    /// Creates the layout of a disk over these layers, with the lengths of their images in bytes.
    ///
    /// # Errors
    /// [`StitchError::ImageLength`] for a length that no layer image has, or that is missing.
    pub fn new(
        layers: impl Into<Arc<LayerSet<K>>>,
        image_bytes: PerDevice<u64>,
    ) -> Result<Self, StitchError> {
        let layers = layers.into();
        for (device, _) in layers.iter() {
            let bytes = image_bytes.get(device).copied().unwrap_or(0);
            if blocks(bytes).is_none() {
                return Err(StitchError::ImageLength { device, bytes });
            }
        }
        Ok(Self {
            layers,
            image_bytes,
            tree_file: None,
        })
    }

    /// Returns the layout of the same disk with a hash tree of dm-verity behind the last layer. `file` is the tree as seen from the
    /// descriptor's directory; its name may be as long as that of fsmeta.
    #[must_use]
    pub fn with_hash_tree(mut self, file: impl Into<String>) -> Self {
        self.tree_file = Some(file.into());
        self
    }

    /// Returns the layers.
    #[must_use]
    pub fn layers(&self) -> &Arc<LayerSet<K>> {
        &self.layers
    }

    /// Returns the device table of fsmeta.
    pub(crate) fn device_table(&self) -> Vec<Device> {
        let table = self.layers.names().map(|(device, names)| {
            let tag: Vec<u8> = names.tag.bytes().take(64).collect();
            // OK because `new` has checked the length.
            Device::new(tag, blocks(self.image_bytes[device]).unwrap_or(0))
        });
        table.collect()
    }

    /// Returns the files of the disk in order, with fsmeta of this length.
    ///
    /// # Errors
    /// [`StitchError::FsmetaLength`].
    pub fn extents(&self, fsmeta_bytes: u64) -> Result<Vec<DiskExtent>, StitchError> {
        if blocks(fsmeta_bytes).is_none() {
            return Err(StitchError::FsmetaLength {
                bytes: fsmeta_bytes,
            });
        }
        let mut extents = vec![DiskExtent {
            content: ExtentContent::Fsmeta,
            file: self.layers.fsmeta_file().to_owned(),
            bytes: fsmeta_bytes,
        }];
        extents.extend(self.layers.names().map(|(device, names)| DiskExtent {
            content: ExtentContent::Layer(device),
            file: names.file.clone(),
            bytes: self.image_bytes[device],
        }));
        if let Some(file) = &self.tree_file {
            let data = extents.iter().map(|extent| extent.bytes);
            let data_blocks = data.sum::<u64>() / u64::from(BLOCK_SIZE);
            let bytes = msb_verity::tree_bytes(data_blocks);
            // The hash of a single block of data is the root hash itself.
            if bytes > 0 {
                extents.push(DiskExtent {
                    content: ExtentContent::HashTree,
                    file: file.clone(),
                    bytes,
                });
            }
        }
        Ok(extents)
    }

    /// Returns the text of the VMDK descriptor, with fsmeta of this length.
    ///
    /// # Errors
    /// [`StitchError::FsmetaLength`]; [`StitchError::Vmdk`] is possible by its type only, because the layer set was checked.
    pub fn descriptor(&self, fsmeta_bytes: u64) -> Result<String, StitchError> {
        let files = self.extents(fsmeta_bytes)?.into_iter();
        Descriptor::of_files(files.map(|extent| (extent.file, extent.bytes)))
            .render()
            .map_err(|source| StitchError::Vmdk { source })
    }
}

impl DiskLayout<usize> {
    /// Creates the layout of a stack without repeated layers, which are known by their place in it: for disks that are in no cache.
    ///
    /// # Errors
    /// As [`LayerSet::new`] and [`DiskLayout::new`].
    pub fn of_distinct(
        fsmeta_file: impl Into<String>,
        layers: &[(LayerNames, u64)],
    ) -> Result<Self, StitchError> {
        let set = LayerSet::new(fsmeta_file, 0..layers.len(), |&place| {
            layers[place].0.clone()
        })?;
        Self::new(set, layers.iter().map(|(_, bytes)| *bytes).collect())
    }
}

/// Returns the number of blocks of a file of the disk; `None` if it is empty, not whole blocks, or larger than EROFS can address.
fn blocks(bytes: u64) -> Option<u32> {
    let block = u64::from(BLOCK_SIZE);
    if bytes == 0 || !bytes.is_multiple_of(block) {
        return None;
    }
    u32::try_from(bytes / block).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vmdk::MAX_BYTES;

    fn layers(count: u32) -> LayerSet<u32> {
        LayerSet::new("fsmeta.erofs", 0..count, |number| LayerNames {
            tag: number.to_string(),
            file: format!("layers/sha256/{number:064x}.v4.erofs"),
        })
        .unwrap()
    }

    fn layout(lengths: &[u64]) -> Result<DiskLayout<u32>, StitchError> {
        let layers = layers(u32::try_from(lengths.len()).unwrap());
        DiskLayout::new(layers, lengths.iter().copied().collect())
    }

    #[test]
    fn the_descriptor_of_as_many_layers_as_are_taken_can_be_written_with_the_greatest_lengths() {
        let limit = match LayerSet::new("fsmeta.erofs", 0..65_535_u32, |number| LayerNames {
            tag: String::new(),
            file: format!("layers/sha256/{number:064x}.v4.erofs"),
        }) {
            Err(StitchError::TooManyLayers { limit, .. }) => limit,
            other => panic!("{other:?}"),
        };
        let longest = u64::from(u32::MAX) * u64::from(BLOCK_SIZE);
        let text = layout(&vec![longest; limit]).unwrap();
        let text = text.descriptor(longest).unwrap();
        assert!(MAX_BYTES - text.len() < 1000, "{}", text.len());
    }

    #[test]
    fn table_extents_and_descriptor_agree() {
        let layout = layout(&[8192, 4096]).unwrap();
        let extents = layout.extents(12_288).unwrap();
        let lengths: Vec<u64> = extents.iter().map(|extent| extent.bytes).collect();
        assert_eq!(lengths, [12_288, 8192, 4096]);
        let second = ExtentContent::Layer(DeviceId::new(2).unwrap());
        assert_eq!(extents[2].content, second);
        assert_eq!(layout.device_table().len(), 2);
        let parsed = Descriptor::parse(&layout.descriptor(12_288).unwrap()).unwrap();
        let sectors: Vec<u64> = parsed.extents.iter().map(|extent| extent.sectors).collect();
        assert_eq!(sectors, [24, 16, 8]);
    }

    #[test]
    fn a_hash_tree_is_one_more_extent_that_covers_the_others() {
        let layout = layout(&[300 * 4096, 4096]).unwrap().with_hash_tree("tree");
        let extents = layout.extents(4096).unwrap();
        let last = extents.last().unwrap();
        assert_eq!(
            (last.content, &*last.file),
            (ExtentContent::HashTree, "tree")
        );
        // 302 hashes in three blocks, and a block over them.
        assert_eq!(last.bytes, 4 * 4096);
        assert_eq!(layout.device_table().len(), 2);
        let nothing = self::layout(&[]).unwrap().with_hash_tree("tree");
        assert_eq!(nothing.extents(4096).unwrap().len(), 1);
    }

    #[test]
    fn lengths_that_no_image_has_are_refused() {
        let wrong = [0, 4095, u64::from(u32::MAX) * 4096 + 4096, u64::MAX];
        for bytes in wrong {
            let error = layout(&[4096, bytes]).unwrap_err();
            assert!(
                matches!(error, StitchError::ImageLength { device, .. } if device.get() == 2),
                "{error}"
            );
            let error = layout(&[4096]).unwrap().descriptor(bytes).unwrap_err();
            assert!(matches!(error, StitchError::FsmetaLength { .. }), "{error}");
        }
        let missing = DiskLayout::new(layers(2), [4096].into_iter().collect());
        assert!(matches!(missing, Err(StitchError::ImageLength { .. })));
    }
}
