use std::collections::HashSet;
use std::fs::File;
use std::path::Path;

use msb_oci::Digest;
use msb_store::Store;

use super::contents::sidecar_of;
use super::{ArtifactKind, Verification};
use crate::PullResult;
use crate::cache::keys::layer_key;
use crate::cache::lookup;
use crate::cache::record::ImageRecord;
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

    /// Compares the descriptor with the one that would be written now.
    pub(super) fn descriptor(
        &mut self,
        store: &Store,
        record: &ImageRecord,
        image: &PullResult,
    ) -> Result<(), InspectError> {
        let layout = record.layout();
        let expected = layout.and_then(|layout| layout.descriptor(record.fsmeta_bytes).ok());
        let expected = expected.unwrap_or_default();
        let text = match store.read_vmdk(record.disk.key(), expected.len() as u64) {
            Ok(text) => text,
            // It is longer than it was.
            Err(msb_store::Error::TooLarge { .. }) => Some(Vec::new()),
            Err(error) => return Err(error.into()),
        };
        let path = image.vmdk.clone();
        let error = match text {
            Some(text) if text == expected.as_bytes() => return Ok(()),
            Some(_) => InspectError::Rewritten { path },
            None => InspectError::ArtifactMissing { path },
        };
        self.add(ArtifactKind::Descriptor, &image.vmdk, None, error)
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
