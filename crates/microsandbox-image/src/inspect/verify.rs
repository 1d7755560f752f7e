use std::collections::HashSet;
use std::fmt;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use fs_tree::show_path;
use msb_oci::{Digest, Reference};
use msb_platform::Platform;
use msb_stitch::{DeviceId, DiskVerifier, Merge, VerifiedDisk, VerifyError};
use msb_store::{FileChecksum, Store};
use rustix::io::Errno;

use super::error::InspectError;
use super::files::{verify_blob, verify_checksum, verify_file};
use crate::cache::keys::{image_key, layer_key};
use crate::cache::lookup;
use crate::cache::lookup::tiers::home;
use crate::cache::open_file::open_file;
use crate::cache::record::ImageRecord;
use crate::disk::ImageLayout;
use crate::disk::hash_tree::{self, TreeFault};
use crate::{CacheError, GlobalCache, PullResult};

/// The result of verifying a cached image.
#[derive(Debug)]
#[non_exhaustive]
pub struct Verification {
    /// What was verified. Empty if a file of the disk is missing, truncated or rewritten, because then the disk cannot be read.
    pub disk: VerifiedDisk,
    /// Whether file data was compared with its checksums, and the tree with the layers.
    pub contents: bool,
    /// The damaged artifacts; empty if there are none.
    pub damage: Vec<Damage>,
}

/// A damaged file of the cache.
#[derive(Debug)]
#[non_exhaustive]
pub struct Damage {
    /// What the file is.
    pub artifact: ArtifactKind,
    /// The file.
    pub path: PathBuf,
    /// The diff_id of the layer that the file belongs to.
    pub layer: Option<Digest>,
    /// The paths in the image whose bytes are damaged, as [`show_path`] shows them; at most 100.
    pub files: Vec<String>,
    /// What is wrong.
    pub error: InspectError,
}

/// The kind of a file of the cache.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ArtifactKind {
    /// A layer image.
    LayerImage,
    /// The sidecar of a layer image, which has the layer's changes.
    Sidecar,
    /// The merged metadata.
    Fsmeta,
    /// The disk descriptor.
    Descriptor,
    /// The hash tree of dm-verity.
    HashTree,
    /// The manifest.
    Manifest,
    /// The config.
    Config,
    /// The image record, which names all other files.
    Record,
    /// The blob of a layer that was kept.
    LayerBlob,
}

impl GlobalCache {
    /// Verifies a cached image: the checksum of its record, the digests of its manifest and config, the length of each file of its disk, the
    /// text of its descriptor, and every inode and extent. With `contents`, also verifies the checksums of the merged metadata and of every
    /// layer image, every path against the layers' sidecars, and every file's bytes against the checksum that was computed when they were
    /// converted. The blobs of layers that were kept are verified too: their lengths, and with `contents` their digests.
    ///
    /// Blocks on file I/O. Damage is a result and not an error.
    ///
    /// # Errors
    /// [`InspectError::Cache`]. Also any error that is no evidence of damage, such as too many open files or a missing permission.
    pub fn verify(
        &self,
        reference: &Reference,
        platform: &Platform,
        contents: bool,
    ) -> Result<Verification, InspectError> {
        let key = image_key(reference, platform);
        let record = match self.existing()?.read_image::<ImageRecord>(&key) {
            Err(error) if error.is_corrupt() => {
                return Ok(Verification::of_record(error, contents));
            }
            read => read?,
        };
        let record = record.ok_or_else(|| CacheError::NotCached {
            reference: Box::new(reference.clone()),
            platform: Box::new(platform.clone()),
        })?;
        // So that no prune removes a file that is being verified.
        let lease = record.lease(self.store())?;
        let home = home(self.store(), &record)?;
        let image = record.to_result(&home, reference, true, lease);
        let mut found = Verification {
            disk: VerifiedDisk::default(),
            contents,
            damage: Vec::new(),
        };
        found.verify(self.store(), &home, &record, &image)?;
        Ok(found)
    }
}

impl Verification {
    /// Returns the result for an image whose record is damaged.
    fn of_record(error: msb_store::Error, contents: bool) -> Self {
        Self {
            disk: VerifiedDisk::default(),
            contents,
            damage: vec![Damage {
                artifact: ArtifactKind::Record,
                path: error.path().to_path_buf(),
                layer: None,
                files: Vec::new(),
                error: error.into(),
            }],
        }
    }

