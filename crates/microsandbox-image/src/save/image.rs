use msb_oci::{Digest, Manifest, Reference, media_type};
use msb_store::Store;

use super::SaveError;
use super::blob::LayerBlob;
use crate::PullResult;
use crate::cache::lookup;

/// An image whose documents are verified, and whose layers have their blobs in the cache.
#[derive(Debug)]
pub(super) struct SavedImage<'a> {
    pub(super) result: &'a PullResult,
    /// The name in the archive; `None` for an image that was pulled by its digest alone.
    pub(super) name: Option<Reference>,
    pub(super) manifest: Vec<u8>,
    pub(super) manifest_type: String,
    pub(super) config_digest: Digest,
    pub(super) config: Vec<u8>,
    /// Bottom to top.
    pub(super) layers: Vec<LayerBlob>,
}

impl<'a> SavedImage<'a> {
    /// Reads the documents of an image, and checks that no blob is missing. Blocks on file I/O.
    pub(super) fn open(store: &Store, result: &'a PullResult) -> Result<Self, SaveError> {
        if let Some(error) = lookup::missing_blob(store, result)? {
            return Err(error.into());
        }
        let reference = || Box::new(result.reference.clone());
        let manifest = document(store, result, result.manifest_digest)?;
        let parsed = Manifest::parse(&manifest).map_err(|source| SaveError::Manifest {
            reference: reference(),
            source,
        })?;
        let digests = parsed.layers.iter().map(|layer| layer.digest);
        if !digests.eq(result.layers.iter().map(|layer| layer.digest)) {
            return Err(SaveError::OtherLayers {
                reference: reference(),
            });
        }
        let layers = result.layers.iter().map(|layer| LayerBlob {
            path: store.layer_blob_path(&layer.digest),
            digest: layer.digest,
            diff_id: layer.diff_id,
            bytes: layer.size,
        });
        Ok(Self {
            name: name(&result.reference),
            config_digest: parsed.config.digest,
            config: document(store, result, parsed.config.digest)?,
            // Docker's manifests always state their type.
            manifest_type: parsed
                .media_type
                .unwrap_or_else(|| media_type::OCI_MANIFEST.to_owned()),
            layers: layers.collect(),
            manifest,
            result,
        })
    }
}

/// Returns the tag of an image in full. The digest of an index would name something that is not in the archive.
fn name(reference: &Reference) -> Option<Reference> {
    reference.with_tag(reference.tag()?).ok()
}

fn document(store: &Store, image: &PullResult, digest: Digest) -> Result<Vec<u8>, SaveError> {
    let bytes = lookup::document(store, &digest).map_err(SaveError::Cache)?;
    bytes.ok_or_else(|| SaveError::NoDocument {
        reference: Box::new(image.reference.clone()),
        digest,
    })
}
