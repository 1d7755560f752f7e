//! The paths that callers show or hand to a hypervisor. The store itself opens nothing by them.

use std::path::PathBuf;

use msb_oci::Digest;

use crate::artifact::{
    BLOB, DISK, DISK_FSMETA, DISK_TREE, DISK_VERITY_VMDK, DISK_VMDK, IMAGES, LAYER, LAYER_BLOB,
    LAYER_IMAGE, LAYER_LEAVES, LAYER_SIDECAR, Place,
};
use crate::{DiskKey, ImageKey, LayerKey, Store};

impl LayerKey {
    /// Returns the path of the layer image, as seen from the directory of the descriptors: `layers/<algorithm>/<hex>.v1.erofs`.
    ///
    /// This is what a VMDK descriptor names, so that a cache that was moved as a whole still works. Readers of descriptors refuse a
    /// name with `..`.
    #[must_use]
    pub fn image_path_from_descriptor(&self) -> String {
        LAYER.place(self, LAYER_IMAGE).below_root()
    }
}

impl DiskKey {
    /// Returns the path of the metadata image, as seen from the directory of the descriptors: `disks/<algorithm>/<hex>.v1.erofs`.
    #[must_use]
    pub fn fsmeta_path_from_descriptor(&self) -> String {
        DISK.place(self, DISK_FSMETA).below_root()
    }

    /// Returns the path of the hash tree, as seen from the directory of the descriptors.
    #[must_use]
    pub fn tree_path_from_descriptor(&self) -> String {
        DISK.place(self, DISK_TREE).below_root()
    }
}

impl Store {
    /// Returns where the layer image of `key` lies, or would lie.
    #[must_use]
    pub fn layer_image_path(&self, key: &LayerKey) -> PathBuf {
        self.path_of(&LAYER.place(key, LAYER_IMAGE))
    }

    /// Returns where the sidecar of `key` lies, or would lie.
    #[must_use]
    pub fn layer_sidecar_path(&self, key: &LayerKey) -> PathBuf {
        self.path_of(&LAYER.place(key, LAYER_SIDECAR))
    }

    /// Returns where the metadata image of the disk `key` lies, or would lie.
    #[must_use]
    pub fn fsmeta_path(&self, key: &DiskKey) -> PathBuf {
        self.path_of(&DISK.place(key, DISK_FSMETA))
    }

    /// Returns where the VMDK descriptor of the disk `key` lies, or would lie.
    #[must_use]
    pub fn vmdk_path(&self, key: &DiskKey) -> PathBuf {
        self.path_of(&DISK.place(key, DISK_VMDK))
    }

    /// Returns where the hash tree of the disk `key` lies, or would lie.
    #[must_use]
    pub fn tree_path(&self, key: &DiskKey) -> PathBuf {
        self.path_of(&DISK.place(key, DISK_TREE))
    }

    /// Returns where the VMDK descriptor of the disk `key` with its hash tree lies, or would lie.
    #[must_use]
    pub fn verity_vmdk_path(&self, key: &DiskKey) -> PathBuf {
        self.path_of(&DISK.place(key, DISK_VERITY_VMDK))
    }

    /// Returns where the leaf hashes of the layer image of `key` lie, or would lie.
    #[must_use]
    pub fn layer_leaves_path(&self, key: &LayerKey) -> PathBuf {
        self.path_of(&LAYER.place(key, LAYER_LEAVES))
    }

    /// Returns where the blob (a raw manifest or config) lies, or would lie.
    #[must_use]
    pub fn blob_path(&self, digest: &Digest) -> PathBuf {
        self.path_of(&BLOB.place(digest, 0))
    }

    /// Returns where the kept blob of a layer lies, or would lie.
    #[must_use]
    pub fn layer_blob_path(&self, digest: &Digest) -> PathBuf {
        self.path_of(&LAYER_BLOB.place(digest, 0))
    }

    /// Returns where the record of the image lies, or would lie.
    #[must_use]
    pub fn image_record_path(&self, key: &ImageKey) -> PathBuf {
        self.path_of(&Place::new(IMAGES, key.file_name()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::FormatVersion;

    #[test]
    fn a_descriptor_lies_above_the_files_that_it_names() {
        let (empty, version) = (Digest::sha256_of(b""), FormatVersion(1));
        let (layer, disk) = (LayerKey::new(empty, version), DiskKey::new(empty, version));
        let hex = empty.hex();
        let named = layer.image_path_from_descriptor();
        assert_eq!(named, format!("layers/sha256/{hex}.v1.erofs"));
        let store = Store::open("/cache").unwrap();
        let folder = store.vmdk_path(&disk).parent().unwrap().to_owned();
        assert_eq!(folder.join(named), store.layer_image_path(&layer));
        let named = disk.fsmeta_path_from_descriptor();
        assert_eq!(folder.join(named), store.fsmeta_path(&disk));
    }
}
