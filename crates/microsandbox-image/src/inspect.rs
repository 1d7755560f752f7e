use std::fs::File;
use std::io::{self, Read, Write};
use std::path::{Component, Path, PathBuf};

use erofs_format::{Crc32c, FileType};
use erofs_reader::{FlatDisk, Image, Inode, Limits};
use fs_tree::show_path;
use msb_oci::Reference;
use msb_sidecar::Sidecar;
use msb_stitch::{DeviceId, DiskVerifier, FilePool, Merge, PooledFile, StitchError, VerifiedDisk};
use msb_store::Store;

use crate::{PullError, PullResult};

/// A pulled image's files, read from its disk without mounting it.
#[derive(Debug)]
pub struct ImageTree {
    image: Image<FlatDisk<PooledFile>>,
    reference: Reference,
}

impl PullResult {
    /// Opens the image's disk for reading. Blocks on file I/O, as all of [`ImageTree`] does.
    ///
    /// # Errors
    /// [`PullError::Disk`], [`PullError::LayerImage`] for a file of the disk that cannot be opened.
    pub fn open_tree(&self) -> Result<ImageTree, PullError> {
        let pool = FilePool::new(open_file);
        let open = |path: &Path| {
            pool.file(path).map_err(|source| PullError::LayerImage {
                path: path.to_path_buf(),
                source,
            })
        };
        let parts = self
            .extents
            .iter()
            .map(|extent| Ok((open(&extent.path)?, extent.bytes)));
        let parts: Vec<_> = parts.collect::<Result<_, PullError>>()?;
        let image = FlatDisk::new(parts)
            .and_then(Image::open)
            .map_err(|source| self.disk_error(source))?;
        Ok(ImageTree {
            image,
            reference: self.reference.clone(),
        })
    }

    /// Verifies the disk with a reader that shares nothing with the writer: every file of it has its length, every inode and
    /// extent is sound. With `contents`, every path is as the layers' sidecars state it, and every file's bytes have the checksum
    /// that was taken when they were ingested. [`GlobalCache::verify`](crate::GlobalCache::verify) names all damaged files.
    ///
    /// # Errors
    /// [`PullError::Verify`], [`PullError::Sidecar`], [`PullError::Stitch`].
    pub fn prove(&self, contents: bool) -> Result<VerifiedDisk, PullError> {
        let merge = if contents { Some(self.merge()?) } else { None };
        if contents {
            self.layers
                .iter()
                .try_for_each(|layer| verify_checksum(&layer.erofs))?;
        }
        let verifier = DiskVerifier::new(&self.vmdk, open_file);
        let verified = match &merge {
            Some(merge) => verifier.verify_contents(merge.tree()),
            None => verifier.verify_structure(),
        };
        verified.map_err(|source| PullError::Verify {
            reference: Box::new(self.reference.clone()),
            source,
        })
    }

    /// Merges the sidecars into the image's tree.
    pub(crate) fn merge(&self) -> Result<Merge, PullError> {
        let sidecars: Vec<_> = self
            .extents
            .iter()
            .map(|extent| extent.path.with_extension("layer"))
            .collect();
        let mut merge = Merge::new().reopening(move |device| {
            // The first extent is fsmeta.
            let path = sidecars.get(usize::from(device.get()));
            open_file(path.ok_or(io::ErrorKind::NotFound)?)
        });
        for layer in &self.layers {
            let path = layer.erofs.with_extension("layer");
            let sidecar_error = |path, source| PullError::Sidecar { path, source };
            let opened = open_file(&path)
                .map_err(|source| msb_sidecar::Error::Read { offset: 0, source })
                .and_then(Sidecar::open);
            let sidecar = opened.map_err(|source| sidecar_error(path.clone(), source))?;
            let device =
                self.device_of(&layer.erofs)
                    .ok_or_else(|| PullError::ArtifactMissing {
                        path: layer.erofs.clone(),
                    })?;
            merge
                .add(device, sidecar.changes())
                .map_err(|error| match error {
                    StitchError::Sidecar { source, .. } => sidecar_error(path, source),
                    source => PullError::Stitch {
                        reference: Box::new(self.reference.clone()),
                        source,
                    },
                })?;
        }
        Ok(merge)
    }

    /// Returns the device of a layer image, which is its place among the files of the disk.
    fn device_of(&self, erofs: &Path) -> Option<DeviceId> {
        let place = self.extents.iter().position(|extent| extent.path == erofs);
        place.and_then(|place| DeviceId::new(u16::try_from(place).ok()?))
    }

    fn disk_error(&self, source: erofs_reader::Error) -> PullError {
        PullError::Disk {
            reference: Box::new(self.reference.clone()),
            source,
        }
    }
}

impl ImageTree {
    /// The disk's filesystem, for everything else.
    #[must_use]
    pub fn image(&self) -> &Image<FlatDisk<PooledFile>> {
        &self.image
    }

    /// Calls `visit` for every path below `path`, itself first, sorted within each directory. Symbolic links on the way to
    /// `path` are followed inside the image.
    ///
    /// # Errors
    /// [`PullError::NoSuchPath`], [`PullError::Disk`], or the error of `visit`.
    pub fn walk<E: From<PullError>>(
        &self,
        path: &[u8],
        mut visit: impl FnMut(&[u8], &Inode) -> Result<(), E>,
    ) -> Result<(), E> {
        let inode = self.find(path)?;
        if inode.file_type != FileType::Directory {
            return visit(path, &inode);
        }
        let limits = Limits::default();
        let mut walk = self
            .image
            .walk_from(&inode, path, &limits)
            .map_err(|source| self.disk_error(source))?;
        while let Some(entry) = walk.next_entry() {
            let entry = entry.map_err(|source| self.disk_error(source))?;
            visit(entry.path, &entry.inode)?;
        }
        Ok(())
    }