    /// Returns whether nothing is damaged.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        self.damage.is_empty()
    }

    /// Returns whether a file is missing or has another length.
    #[must_use]
    pub fn is_incomplete(&self) -> bool {
        self.damage.iter().any(|damage| {
            matches!(
                damage.error,
                InspectError::ArtifactLength { .. } | InspectError::ArtifactMissing { .. }
            )
        })
    }

    /// Verifies the image. `home` is the cache that has the disk; the documents are in `store`.
    fn verify(
        &mut self,
        store: &Store,
        home: &Store,
        record: &ImageRecord,
        image: &PullResult,
    ) -> Result<(), InspectError> {
        self.lengths(home, record, image)?;
        self.descriptors(home, record)?;
        let is_readable = self.damage.is_empty();
        self.documents(store, record)?;
        if self.contents {
            self.checksums(record, image)?;
        }
        if is_readable {
            let merge = self.merge(image)?;
            self.disk(home, record, image, merge.as_ref())?;
        }
        if self.contents && self.damage.is_empty() {
            self.hash_tree(home, record)?;
        }
        self.kept_blobs(store, image)
    }

    /// Merges the layers, if contents are verified and the sidecars are whole.
    fn merge(&mut self, image: &PullResult) -> Result<Option<Merge>, InspectError> {
        if !self.contents || !self.damage.iter().all(Damage::keeps_sidecars) {
            return Ok(None);
        }
        match image.merge() {
            Ok(merge) => Ok(Some(merge)),
            Err(error) => {
                self.merge_error(image, error)?;
                Ok(None)
            }
        }
    }

    /// Verifies the lengths, and with contents the digests, of the layers' blobs that were kept. One that is missing was not kept.
    fn kept_blobs(&mut self, store: &Store, image: &PullResult) -> Result<(), InspectError> {
        let mut seen = HashSet::new();
        for layer in &image.layers {
            if !seen.insert(&layer.digest) {
                continue;
            }
            let Some(file) = store.open_layer_blob(&layer.digest)? else {
                continue;
            };
            let path = store.layer_blob_path(&layer.digest);
            if let Err(error) = verify_blob(file, &path, layer, self.contents) {
                self.add(ArtifactKind::LayerBlob, &path, Some(&layer.diff_id), error)?;
            }
        }
        Ok(())
    }

    /// Compares the lengths of all files with the record.
    fn lengths(
        &mut self,
        store: &Store,
        record: &ImageRecord,
        image: &PullResult,
    ) -> Result<(), InspectError> {
        let mut seen = HashSet::new();
        for (layer, artifact) in record.layers.iter().zip(&image.layers) {
            if !seen.insert(&layer.diff_id) {
                continue;
            }
            let (key, diff_id) = (layer_key(&layer.diff_id), Some(&layer.diff_id));
            let (path, file) = (&artifact.erofs, store.open_layer_image(&key)?);
            self.length(
                ArtifactKind::LayerImage,
                path,
                file,
                layer.image_bytes,
                diff_id,
            )?;
            let (path, file) = (sidecar_of(path), store.open_layer_sidecar(&key)?);
            self.length(
                ArtifactKind::Sidecar,
                &path,
                file,
                layer.sidecar_bytes,
                diff_id,
            )?;
        }
        let file = store.open_fsmeta(record.disk.key())?;
        self.length(
            ArtifactKind::Fsmeta,
            &image.fsmeta,
            file,
            record.fsmeta_bytes,
            None,
        )?;
        if let Some(verity) = &image.verity
            && verity.data_blocks > 1
        {
            let file = store.open_tree(record.disk.key())?;
            let path = store.tree_path(record.disk.key());
            let expected = msb_verity::tree_bytes(verity.data_blocks);
            self.length(ArtifactKind::HashTree, &path, file, expected, None)?;
        }
        Ok(())
    }

    fn length(
        &mut self,
        artifact: ArtifactKind,
        path: &Path,
        file: Option<File>,
        expected: u64,
        layer: Option<&Digest>,
    ) -> Result<(), InspectError> {
        let path_of = path.to_path_buf();
        let error = match file.map(|file| file.metadata()) {
            Some(Ok(metadata)) if metadata.len() == expected => return Ok(()),
            Some(Ok(metadata)) => InspectError::ArtifactLength {
                path: path_of,
                expected,
                actual: metadata.len(),
            },
            Some(Err(source)) => InspectError::Read {
                path: path_of,
                source,
            },
            None => InspectError::ArtifactMissing { path: path_of },
        };
        self.add(artifact, path, layer, error)
    }

    /// Compares the descriptors with those that would be written now.
    fn descriptors(&mut self, store: &Store, record: &ImageRecord) -> Result<(), InspectError> {
        let (disk, layout) = (&record.disk, record.layout());
        let key = disk.key();
        let text = |layout: ImageLayout| layout.descriptor(record.fsmeta_bytes).ok();
        let expected = layout.clone().and_then(text).unwrap_or_default();
        let actual = store.read_vmdk(key, expected.len() as u64);
        self.descriptor(store.vmdk_path(key), &expected, actual)?;
        if record.verity_root.is_none() {
            return Ok(());
        }
        let layout = layout.map(|layout| disk.with_hash_tree(layout));
        let expected = layout.and_then(text).unwrap_or_default();
        let actual = store.read_verity_vmdk(key, expected.len() as u64);
        self.descriptor(store.verity_vmdk_path(key), &expected, actual)
    }

    fn descriptor(
        &mut self,
        path: PathBuf,
        expected: &str,
        actual: Result<Option<Vec<u8>>, msb_store::Error>,
    ) -> Result<(), InspectError> {
        let text = match actual {
            Ok(text) => text,
            // It is longer than it was.
            Err(msb_store::Error::TooLarge { .. }) => Some(Vec::new()),
            Err(error) => return Err(error.into()),
        };
        let error = match text {
            Some(text) if text == expected.as_bytes() => return Ok(()),
            Some(_) => InspectError::Rewritten { path: path.clone() },
            None => InspectError::ArtifactMissing { path: path.clone() },
        };
        self.add(ArtifactKind::Descriptor, &path, None, error)
    }

    /// Hashes the whole disk and compares it with the hash tree and the root hash of the record.
    fn hash_tree(&mut self, store: &Store, record: &ImageRecord) -> Result<(), InspectError> {
        let (Some(expected), Some(layout)) = (record.verity_root, record.layout()) else {
            return Ok(());
        };
        let disk = &record.disk;
        let path = store.tree_path(disk.key());
        let found = hash_tree::verify(disk, &layout, store, record.fsmeta_bytes, expected);
        let error = match found.map_err(|error| error.into_cache(store, disk.key()))? {
            None => return Ok(()),
            Some(TreeFault::RootHash(actual)) => InspectError::RootHash {
                path: path.clone(),
                expected: Box::new(expected),
                actual: Box::new(actual),
            },
            Some(TreeFault::Changed) => InspectError::HashTree { path: path.clone() },
        };
        self.add(ArtifactKind::HashTree, &path, None, error)
    }

    /// Compares the digests of manifest and config.
    fn documents(&mut self, store: &Store, record: &ImageRecord) -> Result<(), InspectError> {
        let documents = [
            (ArtifactKind::Manifest, &record.manifest_digest),
            (ArtifactKind::Config, &record.config_digest),
        ];
        for (artifact, digest) in documents {
            let path = store.blob_path(digest);
            let error = match store.verify_blob(digest, lookup::MAX_DOCUMENT_BYTES) {
                Ok(Some(true)) => continue,
                Ok(None) => InspectError::ArtifactMissing { path: path.clone() },
                Ok(Some(false)) | Err(msb_store::Error::TooLarge { .. }) => InspectError::Digest {
                    path: path.clone(),
                    expected: *digest,
                },
                Err(error) => return Err(error.into()),
            };
            self.add(artifact, &path, None, error)?;
        }
        Ok(())
    }

    /// Compares the checksums of the merged metadata and of the layer images, also of the parts that no guest reads.
    fn checksums(&mut self, record: &ImageRecord, image: &PullResult) -> Result<(), InspectError> {
        if let Some(crc32c) = record.fsmeta_crc32c
            && !self.is_damaged(&image.fsmeta)
        {
            let expected = FileChecksum {
                bytes: record.fsmeta_bytes,
                crc32c,
            };
            if let Err(error) = verify_file(&image.fsmeta, expected) {
                self.add(ArtifactKind::Fsmeta, &image.fsmeta, None, error)?;
            }
        }
        let mut seen = HashSet::new();
        for layer in &image.layers {
            if !seen.insert(&layer.diff_id)
                || self.is_damaged(&layer.erofs)
                || self.is_damaged(&sidecar_of(&layer.erofs))
            {
                continue;
            }
            if let Err(error) = verify_checksum(&layer.erofs) {
                let (artifact, path) = match &error {
                    InspectError::Cache(CacheError::Sidecar { path, .. }) => {
                        (ArtifactKind::Sidecar, path.clone())
                    }
                    _ => (ArtifactKind::LayerImage, layer.erofs.clone()),
                };
                self.add(artifact, &path, Some(&layer.diff_id), error)?;
            }
        }
        Ok(())
    }

    /// Reads the disk through its descriptor.
    fn disk(
        &mut self,
        store: &Store,
        record: &ImageRecord,
        image: &PullResult,
        merge: Option<&Merge>,
    ) -> Result<(), InspectError> {
        let verifier = DiskVerifier::new(store.vmdk_path(record.disk.key()), open_file);
        let result = match merge {
            Some(merge) => verifier.find_damaged_files(merge.tree()),
            None => verifier.verify_structure().map(|disk| (disk, Vec::new())),
        };
        match result {
            Ok((disk, damaged)) => {
                self.disk = disk;
                damaged
                    .into_iter()
                    .try_for_each(|error| self.damaged_file(image, error))
            }
            Err(error) => self.verify_error(image, error),
        }
    }

    /// Records a damaged file with the layer that holds its bytes.
    fn damaged_file(&mut self, image: &PullResult, error: VerifyError) -> Result<(), InspectError> {
        let VerifyError::Contents { path, device, .. } = &error else {
            return self.verify_error(image, error);
        };
        let file = format!("/{}", show_path(path));
        let holder = holder(image, *device).to_owned();
        if let Some(known) = self.damage.iter_mut().find(|damage| damage.path == holder) {
            known.files.push(file);
            return Ok(());
        }
        self.verify_error(image, error)?;
        if let Some(new) = self.damage.last_mut() {
            new.files.push(file);
        }
        Ok(())
    }

    fn verify_error(&mut self, image: &PullResult, error: VerifyError) -> Result<(), InspectError> {
        let path = match &error {
            VerifyError::Read { path, .. }
            | VerifyError::Vmdk { path, .. }
            | VerifyError::Length { path, .. }
            | VerifyError::Blocks { path, .. } => path.clone(),
            VerifyError::Contents { device, .. } => holder(image, *device).to_owned(),
            // All of the disk's structure is in its first file.
            _ => image.fsmeta.clone(),
        };
        let layer = image.layers.iter().find(|layer| layer.erofs == path);
        let artifact = match layer {
            Some(_) => ArtifactKind::LayerImage,
            None if path.extension().is_some_and(|name| name == "vmdk") => ArtifactKind::Descriptor,
            None => ArtifactKind::Fsmeta,
        };
        let layer = layer.map(|layer| layer.diff_id);
        let error = InspectError::Verify {
            reference: Box::new(image.reference.clone()),
            source: error,
        };
        self.add(artifact, &path, layer.as_ref(), error)
    }

    /// Records the sidecar that could not be replayed.
    fn merge_error(&mut self, image: &PullResult, error: InspectError) -> Result<(), InspectError> {
        let path = match &error {
            InspectError::Cache(CacheError::Sidecar { path, .. }) => path.clone(),
            InspectError::Stitch { source, .. } => match source.device() {
                Some(device) => sidecar_of(holder(image, Some(device))),
                None => image.fsmeta.clone(),
            },
            _ => image.fsmeta.clone(),
        };
        let mut layers = image.layers.iter();
        let layer = layers.find(|layer| sidecar_of(&layer.erofs) == path);
        let layer = layer.map(|layer| layer.diff_id);
        self.add(ArtifactKind::Sidecar, &path, layer.as_ref(), error)
    }

    fn is_damaged(&self, path: &Path) -> bool {
        self.damage.iter().any(|damage| damage.path == path)
    }

    /// Records damage, once for each file: the first error counts.
    fn add(
        &mut self,
        artifact: ArtifactKind,
        path: &Path,
        layer: Option<&Digest>,
        error: InspectError,
    ) -> Result<(), InspectError> {
        if is_of_machine(&error) {
            return Err(error);
        }
        if self.is_damaged(path) {
            return Ok(());
        }
        self.damage.push(Damage {
            artifact,
            path: path.to_path_buf(),
            layer: layer.cloned(),
            files: Vec::new(),
            error,
        });
        Ok(())
    }
}

