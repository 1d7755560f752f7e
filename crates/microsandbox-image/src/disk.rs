//! The disk of an image: its layers, its name in the cache, and building it.

mod build;
pub(crate) mod hash_tree;

pub(crate) use build::{BuildError, WrittenDisk, build, open_sidecar, write};

use std::io;
use std::sync::Arc;

use erofs_format::BLOCK_SIZE;
use erofs_reader::Image;
use msb_oci::Digest;
use msb_stitch::{DiskLayout, LayerNames, LayerSet, PerDevice, StitchError};
use msb_store::{DiskKey, FileChecksum, LayerKey, Lease, Store};

use crate::cache::CacheError;
use crate::cache::keys::{FORMAT, layer_key};

/// The layers of an image's disk, and the name of the disk in the cache. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct ImageDisk {
    key: DiskKey,
    layers: Arc<LayerSet<LayerKey>>,
}

/// The layout of a disk of the cache.
pub(crate) type ImageLayout = DiskLayout<LayerKey>;

impl ImageDisk {
    /// Creates the disk over these layers, bottom to top. Its name is the ordered list of diff_ids, so that two tags over the same
    /// layers share it.
    ///
    /// # Errors
    /// [`StitchError::TooManyLayers`].
    pub(crate) fn new<'a>(diff_ids: impl Iterator<Item = &'a Digest>) -> Result<Self, StitchError> {
        let mut chain = String::new();
        let stack = diff_ids.map(|diff_id| {
            chain.push_str(&diff_id.to_string());
            chain.push('\n');
            layer_key(diff_id)
        });
        let stack: Vec<LayerKey> = stack.collect();
        let key = DiskKey::new(Digest::sha256_of(chain.as_bytes()), FORMAT);
        let layers = LayerSet::new(key.fsmeta_path_from_descriptor(), stack, |layer| {
            LayerNames {
                tag: layer.diff_id.hex().to_string(),
                file: layer.image_path_from_descriptor(),
            }
        })?;
        Ok(Self {
            key,
            layers: Arc::new(layers),
        })
    }

    /// Leases the disk, its layers, and the image's documents. Blocks on file I/O.
    pub(crate) fn lease(&self, store: &Store, blobs: &[Digest]) -> Result<Lease, msb_store::Error> {
        let layers: Vec<LayerKey> = self.layers.iter().map(|(_, layer)| layer.clone()).collect();
        store.lease(&self.key, &layers, blobs)
    }

    pub(crate) fn key(&self) -> &DiskKey {
        &self.key
    }

    pub(crate) fn layers(&self) -> &Arc<LayerSet<LayerKey>> {
        &self.layers
    }

    /// Returns the layout of the disk, given the lengths of its layer images in bytes.
    ///
    /// # Errors
    /// [`StitchError::ImageLength`].
    pub(crate) fn layout(&self, image_bytes: PerDevice<u64>) -> Result<ImageLayout, StitchError> {
        DiskLayout::new(Arc::clone(&self.layers), image_bytes)
    }

    /// Returns whether the cache has the disk with these bytes of merged metadata, and with exactly the descriptor that would be
    /// written now.
    pub(crate) fn is_whole(
        &self,
        store: &Store,
        layout: &ImageLayout,
        fsmeta_bytes: u64,
    ) -> Result<bool, CacheError> {
        let Some(lengths) = store.disk_lengths(&self.key)? else {
            return Ok(false);
        };
        let Ok(descriptor) = layout.descriptor(fsmeta_bytes) else {
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

    /// Returns whether the cache has the hash tree of the disk, by its length, and exactly the descriptor that names it.
    pub(crate) fn is_tree_whole(
        &self,
        store: &Store,
        layout: &ImageLayout,
        fsmeta_bytes: u64,
    ) -> Result<bool, CacheError> {
        let layout = self.with_hash_tree(layout.clone());
        let (Ok(extents), Ok(descriptor)) = (
            layout.extents(fsmeta_bytes),
            layout.descriptor(fsmeta_bytes),
        ) else {
            return Ok(false);
        };
        let tree = extents.last().map(|extent| extent.bytes);
        if store.tree_bytes(&self.key)? != tree {
            return Ok(false);
        }
        match store.read_verity_vmdk(&self.key, descriptor.len() as u64) {
            Ok(text) => Ok(text.is_some_and(|text| text == descriptor.as_bytes())),
            Err(error) if error.is_corrupt() => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// Returns the layout of the disk with its hash tree.
    pub(crate) fn with_hash_tree(&self, layout: ImageLayout) -> ImageLayout {
        layout.with_hash_tree(self.key.tree_path_from_descriptor())
    }

    /// Returns the length and checksum of the merged metadata in the cache, if both are known, and it is as long as its own superblock
    /// states.
    ///
    /// # Errors
    /// [`CacheError::Store`] and [`CacheError::Fsmeta`] for a file that exists and cannot be read, which is no damage.
    pub(crate) fn cached_fsmeta(&self, store: &Store) -> Result<Option<FileChecksum>, CacheError> {
        let Some(recorded) = store.fsmeta_checksum(&self.key)? else {
            return Ok(None);
        };
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
        Ok((actual == expected && actual == recorded.bytes).then_some(recorded))
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
    fn two_images_over_the_same_layers_share_a_disk() {
        let [a, b] = [&b"a"[..], b"b"].map(Digest::sha256_of);
        let key = |stack: &[Digest]| ImageDisk::new(stack.iter()).unwrap().key().clone();
        assert_eq!(key(&[a, b]), key(&[a, b]));
        assert_ne!(key(&[a, b]), key(&[b, a]));
        assert_ne!(key(&[a, a]), key(&[a]));
    }

    #[test]
    fn more_layers_than_a_disk_can_have_are_an_error() {
        let diff_ids = (0..65_535_u32).map(|n| Digest::sha256_of(&n.to_le_bytes()));
        let diff_ids: Vec<Digest> = diff_ids.collect();
        let Err(StitchError::TooManyLayers { count, limit }) = ImageDisk::new(diff_ids.iter())
        else {
            panic!("the layers were accepted");
        };
        assert_eq!(count, 65_535);
        assert!((9_000..10_000).contains(&limit), "{limit}");
        assert!(ImageDisk::new(diff_ids[..limit].iter()).is_ok());
    }
}
