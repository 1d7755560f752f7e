//! Whether an artifact is there whole, by names and lengths alone.

use std::fs::File;
use std::path::Path;

use crate::artifact::{
    ArtifactKey, ArtifactKind, DISK, DISK_FSMETA, DISK_TREE, DISK_VERITY_VMDK, DISK_VMDK, LAYER,
    LAYER_IMAGE, LAYER_LEAVES, LAYER_SIDECAR, Place, is_root_name,
};
use crate::dir::Dir;
use crate::error::{At as _, Error, Result};
use crate::step::Step;
use crate::{DiskKey, LayerKey, Store};

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
    /// Returns the lengths of a layer's files; `None` unless both are there.
    pub fn layer_lengths(&self, key: &LayerKey) -> Result<Option<LayerLengths>> {
        Ok(self.lengths(&LAYER, key)?.map(|bytes| LayerLengths {
            image_bytes: bytes[LAYER_IMAGE],
            sidecar_bytes: bytes[LAYER_SIDECAR],
        }))
    }

    /// Returns the lengths of a disk's files; `None` unless both are there.
    pub fn disk_lengths(&self, key: &DiskKey) -> Result<Option<DiskLengths>> {
        Ok(self.lengths(&DISK, key)?.map(|bytes| DiskLengths {
            fsmeta_bytes: bytes[DISK_FSMETA],
            vmdk_bytes: bytes[DISK_VMDK],
        }))
    }

    /// Opens a layer image for reading; `None` for anything but a regular file, and for nothing.
    pub fn open_layer_image(&self, key: &LayerKey) -> Result<Option<File>> {
        self.open_place(&LAYER.place(key, LAYER_IMAGE))
    }

    /// Opens a layer's sidecar for reading; `None` for anything but a regular file, and for nothing.
    pub fn open_layer_sidecar(&self, key: &LayerKey) -> Result<Option<File>> {
        self.open_place(&LAYER.place(key, LAYER_SIDECAR))
    }

    /// Opens a disk's metadata image for reading; `None` for anything but a regular file, and for nothing.
    pub fn open_fsmeta(&self, key: &DiskKey) -> Result<Option<File>> {
        self.open_place(&DISK.place(key, DISK_FSMETA))
    }

    /// Reads a disk's VMDK descriptor; `None` for anything but a regular file, and for nothing.
    ///
    /// # Errors
    /// [`Error::TooLarge`] for a file longer than `limit_bytes`.
    pub fn read_vmdk(&self, key: &DiskKey, limit_bytes: u64) -> Result<Option<Vec<u8>>> {
        self.read_place(&DISK.place(key, DISK_VMDK), limit_bytes)
    }

    /// Opens the leaf hashes of a layer image for reading; `None` for anything but a regular file, and for nothing.
    pub fn open_layer_leaves(&self, key: &LayerKey) -> Result<Option<File>> {
        self.open_place(&LAYER.place(key, LAYER_LEAVES))
    }

    /// Opens a disk's hash tree for reading; `None` for anything but a regular file, and for nothing.
    pub fn open_tree(&self, key: &DiskKey) -> Result<Option<File>> {
        self.open_place(&DISK.place(key, DISK_TREE))
    }

    /// Returns the length of a disk's hash tree in bytes; `None` for anything but a regular file, and for nothing.
    pub fn tree_bytes(&self, key: &DiskKey) -> Result<Option<u64>> {
        let place = DISK.place(key, DISK_TREE);
        match self.dir(&place.dir)? {
            Some(dir) => dir.file_bytes(&place.name),
            None => Ok(None),
        }
    }

    /// Reads the VMDK descriptor of a disk with its hash tree; see [`Self::read_vmdk`].
    ///
    /// # Errors
    /// [`Error::TooLarge`] for a file longer than `limit_bytes`.
    pub fn read_verity_vmdk(&self, key: &DiskKey, limit_bytes: u64) -> Result<Option<Vec<u8>>> {
        self.read_place(&DISK.place(key, DISK_VERITY_VMDK), limit_bytes)
    }

    /// Returns the lengths of an artifact's files, by their place in the table, 0 for optional ones; `None` if it is incomplete. One
    /// `stat` call for each file.
    fn lengths(&self, kind: &ArtifactKind, key: &impl ArtifactKey) -> Result<Option<Vec<u64>>> {
        let mut lengths = vec![0; kind.files.len()];
        let mut dirs = Dirs::default();
        // The one that marks it complete first.
        for (at, file) in kind.files.iter().enumerate().rev() {
            if !file.is_required {
                continue;
            }
            let dir = dirs.open(self, &kind.dir(key, at))?;
            match dir
                .map(|dir| dir.file_bytes(&kind.file_name(key, at)))
                .transpose()?
                .flatten()
            {
                Some(bytes) => lengths[at] = bytes,
                None => return Ok(None),
            }
        }
        Ok(Some(lengths))
    }

    /// Opens a file for reading by a path that a method of a store returned; `None` for anything but a regular file of a layer or a
    /// disk, and for nothing. No directory below the root is followed through a link.
    ///
    /// For holders of a pull's result, which names paths and not keys.
    pub fn open_path(path: &Path) -> Result<Option<File>> {
        let names = path.ancestors().map(|path| path.file_name()?.to_str());
        let names: Vec<&str> = names.take(3).map_while(|name| name).collect();
        let (root, place) = match names[..] {
            [name, ..] if is_root_name(name) => (path.parent(), Place::new("", name)),
            // `layers/sha256/<name>`, `disks/sha256/<name>`
            [name, algorithm, folder] if [LAYER.folder, DISK.folder].contains(&folder) => {
                let place = Place::new(format!("{folder}/{algorithm}"), name);
                (path.ancestors().nth(3), place)
            }
            _ => return Ok(None),
        };
        match root {
            Some(root) => {
                // A result may name files of a cache that is only read.
                let root = std::path::absolute(root).at(Step::Resolve, root)?;
                Self::read_only(root).open_place(&place)
            }
            None => Ok(None),
        }
    }

    pub(crate) fn open_place(&self, place: &Place) -> Result<Option<File>> {
        match self.dir(&place.dir)? {
            Some(dir) => dir.open_file(&place.name),
            None => Ok(None),
        }
    }

    /// Reads a small file; `None` for anything but a regular file, and for nothing.
    pub(crate) fn read_place(&self, place: &Place, limit_bytes: u64) -> Result<Option<Vec<u8>>> {
        let Some(dir) = self.dir(&place.dir)? else {
            return Ok(None);
        };
        match dir.read_capped(&place.name, limit_bytes) {
            Err(Error::NotAFile { .. }) => Ok(None),
            read => read,
        }
    }
}

/// The directory of the last of several files, which are often in the same one.
#[derive(Debug, Default)]
pub(crate) struct Dirs {
    last: Option<(String, Option<Dir>)>,
}

impl Dirs {
    /// Opens a directory below the root, unless it is the last one that was opened; `None` if there is none.
    pub(crate) fn open(&mut self, store: &Store, below: &str) -> Result<Option<&Dir>> {
        let last = match self.last.take() {
            Some(last) if last.0 == below => last,
            _ => (below.to_owned(), store.dir(below)?),
        };
        Ok(self.last.insert(last).1.as_ref())
    }
}
