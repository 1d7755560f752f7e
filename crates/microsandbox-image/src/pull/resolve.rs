use bytes::Bytes;
use erofs_format::MAX_EXTRA_DEVICES;
use msb_oci::{Digest, Reference};
use msb_platform::Index;
use msb_registry::Document;

use super::blocking::blocking;
use super::layer::LayerSource;
use crate::document::{self, Blob};
use crate::registry::Inner;
use crate::{ImageConfig, ManifestProblem, PullError, config};

/// How many indexes may lie inside one another.
const MAX_INDEX_DEPTH: usize = 4;

/// How large a cached manifest may be; what the client fetched is bounded by its own limits.
const MAX_DOCUMENT_BYTES: u64 = 16 << 20;

/// What a reference stands for.
#[derive(Debug)]
pub(super) struct Resolved {
    pub(super) manifest_digest: Digest,
    pub(super) config_digest: Digest,
    pub(super) config: ImageConfig,
    /// Bottom to top.
    pub(super) layers: Vec<LayerSource>,
    /// Manifest and config as they came, for [`keep`].
    documents: Vec<(Digest, Bytes)>,
}

/// Asks the registry what the reference is, follows indexes to the platform's manifest, and reads its config. What an answer of the
/// registry names by a digest comes from the cache where it has it; the reference itself never does, even with a digest, since the
/// registry decides who may have it.
pub(super) async fn resolve(
    registry: &Inner,
    reference: &Reference,
) -> Result<Resolved, PullError> {
    let root = registry.client.manifest(reference).await?;
    let manifest = choose(registry, reference, root).await?;
    let parsed = document::parse(&manifest.digest, &manifest.bytes)?;
    let config = fetch_config(registry, reference, &parsed.config).await?;
    let parsed_config = config::parse(&config).map_err(|source| PullError::Config {
        digest: parsed.config.digest.clone(),
        source,
    })?;

    let (layers, diff_ids) = (parsed.layers.len(), parsed_config.diff_ids.len());
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
            digest: manifest.digest,
            problem,
        });
    }
    Ok(Resolved {
        documents: vec![
            (manifest.digest.clone(), manifest.bytes),
            (parsed.config.digest.clone(), config),
        ],
        manifest_digest: manifest.digest,
        config_digest: parsed.config.digest,
        config: parsed_config.config,
        layers: parsed
            .layers
            .into_iter()
            .zip(parsed_config.diff_ids)
            .map(|(blob, diff_id)| LayerSource { blob, diff_id })
            .collect(),
    })
}

/// The manifest for the platform: the document itself, or what its index leads to.
async fn choose(
    registry: &Inner,
    reference: &Reference,
    root: Document,
) -> Result<Document, PullError> {
    let mut document = root;
    for _ in 0..MAX_INDEX_DEPTH {
        if !document.is_index() {
            return Ok(document);
        }
        let platform_error = |source| PullError::Platform {
            reference: Box::new(reference.clone()),
            source,
        };
        let index = Index::parse(&document.bytes).map_err(platform_error)?;
        let candidates = index
            .candidates(&registry.platform)
            .map_err(platform_error)?;
        // OK because there is always one; the best comes first.
        let Some(best) = candidates.first() else {
            return Err(PullError::Worker);
        };
        document = by_digest(registry, reference, best.digest()).await?;
    }
    if document.is_index() {
        return Err(PullError::IndexDepth {
            reference: Box::new(reference.clone()),
            limit: MAX_INDEX_DEPTH,
        });
    }
    Ok(document)
}

/// A manifest or index from the cache, else from the registry.
async fn by_digest(
    registry: &Inner,
    reference: &Reference,
    digest: &Digest,
) -> Result<Document, PullError> {
    if let Some(bytes) = cached(registry, digest).await?
        && let Some(document) = Document::from_verified(bytes.into(), digest.clone())
    {
        return Ok(document);
    }
    Ok(registry
        .client
        .manifest(&reference.with_digest(digest.clone()))
        .await?)
}

async fn fetch_config(
    registry: &Inner,
    reference: &Reference,
    config: &Blob,
) -> Result<Bytes, PullError> {
    if let Some(bytes) = cached(registry, &config.digest).await? {
        return Ok(bytes.into());
    }
    let fetched = registry
        .client
        .config(reference, &config.digest, config.bytes);
    Ok(fetched.await?.bytes)
}

async fn cached(registry: &Inner, digest: &Digest) -> Result<Option<Vec<u8>>, PullError> {
    let (store, digest) = (registry.cache.store().clone(), digest.clone());
    blocking(move || match store.read_blob(&digest, MAX_DOCUMENT_BYTES) {
        // Its caller's limits are higher than this one: then it is fetched again.
        Err(msb_store::Error::TooLarge { .. }) => Ok(None),
        read => Ok(read?),
    })
    .await
}

/// Puts the raw bytes of manifest and config into the cache.
pub(super) async fn keep(registry: &Inner, resolved: &Resolved) -> Result<(), PullError> {
    let (store, documents) = (registry.cache.store().clone(), resolved.documents.clone());
    blocking(move || {
        for (digest, bytes) in documents {
            store.write_blob(&digest, &bytes)?;
        }
        Ok(())
    })
    .await
}
