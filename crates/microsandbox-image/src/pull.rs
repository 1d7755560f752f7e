//! One pull, top to bottom.

mod ahead;
mod blocking;
mod finish;
mod layer;
mod layers;
mod part;
mod resolve;

use futures_util::future::try_join;
use msb_layer::LayerError;
use msb_oci::Reference;
use msb_store::LayerKey;

use crate::disk::DiskPlan;
use crate::progress::Progress;
use crate::registry::Inner;
use crate::{PullError, PullOptions, PullPolicy, PullProgress, PullResult, cached};
use ahead::{LayerStates, merge_ahead};
use blocking::blocking;
use finish::{Finished, finish};
use layer::LayerSource;
use layers::{Anew, fetch_layers};
use resolve::{keep, resolve};

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
    let plan = DiskPlan::new(resolved.layers.iter().map(|layer| (&layer.diff_id, 0)));
    // Before anything is looked for, so that no prune removes what this pull finds.
    let (_lease, has_disk) = {
        let (store, plan) = (registry.cache.store().clone(), plan.clone());
        let layers: Vec<LayerKey> = plan.slots().iter().map(|slot| slot.layer.clone()).collect();
        blocking(move || {
            let lease = store.lease(plan.key(), &layers)?;
            Ok((lease, plan.cached_fsmeta_bytes(&store).is_some()))
        })
        .await?
    };

    let mut anew = Anew::new(options.force);
    for _ in 0..=REPAIRS {
        let states = LayerStates::new(plan.slots().len());
        let merged = (options.force || !has_disk).then(|| {
            let store = registry.cache.store().clone();
            tokio::spawn(merge_ahead(store, plan.clone(), &states))
        });
        let layers = fetch_layers(
            registry, reference, &resolved, &plan, &states, &anew, progress,
        );
        // Beside the layers, because it waits for the disk. What is kept already costs a look at it.
        let (layers, ()) = try_join(layers, keep(registry, &resolved)).await?;
        let all_cached = layers.iter().all(|layer| layer.was_cached);
        match finish(
            registry,
            reference,
            &resolved,
            layers,
            merged.filter(|_| states.are_well()),
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
                anew.only(layer);
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
