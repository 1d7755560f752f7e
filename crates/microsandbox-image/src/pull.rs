//! One pull, top to bottom.

mod blocking;
mod layer;
mod part;
mod resolve;

use futures_util::future::try_join;
use futures_util::stream::{FuturesUnordered, TryStreamExt};
use msb_layer::LayerError;
use msb_oci::Reference;
use msb_store::LayerKey;

use crate::disk::{BuildError, DiskPlan};
use crate::progress::Progress;
use crate::record::{ImageRecord, LayerRecord, image_key, layer_key};
use crate::registry::Inner;
use crate::{PullError, PullOptions, PullPolicy, PullProgress, PullResult, cached};
use blocking::blocking;
use layer::{LayerSource, ReadyLayer, fetch_layer};
use resolve::{Resolved, keep, resolve};

/// How often a pull makes a layer again whose cached files turn out to be damaged.
const REPAIRS: usize = 2;

/// Pulls an image, and says at the end of `progress` how it went.
pub(crate) async fn pull(
    registry: &Inner,
    reference: &Reference,
    options: &PullOptions,
    progress: &Progress,
) -> Result<PullResult, PullError> {
    let result = run(registry, reference, options, progress).await;
    progress.send(match &result {
        Ok(result) => PullProgress::Complete {
            manifest_digest: result.manifest_digest.clone(),
            cached: result.cached,
        },
        Err(error) => PullProgress::Failed {
            error: error.to_string(),
        },
    });
    result
}

async fn run(
    registry: &Inner,
    reference: &Reference,
    options: &PullOptions,
    progress: &Progress,
) -> Result<PullResult, PullError> {
    progress.send(PullProgress::Resolving {
        reference: reference.to_string(),
    });
    if let Some(result) = from_cache(registry, reference, options).await? {
        return strictly(result, options);
    }
    let resolved = resolve(registry, reference).await?;
    progress.send(PullProgress::Resolved {
        manifest_digest: resolved.manifest_digest.clone(),
        layer_count: resolved.layers.len(),
        total_bytes: resolved.layers.iter().map(|layer| layer.blob.bytes).sum(),
    });
    // Before anything is looked for, so that no prune removes what this pull finds.
    let lease_plan = DiskPlan::new(resolved.layers.iter().map(|layer| (&layer.diff_id, 0)));
    let store = registry.cache.store().clone();
    let _lease = blocking(move || {
        let layers: Vec<LayerKey> = lease_plan
            .slots()
            .iter()
            .map(|slot| slot.layer.clone())
            .collect();
        Ok(store.lease(lease_plan.key(), &layers)?)
    })
    .await?;

    let mut anew: Vec<LayerKey> = Vec::new();
    let mut everything_anew = options.force;
    for _ in 0..=REPAIRS {
        let layers = fetch_layers(
            registry,
            reference,
            &resolved,
            everything_anew,
            &anew,
            progress,
        );
        // Beside the layers, because it waits for the disk. What is kept already costs a look at it.
        let (layers, ()) = try_join(layers, keep(registry, &resolved)).await?;
        let all_cached = layers.iter().all(|layer| layer.was_cached);
        match finish(
            registry,
            reference,
            &resolved,
            layers,
            options.force,
            progress,
        )
        .await?
        {
            Finished::Done {
                record,
                disk_was_cached,
            } => {
                let cached = all_cached && disk_was_cached && !options.force;
                let result = record.to_result(registry.cache.store(), reference, cached);
                return strictly(result, options);
            }
            Finished::DamagedLayer(layer) => {
                tracing::warn!(diff_id = %layer.diff_id, "a cached layer is damaged; it is made anew");
                // What this pull itself has just made is not made again on the account of another layer.
                everything_anew = false;
                anew.push(layer);
            }
        }
    }
    Err(PullError::Worker)
}

/// The answer that needs nobody but the cache, where the policy allows one.
async fn from_cache(
    registry: &Inner,
    reference: &Reference,
    options: &PullOptions,
) -> Result<Option<PullResult>, PullError> {
    let is_final = options.pull_policy == PullPolicy::Never;
    if options.pull_policy == PullPolicy::Always || (options.force && !is_final) {
        return Ok(None);
    }
    let (store, platform) = (registry.cache.store().clone(), registry.platform.clone());
    let found = {
        let reference = reference.clone();
        blocking(move || cached::find(&store, &reference, &platform)).await?
    };
    if found.is_none() && is_final {
        let (reference, platform) = (
            Box::new(reference.clone()),
            Box::new(registry.platform.clone()),
        );
        return Err(PullError::NotCached {
            reference,
            platform,
        });
    }
    Ok(found)
}