    /// The target of a symbolic link.
    ///
    /// # Errors
    /// [`PullError::Disk`], also for an inode that is no symbolic link.
    pub fn read_link(&self, link: &Inode) -> Result<Vec<u8>, PullError> {
        self.image
            .read_link(link)
            .map_err(|source| self.disk_error(source))
    }

    /// Copies a regular file's bytes to `output`; returns their number.
    ///
    /// # Errors
    /// [`PullError::NoSuchPath`], [`PullError::WrongType`], [`PullError::Copy`].
    pub fn copy_file(&self, path: &[u8], output: &mut dyn Write) -> Result<u64, PullError> {
        let inode = self.find(path)?;
        if inode.file_type != FileType::Regular {
            return Err(PullError::WrongType {
                reference: Box::new(self.reference.clone()),
                path: show_path(path).to_string(),
                expected: "regular file",
            });
        }
        let reader = self
            .image
            .open_file(&inode)
            .map_err(|source| self.disk_error(source))?;
        let mut reader = io::BufReader::with_capacity(1 << 20, reader);
        io::copy(&mut reader, output).map_err(|source| self.copy_error(path, source))
    }

    /// The inode at `path`, symbolic links followed inside the image.
    ///
    /// # Errors
    /// [`PullError::NoSuchPath`], [`PullError::Disk`].
    pub fn find(&self, path: &[u8]) -> Result<Inode, PullError> {
        let found = self
            .image
            .resolve_path(path)
            .map_err(|source| self.disk_error(source))?;
        found.ok_or_else(|| PullError::NoSuchPath {
            reference: Box::new(self.reference.clone()),
            path: show_path(path).to_string(),
        })
    }

    fn disk_error(&self, source: erofs_reader::Error) -> PullError {
        PullError::Disk {
            reference: Box::new(self.reference.clone()),
            source,
        }
    }

    fn copy_error(&self, path: &[u8], source: io::Error) -> PullError {
        PullError::Copy {
            reference: Box::new(self.reference.clone()),
            path: show_path(path).to_string(),
            source,
        }
    }
}

/// Opens a file of the cache for reading. A path that a disk descriptor names leads from the folder of the disk to that of the layers.
pub(crate) fn open_file(path: &Path) -> io::Result<File> {
    let opened = Store::open_path(&without_parents(path)).map_err(|error| match error {
        msb_store::Error::Io { source, .. } => source,
        error => io::Error::other(error),
    })?;
    opened.ok_or_else(|| io::ErrorKind::NotFound.into())
}

/// Resolves each `..` by the name before it, so that the store opens the file from its own root. No directory of a cache below the root
/// is a symbolic link.
fn without_parents(path: &Path) -> PathBuf {
    let mut resolved = PathBuf::new();
    for component in path.components() {
        match component {
            Component::ParentDir if resolved.file_name().is_some() => {
                resolved.pop();
            }
            component => resolved.push(component),
        }
    }
    resolved
}

/// Compares a layer image with the checksum that was taken when it was written: also the parts that the merged disk does not use,
/// such as the layer's own inodes.
pub(crate) fn verify_checksum(image: &Path) -> Result<(), PullError> {
    let read_error = |source| PullError::LayerImage {
        path: image.to_path_buf(),
        source,
    };
    let path = image.with_extension("layer");
    let expected = open_file(&path)
        .map_err(|source| msb_sidecar::Error::Read { offset: 0, source })
        .and_then(Sidecar::open)
        // A merge reads the changes; nothing else reads the notes.
        .and_then(|sidecar| sidecar.notes().map(|_| sidecar.image()))
        .map_err(|source| PullError::Sidecar { path, source })?;
    let mut file = open_file(image).map_err(read_error)?;
    let mut buffer = vec![0; 1 << 20];
    let (mut checksum, mut bytes) = (Crc32c::new(), 0);
    loop {
        match file.read(&mut buffer).map_err(read_error)? {
            0 => break,
            read => {
                checksum = checksum.update(&buffer[..read]);
                bytes += read as u64;
            }
        }
    }
    if (bytes, checksum.get()) == (expected.bytes, expected.crc32c) {
        Ok(())
    } else {
        Err(PullError::DamagedLayer {
            path: image.to_path_buf(),
            expected: expected.crc32c,
            actual: checksum.get(),
        })
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn the_layers_of_a_disk_are_opened_below_the_root_of_the_cache() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        let disk = root.join("disks/sha256/key");
        let layers = root.join("layers/sha256");
        fs::create_dir_all(&disk).unwrap();
        fs::create_dir_all(&layers).unwrap();
        fs::write(layers.join("a.erofs"), b"layer").unwrap();
        let named = disk.join("../../../layers/sha256/a.erofs");
        assert_eq!(without_parents(&named), layers.join("a.erofs"));
        assert_eq!(open_file(&named).unwrap().metadata().unwrap().len(), 5);
        // A directory that is a link leads out of the cache, and only the store notices.
        let elsewhere = tempfile::tempdir().unwrap();
        fs::rename(&layers, elsewhere.path().join("sha256")).unwrap();
        symlink(elsewhere.path().join("sha256"), &layers).unwrap();
        assert!(File::open(&named).is_ok());
        open_file(&named).unwrap_err();
    }
}
