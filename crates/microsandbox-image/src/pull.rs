//! One pull, top to bottom.

mod ahead;
mod blocking;
mod finish;
mod layer;
mod layers;
mod part;
mod resolve;
mod state;

use futures_util::future::try_join;
use msb_layer::LayerError;
use msb_oci::Reference;
use msb_store::LayerKey;

use crate::disk::DiskPlan;
use crate::progress::Progress;
use crate::registry::Inner;
use crate::{PullError, PullOptions, PullPolicy, PullProgress, PullResult, cached};
use ahead::MergeAhead;
use blocking::blocking;
use finish::{Finished, finish};
use layer::LayerSource;
use layers::{Anew, fetch_layers};
use resolve::{Resolved, keep, resolve};
use state::LayerStates;

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

/// What is pulled, from where, and who is told: the same for all of its steps.
#[derive(Clone, Copy, Debug)]
struct Pull<'a> {
    registry: &'a Inner,
    reference: &'a Reference,
    resolved: &'a Resolved,
    /// The image's disk; the lengths of its layers are not known yet.
    plan: &'a DiskPlan,
    progress: &'a Progress,
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
    let store = registry.cache.store();
    // Before anything is looked for, so that no prune removes what this pull finds.
    let _lease = {
        let (store, plan) = (store.clone(), plan.clone());
        let layers: Vec<LayerKey> = plan.slots().iter().map(|slot| slot.layer.clone()).collect();
        let blobs = [
            resolved.manifest_digest.clone(),
            resolved.config_digest.clone(),
        ];
        blocking(move || Ok(store.lease(plan.key(), &layers, &blobs)?)).await?
    };

    let pull = Pull {
        registry,
        reference,
        resolved: &resolved,
        plan: &plan,
        progress,
    };
    let mut anew = Anew::new(options.force);
    for _ in 0..=REPAIRS {
        let states = LayerStates::new(plan.slots().len());
        let merge = MergeAhead::start(store, &plan, &states, options.force).await?;
        let layers = fetch_layers(pull, &states, &anew);
        // Beside the layers, because it waits for the disk. What is kept already costs a look at it.
        let (layers, ()) = try_join(layers, keep(registry, &resolved)).await?;
        let all_cached = layers.iter().all(|layer| layer.was_cached);
        let merge = merge.filter(|_| states.are_well());
        match finish(pull, layers, merge, options.force).await? {
            Finished::Done {
                record,
                disk_was_cached,
            } => {
                let cached = all_cached && disk_was_cached && !options.force;
                let result = record.to_result(store, reference, cached);
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
