//! One pull, top to bottom.

mod ahead;
mod download;
mod ensure;
mod fetch;
mod finish;
mod from_cache;
mod holder;
mod in_place;
mod layer;
mod layers;
mod notes;
mod partial;
mod published;
mod remote;
mod repair;
mod resolve;
mod space;
mod sweep;
mod unpacking;
mod verify;
mod waiting;

pub use published::PublishedLayerError;
pub(crate) use remote::describe;
pub(crate) use repair::repair;
pub use repair::{Repair, RepairError};

use futures_util::future::try_join;
use msb_budget::ImageBudget;
use msb_layer::LayerError;
use msb_oci::Reference;
use msb_stitch::{Merge, StitchError};
use msb_store::Lease;

use crate::blocking::{self, blocking};
use crate::disk::ImageDisk;
use crate::engine::Engine;
use crate::progress::Progress;
use crate::source::ImageSource;
use crate::{ManifestProblem, PullError, PullOptions, PullProgress, PullResult, SourceForm};
use ahead::MergeTask;
use finish::{Finished, check_record_bytes, finish};
use from_cache::from_cache;
use in_place::in_place;
use layer::LayerSource;
use layers::{Rebuild, fetch_layers};
use resolve::{Resolved, keep, resolve};
use space::{Begun, Room, begin, settle};
use sweep::sweep;

/// How often a pull rebuilds a layer whose cached files turn out to be damaged.
const REPAIRS: usize = 2;

/// Pulls an image. The last event of `progress` is its outcome.
pub(crate) async fn pull(
    engine: &Engine,
    source: &dyn ImageSource,
    reference: &Reference,
    options: &PullOptions,
    progress: &Progress,
) -> Result<PullResult, PullError> {
    let mut result = run(engine, source, reference, options, progress).await;
    if let Ok(image) = &mut result {
        let blob_bytes = image.layers.iter().map(|layer| layer.size).sum();
        image.stats = Some(progress.stats(blob_bytes));
    }
    progress.send(match &result {
        Ok(result) => PullProgress::Complete {
            manifest_digest: result.manifest_digest,
            cached: result.cached,
        },
        Err(error) => PullProgress::Failed {
            error: error.to_string(),
        },
    });
    result
}

/// The image, its source and the receiver of its progress: the same for all steps of a pull.
#[derive(Clone, Copy, Debug)]
struct Pull<'a> {
    engine: &'a Engine,
    source: &'a dyn ImageSource,
    reference: &'a Reference,
    resolved: &'a Resolved,
    /// The image's disk.
    disk: &'a ImageDisk,
    progress: &'a Progress,
    /// See [`PullOptions::keep_blobs`].
    keep_blobs: bool,
    /// See [`PullOptions::verity`].
    verity: bool,
    /// Shared by the layers and their merge.
    budget: &'a ImageBudget,
    /// How it shares the disk with other pulls.
    room: &'a Room,
}

impl Pull<'_> {
    /// Leases the image's disk, so that no prune removes what the pull finds afterwards.
    async fn lease(self) -> Result<Lease, PullError> {
        let (store, disk) = (self.engine.cache.store().clone(), self.disk.clone());
        let resolved = self.resolved;
        let mut blobs = vec![resolved.manifest_digest, resolved.config_digest];
        blobs.extend(resolved.layers.iter().map(|layer| layer.blob.digest));
        blocking(move || Ok(disk.lease(&store, &blobs)?)).await
    }
}

/// What the cache is to have beside the layers and the disk.
#[derive(Clone, Copy, Debug, Default)]
struct Extras {
    /// See [`PullOptions::keep_blobs`].
    keep_blobs: bool,
    /// See [`PullOptions::verity`].
    verity: bool,
}

async fn run(
    engine: &Engine,
    source: &dyn ImageSource,
    reference: &Reference,
    options: &PullOptions,
    progress: &Progress,
) -> Result<PullResult, PullError> {
    progress.send(PullProgress::Resolving {
        reference: reference.to_string(),
    });
    if let Some(result) = from_cache(engine, reference, options, progress).await? {
        return strictly(result, options.strict);
    }
    let rebuild = Rebuild::new(options.force);
    let keep_blobs = options.keep_blobs;
    // The blobs that are kept are those of the original image.
    let from = if keep_blobs {
        SourceForm::Tar
    } else {
        options.source
    };
    let wanted = Wanted {
        rebuild,
        extras: Extras {
            keep_blobs,
            verity: options.verity,
        },
        from,
    };
    let result = complete(engine, source, reference, wanted, progress).await?;
    strictly(result, options.strict)
}

/// What a pull has to complete, and how.
#[derive(Clone, Debug)]
struct Wanted {
    rebuild: Rebuild,
    extras: Extras,
    from: SourceForm,
}

impl Wanted {
    /// Returns what is completed from the original layers.
    fn original(rebuild: Rebuild, extras: Extras) -> Self {
        Self {
            rebuild,
            extras,
            from: SourceForm::Tar,
        }
    }
}

