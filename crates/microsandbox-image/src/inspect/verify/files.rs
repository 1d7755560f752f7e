use std::collections::HashSet;
use std::fs::File;
use std::path::{Path, PathBuf};

use msb_oci::Digest;
use msb_store::Store;

use super::contents::sidecar_of;
use super::{ArtifactKind, Verification};
use crate::PullResult;
use crate::cache::keys::layer_key;
use crate::cache::lookup;
use crate::cache::record::ImageRecord;
use crate::disk::ImageLayout;
use crate::inspect::error::InspectError;
use crate::inspect::files::verify_blob;

/// The comparison of files with the record: presence, lengths, texts and digests.
impl Verification {
    /// Compares the lengths of all files with the record.
    pub(super) fn lengths(
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

    pub(super) fn length(
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
    pub(super) fn descriptors(
        &mut self,
        store: &Store,
        record: &ImageRecord,
    ) -> Result<(), InspectError> {
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

    /// Compares the digests of manifest and config.
    pub(super) fn documents(
        &mut self,
        store: &Store,
        record: &ImageRecord,
    ) -> Result<(), InspectError> {
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

    /// Verifies the lengths, and with contents the digests, of the layers' blobs that were kept. One that is missing was not kept.
    pub(super) fn kept_blobs(
        &mut self,
        store: &Store,
        image: &PullResult,
    ) -> Result<(), InspectError> {
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
}