/// Gets every layer that the cache lacks, side by side, the largest first; gives them in the image's order.
async fn fetch_layers(
    registry: &Inner,
    reference: &Reference,
    resolved: &Resolved,
    everything_anew: bool,
    anew: &[LayerKey],
    progress: &Progress,
) -> Result<Vec<ReadyLayer>, PullError> {
    // A layer that comes twice is fetched once; two fetches would wait for each other's lock.
    let mut unique: Vec<(usize, &LayerSource)> = Vec::new();
    for (index, layer) in resolved.layers.iter().enumerate() {
        if !unique
            .iter()
            .any(|(_, other)| other.diff_id == layer.diff_id)
        {
            unique.push((index, layer));
        }
    }
    unique.sort_by_key(|(index, layer)| (std::cmp::Reverse(layer.blob.bytes), *index));
    let fetches: FuturesUnordered<_> = unique
        .into_iter()
        .map(|(index, layer)| async move {
            let is_anew = everything_anew || anew.contains(&layer_key(&layer.diff_id));
            let ready = fetch_layer(registry, reference, index, layer, is_anew, progress).await?;
            Ok::<_, PullError>((layer.diff_id.clone(), ready))
        })
        .collect();
    let ready: Vec<_> = fetches.try_collect().await?;
    let find = |layer: &LayerSource| ready.iter().find(|(diff_id, _)| *diff_id == layer.diff_id);
    // OK because every diff_id was fetched.
    resolved
        .layers
        .iter()
        .map(|layer| {
            find(layer)
                .map(|(_, ready)| ready.clone())
                .ok_or(PullError::Worker)
        })
        .collect()
}

enum Finished {
    Done {
        record: Box<ImageRecord>,
        disk_was_cached: bool,
    },
    DamagedLayer(LayerKey),
}

/// Joins the layers into a disk, unless the cache has it, and publishes the image's record.
async fn finish(
    registry: &Inner,
    reference: &Reference,
    resolved: &Resolved,
    layers: Vec<ReadyLayer>,
    anew: bool,
    progress: &Progress,
) -> Result<Finished, PullError> {
    let store = registry.cache.store();
    let plan = DiskPlan::new(
        resolved
            .layers
            .iter()
            .zip(&layers)
            .map(|(source, layer)| (&source.diff_id, layer.image_bytes)),
    );
    let _lock = store.lock_disk(plan.key()).await?;
    let cached_bytes = if anew {
        None
    } else {
        let (store, plan) = (store.clone(), plan.clone());
        blocking(move || {
            let Some(bytes) = plan.cached_fsmeta_bytes(&store) else {
                return Ok(None);
            };
            Ok(plan.is_whole(&store, bytes)?.then_some(bytes))
        })
        .await?
    };
    let fsmeta_bytes = match cached_bytes {
        Some(bytes) => bytes,
        None => {
            progress.send(PullProgress::Merging);
            let built = {
                let (store, plan) = (store.clone(), plan.clone());
                blocking(move || Ok(plan.build(&store))).await?
            };
            match built {
                Ok(bytes) => {
                    progress.send(PullProgress::FsmetaWritten { bytes });
                    progress.send(PullProgress::VmdkWritten);
                    bytes
                }
                Err(BuildError::DamagedLayer(layer)) => return Ok(Finished::DamagedLayer(layer)),
                Err(BuildError::Store(error)) => return Err(error.into()),
                Err(BuildError::Panicked) => return Err(PullError::Worker),
                Err(BuildError::Proof(source)) => {
                    return Err(PullError::Proof {
                        reference: Box::new(reference.clone()),
                        source,
                    });
                }
                Err(BuildError::Stitch(source)) => {
                    return Err(PullError::Stitch {
                        reference: Box::new(reference.clone()),
                        source,
                    });
                }
            }
        }
    };
    let record = Box::new(ImageRecord {
        manifest_digest: resolved.manifest_digest.clone(),
        config_digest: resolved.config_digest.clone(),
        platform: registry.platform.clone(),
        config: resolved.config.clone(),
        layers: resolved
            .layers
            .iter()
            .zip(&layers)
            .map(|(source, layer)| LayerRecord {
                diff_id: source.diff_id.clone(),
                digest: source.blob.digest.clone(),
                media_type: source.blob.media_type.clone(),
                size: source.blob.bytes,
                image_bytes: layer.image_bytes,
                sidecar_bytes: layer.sidecar_bytes,
            })
            .collect(),
        fsmeta_bytes,
        notes: layers.into_iter().flat_map(|layer| layer.notes).collect(),
    });
    let key = image_key(reference, &registry.platform);
    let store = store.clone();
    blocking(move || {
        store.write_image(&key, &*record, &record.references())?;
        Ok(Finished::Done {
            record,
            disk_was_cached: cached_bytes.is_some(),
        })
    })
    .await
}

/// The result, unless it lacks something and the caller wants that to be an error.
fn strictly(result: PullResult, options: &PullOptions) -> Result<PullResult, PullError> {
    match result
        .notes
        .iter()
        .find(|note| options.strict && note.is_loss())
    {
        Some(note) => Err(PullError::NotExact {
            reference: Box::new(result.reference.clone()),
            note: Box::new(note.clone()),
        }),
        None => Ok(result),
    }
}

/// A layer's error, with the layer's name.
fn layer_error(reference: &Reference, layer: &LayerSource, source: LayerError) -> PullError {
    PullError::Layer {
        digest: layer.blob.digest.clone(),
        reference: Box::new(reference.clone()),
        source,
    }
}
