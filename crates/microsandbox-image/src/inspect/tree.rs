use std::io::{self, Write};
use std::path::Path;

use erofs_format::FileType;
use erofs_reader::{FlatDisk, Image, Inode, Limits};
use fs_tree::show_path;
use msb_oci::Reference;
use msb_sidecar::Sidecar;
use msb_stitch::{DeviceId, DiskVerifier, FilePool, Merge, PooledFile, StitchError, VerifiedDisk};

use super::error::InspectError;
use super::files::verify_checksum;
use crate::cache::open_file::open_file;
use crate::{CacheError, PullResult};

/// The files of a cached image, read from its disk without mounting it.
#[derive(Debug)]
pub struct ImageTree {
    image: Image<FlatDisk<PooledFile>>,
    reference: Reference,
}

impl PullResult {
    /// Opens the image's disk for reading. Blocks on file I/O, as all of [`ImageTree`] does.
    ///
    /// # Errors
    /// [`InspectError::Disk`], [`InspectError::Read`] for a file of the disk that cannot be opened.
    pub fn open_tree(&self) -> Result<ImageTree, InspectError> {
        let pool = FilePool::new(open_file);
        let open = |path: &Path| {
            pool.file(path).map_err(|source| InspectError::Read {
                path: path.to_path_buf(),
                source,
            })
        };
        let parts = self
            .data_extents()
            .iter()
            .map(|extent| Ok((open(&extent.path)?, extent.bytes)));
        let parts: Vec<_> = parts.collect::<Result<_, InspectError>>()?;
        let image = FlatDisk::new(parts)
            .and_then(Image::open)
            .map_err(|source| self.disk_error(source))?;
        Ok(ImageTree {
            image,
            reference: self.reference.clone(),
        })
    }

    /// Verifies the disk with `erofs-reader`: the length of each of its files, and every inode and extent. With `contents`, also verifies
    /// every path against the layers' sidecars, and every file's bytes against the checksum that was computed when they were converted.
    /// [`GlobalCache::verify`](crate::GlobalCache::verify) names all damaged files.
    ///
    /// # Errors
    /// [`InspectError::Verify`], [`InspectError::Cache`], [`InspectError::Stitch`].
    pub fn verify(&self, contents: bool) -> Result<VerifiedDisk, InspectError> {
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
        verified.map_err(|source| InspectError::Verify {
            reference: Box::new(self.reference.clone()),
            source,
        })
    }

    /// Merges the sidecars into the image's tree.
    pub(crate) fn merge(&self) -> Result<Merge, InspectError> {
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
            let sidecar_error =
                |path, source| InspectError::Cache(CacheError::Sidecar { path, source });
            let opened = open_file(&path)
                .map_err(|source| msb_sidecar::Error::Read { offset: 0, source })
                .and_then(Sidecar::open);
            let sidecar = opened.map_err(|source| sidecar_error(path.clone(), source))?;
            let device =
                self.device_of(&layer.erofs)
                    .ok_or_else(|| InspectError::ArtifactMissing {
                        path: layer.erofs.clone(),
                    })?;
            merge
                .add(device, sidecar.changes())
                .map_err(|error| match error {
                    StitchError::Sidecar { source, .. } => sidecar_error(path, source),
                    source => InspectError::Stitch {
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

    fn disk_error(&self, source: erofs_reader::Error) -> InspectError {
        InspectError::Disk {
            reference: Box::new(self.reference.clone()),
            source,
        }
    }
}

impl ImageTree {
    /// Returns the file system of the disk.
    #[must_use]
    pub fn image(&self) -> &Image<FlatDisk<PooledFile>> {
        &self.image
    }

    /// Returns the reference of the image.
    pub(crate) fn reference(&self) -> &Reference {
        &self.reference
    }

    /// Calls `visit` for every path below `path`, itself first, sorted within each directory. Symbolic links on the way to
    /// `path` are followed inside the image.
    ///
    /// # Errors
    /// [`InspectError::NoSuchPath`], [`InspectError::Disk`], or the error of `visit`.
    pub fn walk<E: From<InspectError>>(
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

    /// Returns the target of a symbolic link.
    ///
    /// # Errors
    /// [`InspectError::Disk`], also for an inode that is no symbolic link.
    pub fn read_link(&self, link: &Inode) -> Result<Vec<u8>, InspectError> {
        self.image
            .read_link(link)
            .map_err(|source| self.disk_error(source))
    }

    /// Copies the bytes of a regular file to `output` and returns their number.
    ///
    /// # Errors
    /// [`InspectError::NoSuchPath`], [`InspectError::WrongType`], [`InspectError::Copy`].
    pub fn copy_file(&self, path: &[u8], output: &mut dyn Write) -> Result<u64, InspectError> {
        let inode = self.find(path)?;
        if inode.file_type != FileType::Regular {
            return Err(InspectError::WrongType {
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

    /// Returns the inode at `path`; symbolic links are followed inside the image.
    ///
    /// # Errors
    /// [`InspectError::NoSuchPath`], [`InspectError::Disk`].
    pub fn find(&self, path: &[u8]) -> Result<Inode, InspectError> {
        let found = self
            .image
            .resolve_path(path)
            .map_err(|source| self.disk_error(source))?;
        found.ok_or_else(|| InspectError::NoSuchPath {
            reference: Box::new(self.reference.clone()),
            path: show_path(path).to_string(),
        })
    }

    pub(crate) fn disk_error(&self, source: erofs_reader::Error) -> InspectError {
        InspectError::Disk {
            reference: Box::new(self.reference.clone()),
            source,
        }
    }

    fn copy_error(&self, path: &[u8], source: io::Error) -> InspectError {
        InspectError::Copy {
            reference: Box::new(self.reference.clone()),
            path: show_path(path).to_string(),
            source,
        }
    }
}
