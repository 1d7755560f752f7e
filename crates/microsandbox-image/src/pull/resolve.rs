mod published;
mod search;

use bytes::Bytes;
use erofs_format::MAX_EXTRA_DEVICES;
use msb_oci::{Descriptor, Digest, Reference};
use msb_platform::Platform;
use msb_sidecar::Note;

use super::blocking::blocking;
use super::layer::LayerSource;
use crate::cache::lookup;
use crate::engine::Engine;
use crate::published::parse::PublishedLayer;
use crate::source::{Document, ImageSource};
use crate::{AnnouncedProblem, ImageConfig, ManifestProblem, PullError, SourceForm};

/// The image that a reference was resolved to.
#[derive(Debug)]
pub(super) struct Resolved {
    pub(super) manifest_digest: Digest,
    pub(super) config_digest: Digest,
    /// The image's own platform, from its config.
    pub(super) platform: Platform,
    pub(super) config: ImageConfig,
    /// Bottom to top.
    pub(super) layers: Vec<LayerSource>,
    /// The sum of the layers' sizes in bytes.
    pub(super) total_bytes: u64,
    /// Notes on what the documents lack.
    pub(super) notes: Vec<Note>,
    /// The exact bytes of manifest and config, for [`keep`].
    documents: Vec<(Digest, Bytes)>,
    /// The EROFS layers, if they are used: one for each of `layers`.
    pub(super) published: Option<PublishedImage>,
}

/// The EROFS form of an image.
#[derive(Debug)]
pub(super) struct PublishedImage {
    pub(super) layers: Vec<PublishedLayer>,
    /// Whether the original layers must not be used in their place.
    pub(super) is_required: bool,
}

/// Resolves a reference to the manifest and the config of one image that fits the platform.
///
/// A document that another document names by its digest comes from the cache if it is there. The reference itself never does, even
/// with a digest, since a registry decides who may have it.
pub(super) async fn resolve(
    engine: &Engine,
    source: &dyn ImageSource,
    reference: &Reference,
    from: SourceForm,
) -> Result<Resolved, PullError> {
    let root = source.root().await?;
    let index = (from != SourceForm::Tar).then(|| root.clone());
    let mut resolved = resolve_root(engine, source, reference, root).await?;
    if let Some(index) = index {
        let wanted = published::Wanted {
            reference,
            original: resolved.manifest_digest,
            layers: &resolved.layers,
        };
        resolved.published = published::find(source, &index, &wanted, from).await?;
    }
    Ok(resolved)
}

/// Resolves like [`resolve`], from the document that the reference names, to the original layers.
pub(super) async fn resolve_root(
    engine: &Engine,
    source: &dyn ImageSource,
    reference: &Reference,
    root: Document,
) -> Result<Resolved, PullError> {
    let image = search::find(engine, source, reference, root).await?;
    let (layers, diff_ids) = (image.manifest.layers.len(), image.config.diff_ids.len());
    let problem = if layers != diff_ids {
        Some(ManifestProblem::LayerCount { layers, diff_ids })
    } else if layers > MAX_EXTRA_DEVICES {
        Some(ManifestProblem::TooManyLayers {
            layers,
            limit: MAX_EXTRA_DEVICES,
        })
    } else {
        None
    };
    if let Some(problem) = problem {
        return Err(PullError::Manifest {
            digest: image.document.digest,
            problem,
        });
    }
    let config_digest = image.manifest.config.digest;
    let layers = image.manifest.layers.into_iter();
    let layers: Vec<LayerSource> = layers
        .zip(image.config.diff_ids)
        .map(|(layer, diff_id)| LayerSource {
            blob: layer.into(),
            diff_id,
        })
        .collect();
    let manifest_digest = image.document.digest;
    Ok(Resolved {
        documents: vec![
            (manifest_digest, image.document.bytes),
            (config_digest, image.config_bytes),
        ],
        manifest_digest,
        config_digest,
        notes: image.notes,
        platform: image.platform,
        config: image.config.image,
        total_bytes: image.manifest.total_bytes,
        layers,
        published: None,
    })
}

/// Returns a manifest or an index from the cache, else from the source.
async fn by_digest(
    engine: &Engine,
    source: &dyn ImageSource,
    digest: &Digest,
) -> Result<Document, PullError> {
    if let Some(bytes) = cached(engine, digest).await?
        && let Some(document) = Document::from_verified(bytes.into(), *digest)
    {
        return Ok(document);
    }
    source.manifest(*digest).await
}

/// Returns a config from the cache, else from the source, with the size that its descriptor states.
async fn fetch_config(
    engine: &Engine,
    source: &dyn ImageSource,
    config: &Descriptor,
) -> Result<Bytes, PullError> {
    if let Some(bytes) = cached(engine, &config.digest).await? {
        let actual = bytes.len() as u64;
        if actual != config.size {
            return Err(PullError::Announced {
                digest: config.digest,
                problem: AnnouncedProblem::Size {
                    expected: config.size,
                    actual,
                },
            });
        }
        return Ok(bytes.into());
    }
    source.config(config).await
}

async fn cached(engine: &Engine, digest: &Digest) -> Result<Option<Vec<u8>>, PullError> {
    let (store, digest) = (engine.cache.store().clone(), *digest);
    blocking(move || Ok(lookup::document(&store, &digest)?)).await
}

/// Writes the bytes of manifest and config into the cache.
pub(super) async fn keep(engine: &Engine, resolved: &Resolved) -> Result<(), PullError> {
    let (store, documents) = (engine.cache.store().clone(), resolved.documents.clone());
    blocking(move || {
        for (digest, bytes) in documents {
            store.write_blob(&digest, &bytes)?;
        }
        Ok(())
    })
    .await
}
