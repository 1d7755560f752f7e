use msb_oci::{Digest, Reference};
use msb_store::LayerKey;

use super::blocking::blocking;
use super::from_cache::{Lost, rebuild_disk};
use super::layers::Rebuild;
use super::{Extras, Wanted, complete};
use crate::cache::keys::{image_key, layer_key};
use crate::cache::lookup;
use crate::cache::record::ImageRecord;
use crate::engine::Engine;
use crate::inspect::{ArtifactKind, Verification};
use crate::progress::Progress;
use crate::source::{Document, ImageSource, PinnedSource};
use crate::{CacheError, InspectError, PullError};

/// The result of a repair.
#[derive(Debug)]
#[non_exhaustive]
pub struct Repair {
    /// What was damaged before.
    pub found: Verification,
    /// The layers that were downloaded and converted again, by their diff_ids.
    pub layers: Vec<Digest>,
    /// What is damaged now; `None` if nothing was damaged before.
    pub remaining: Option<Verification>,
}

/// Reports why a repair failed.
#[derive(Debug, thiserror::Error)]
pub enum RepairError {
    /// The image cannot be verified.
    #[error(transparent)]
    Inspect(#[from] InspectError),
    /// A damaged part cannot be rebuilt.
    #[error(transparent)]
    Pull(#[from] PullError),
}

impl Repair {
    /// Returns whether nothing is damaged now.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        self.remaining.as_ref().unwrap_or(&self.found).is_sound()
    }
}

/// Verifies an image with all its contents, and rebuilds what is damaged: merged metadata and descriptor from the sidecars of the layers,
/// layers and documents from the source, by their digests.
pub(crate) async fn repair(
    engine: &Engine,
    source: &dyn ImageSource,
    reference: &Reference,
    progress: &Progress,
) -> Result<Repair, RepairError> {
    let mut found = verify(engine, reference).await?;
    let mut layers = Vec::new();
    if found.is_sound() {
        return Ok(Repair {
            found,
            layers,
            remaining: None,
        });
    }
    let mut remaining = None;
    if has(&found, |artifact| artifact == ArtifactKind::Record) {
        // Nothing else names the image's manifest, so that the reference is resolved again.
        let nothing = Rebuild::new(false);
        complete(
            engine,
            source,
            reference,
            Wanted::original(nothing, Extras::default()),
            progress,
        )
        .await?;
        let mut rest = verify(engine, reference).await?;
        if !rest.is_sound() {
            layers = rebuild(engine, source, reference, &rest, progress).await?;
        }
        found.damage.append(&mut rest.damage);
    } else {
        layers = rebuild(engine, source, reference, &found, progress).await?;
    }
    remaining.replace(verify(engine, reference).await?);
    Ok(Repair {
        found,
        layers,
        remaining,
    })
}

/// Builds what is damaged again. Returns the layers that were downloaded.
async fn rebuild(
    engine: &Engine,
    source: &dyn ImageSource,
    reference: &Reference,
    found: &Verification,
    progress: &Progress,
) -> Result<Vec<Digest>, PullError> {
    let mut layers: Vec<Digest> = found.damage.iter().filter_map(|d| d.layer).collect();
    layers.sort();
    layers.dedup();
    let is_of_disk = |artifact| {
        matches!(
            artifact,
            ArtifactKind::Fsmeta | ArtifactKind::Descriptor | ArtifactKind::HashTree
        )
    };
    let is_disk_damaged = has(found, is_of_disk);
    let record = record(engine, reference).await?;
    if layers.is_empty() && found.damage.iter().all(|d| is_of_disk(d.artifact)) {
        let rebuilt = rebuild_disk(engine, reference, record.clone(), Lost::Bytes, progress).await;
        match rebuilt {
            Ok(Some(_)) => return Ok(layers),
            Ok(None) => {}
            Err(error) => {
                tracing::warn!(%reference, %error, "the disk cannot be rebuilt from the cache");
            }
        }
    }
    let manifest = {
        let (store, digest) = (engine.cache.store().clone(), record.manifest_digest);
        blocking(move || Ok(lookup::document(&store, &digest)?)).await?
    };
    let manifest =
        manifest.and_then(|bytes| Document::from_verified(bytes.into(), record.manifest_digest));
    let source = PinnedSource::new(source, record.manifest_digest, manifest);
    let keys: Vec<LayerKey> = layers.iter().map(layer_key).collect();
    let rebuild = Rebuild::damaged(keys, is_disk_damaged);
    let extras = Extras {
        keep_blobs: has(found, |artifact| artifact == ArtifactKind::LayerBlob),
        verity: record.verity_root.is_some(),
    };
    let wanted = Wanted::original(rebuild, extras);
    complete(engine, &source, reference, wanted, progress).await?;
    Ok(layers)
}

fn has(found: &Verification, is_kind: impl Fn(ArtifactKind) -> bool) -> bool {
    found.damage.iter().any(|damage| is_kind(damage.artifact))
}

async fn verify(engine: &Engine, reference: &Reference) -> Result<Verification, RepairError> {
    let (cache, platform) = (engine.cache.clone(), engine.platform.clone());
    let reference = reference.clone();
    let verified =
        blocking(move || Ok::<_, PullError>(cache.verify(&reference, &platform, true))).await?;
    Ok(verified?)
}

async fn record(engine: &Engine, reference: &Reference) -> Result<ImageRecord, PullError> {
    let key = image_key(reference, &engine.platform);
    let store = engine.cache.store().clone();
    let record = blocking(move || Ok(store.read_image::<ImageRecord>(&key)?)).await?;
    // Another process may have removed it.
    record.ok_or_else(|| {
        CacheError::NotCached {
            reference: Box::new(reference.clone()),
            platform: Box::new(engine.platform.clone()),
        }
        .into()
    })
}