/// Returns whether a file could not be read for a reason that is no evidence of damage.
fn is_of_machine(error: &InspectError) -> bool {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(error) = cause {
        if let Some(error) = error.downcast_ref::<io::Error>() {
            let is_limit = matches!(
                error.raw_os_error().map(Errno::from_raw_os_error),
                Some(Errno::MFILE | Errno::NFILE | Errno::NOMEM)
            );
            return is_limit || error.kind() == io::ErrorKind::PermissionDenied;
        }
        cause = error.source();
    }
    false
}

impl Damage {
    /// Returns whether the layers can still be merged.
    fn keeps_sidecars(&self) -> bool {
        self.artifact != ArtifactKind::Sidecar
    }
}

impl fmt::Display for ArtifactKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::LayerImage => "layer image",
            Self::Sidecar => "layer sidecar",
            Self::Fsmeta => "merged metadata",
            Self::Descriptor => "disk descriptor",
            Self::HashTree => "hash tree",
            Self::LayerBlob => "blob of a layer",
            Self::Manifest => "manifest",
            Self::Config => "config",
            Self::Record => "image record",
        })
    }
}

/// Returns the file of the disk that holds the data of a device; `None` is fsmeta.
fn holder(image: &PullResult, device: Option<DeviceId>) -> &Path {
    // The first extent is fsmeta.
    let place = device.map_or(0, |device| usize::from(device.get()));
    let extent = image.extents.get(place);
    extent.map_or(&image.fsmeta, |extent| &extent.path)
}

fn sidecar_of(image: &Path) -> PathBuf {
    image.with_extension("layer")
}