/// Completes an image in the cache: downloads and converts the layers that are missing or are to be rebuilt, and builds the disk. If the
/// disk of the cache is full because of other pulls, waits for their end, and completes the image once more.
async fn complete(
    engine: &Engine,
    source: &dyn ImageSource,
    reference: &Reference,
    wanted: Wanted,
    progress: &Progress,
) -> Result<PullResult, PullError> {
    let mut room = Room::default();
    loop {
        let wanted = wanted.clone();
        let completed = complete_in(&room, engine, source, reference, wanted, progress).await;
        match (&completed, room.after_full()) {
            (Err(error), Some(alone)) if error.is_full() => {
                tracing::warn!(%reference, %error, "other pulls use the disk; this one waits for them");
                room = alone;
            }
            _ => return completed,
        }
    }
}

/// Completes an image as [`complete`] does, once.
async fn complete_in(
    room: &Room,
    engine: &Engine,
    source: &dyn ImageSource,
    reference: &Reference,
    wanted: Wanted,
    progress: &Progress,
) -> Result<PullResult, PullError> {
    let Wanted {
        mut rebuild,
        extras,
        from,
    } = wanted;
    let resolved = resolve(engine, source, reference, from).await?;
    progress.send(PullProgress::Resolved {
        manifest_digest: resolved.manifest_digest,
        layer_count: resolved.layers.len(),
        total_bytes: resolved.total_bytes,
    });
    let diff_ids = resolved.layers.iter().map(|layer| &layer.diff_id);
    let disk = ImageDisk::new(diff_ids).map_err(|error| match error {
        StitchError::TooManyLayers { count, limit } => PullError::Manifest {
            digest: resolved.manifest_digest,
            problem: ManifestProblem::TooManyLayers {
                layers: count,
                limit,
            },
        },
        source => PullError::Stitch {
            reference: Box::new(reference.clone()),
            source,
        },
    })?;
    let budget = ImageBudget::new(engine.image_limits);
    // Work on other threads ends soon after the pull is dropped.
    let _cancel = budget.cancel_on_drop();
    let pull = Pull {
        engine,
        source,
        reference,
        resolved: &resolved,
        disk: &disk,
        progress,
        keep_blobs: extras.keep_blobs,
        verity: extras.verity,
        budget: &budget,
        room,
    };
    check_record_bytes(pull)?;
    let store = engine.cache.store();
    if rebuild.is_empty()
        && !extras.keep_blobs
        && let Some(result) = in_place(pull).await?
    {
        return Ok(result);
    }
    let Begun {
        lease,
        missing,
        reservation: _reservation,
    } = begin(pull).await?;

    let mut damaged = None;
    for _ in 0..=REPAIRS {
        let observer = progress.merge_observer(disk.layers().stack().len());
        let merge = Merge::with_budget(&budget).on_progress(observer);
        let (events, merge) = MergeTask::start(store, &disk, merge, rebuild.disk).await?;
        let layers = fetch_layers(pull, &events, &rebuild, &missing);
        let beside = async {
            keep(engine, &resolved).await?;
            sweep(engine).await
        };
        // Beside the layers, because it waits for the disk.
        let (layers, ()) = try_join(layers, beside).await?;
        let all_cached = layers.layers.iter().all(|layer| layer.was_cached);
        let merge = merge.filter(|_| events.are_all_cached());
        match finish(pull, layers, merge, rebuild.disk).await? {
            Finished::Done {
                record,
                disk_was_cached,
            } => {
                let cached = all_cached && disk_was_cached;
                if !cached {
                    settle(engine).await?;
                }
                let result = record.to_result(store, reference, cached, lease);
                return Ok(result);
            }
            Finished::DamagedFsmeta => {
                tracing::warn!(disk = %disk.key(), "cached metadata is damaged; it is rebuilt");
                rebuild.disk = true;
            }
            Finished::DamagedLayer(layer) => {
                tracing::warn!(diff_id = %layer.diff_id, "a cached layer is damaged; it is rebuilt");
                damaged = Some(layer.diff_id);
                rebuild.only(layer);
            }
        }
    }
    Err(
        damaged.map_or(PullError::Worker, |diff_id| PullError::DamagedAgain {
            diff_id,
            rebuilds: REPAIRS,
        }),
    )
}

/// Returns the result, or an error if the image is not represented exactly and the options are strict.
fn strictly(result: PullResult, is_strict: bool) -> Result<PullResult, PullError> {
    match result.notes.iter().find(|note| is_strict && note.is_loss()) {
        Some(note) => Err(PullError::NotExact {
            reference: Box::new(result.reference.clone()),
            note: Box::new(note.clone()),
        }),
        None => Ok(result),
    }
}

/// Adds the layer's name to its error.
fn layer_error(reference: &Reference, layer: &LayerSource, source: LayerError) -> PullError {
    PullError::Layer {
        digest: layer.blob.digest,
        reference: Box::new(reference.clone()),
        source,
    }
}
