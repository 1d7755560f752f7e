use std::sync::Arc;

use msb_budget::ImageBudget;
use msb_stitch::LayerSender;
use msb_store::{Lock, Store};
use tokio::sync::{Semaphore, SemaphorePermit};

use super::Pull;
use super::blocking::blocking;
use super::fetch::{Fetch, Files};
use super::holder::{Report, origin_name};
use super::layer::{Claim, LayerSource, ReadyLayer};
use super::published::{PublishedFiles, fetch as fetch_published};
use super::verify::verify;
use super::waiting::{Artifact, Waited, Waiting};
use crate::cache::lookup::CachedLayer;
use crate::cache::lookup::tiers::adopt_layer;
use crate::document::Blob;
use crate::published::parse::PublishedLayer;
use crate::{PullError, PullProgress};

/// What a pull knows about a cached layer before it looks it up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Known {
    Nothing,
    /// It was absent at the last lookup.
    Missing,
    /// It is rebuilt, whether it is cached or not.
    Rebuilt,
}

/// The work on a layer that remains after the cache was looked at.
enum Work {
    Nothing(ReadyLayer),
    Verify(ReadyLayer),
    Fetch(Box<Files>),
    /// The EROFS form of the layer is received, or compared with the cached one.
    Receive(Box<PublishedFiles>, Option<ReadyLayer>),
}

/// Ensures that the layer is cached and that its blob unpacks to it, downloading and converting the blob if necessary.
///
/// The task acquires its permits before the lock, and never waits for the lock while it holds them: if the lock is taken, the task
/// returns its permits and waits with no file open. So no two pulls can wait for each other, and the number of locks and open files
/// does not grow with the number of layers.
pub(super) async fn ensure_layer(
    pull: Pull<'_>,
    index: usize,
    layer: &LayerSource,
    mut known: Known,
    state: LayerSender<'_>,
) -> Result<ReadyLayer, PullError> {
    let Pull {
        engine,
        progress,
        keep_blobs,
        ..
    } = pull;
    let store = engine.cache.store();
    let cached = |ready: ReadyLayer| {
        progress.send(PullProgress::LayerCached {
            layer: index,
            diff_id: layer.diff_id,
            total_bytes: layer.blob.bytes,
        });
        state.cached(ready.image_bytes);
        ready
    };
    let artifact = Artifact::Layer(layer.diff_id);
    let mut waiting = Waiting::new(origin_name(pull.source));
    let mut waits_for_lock = true;
    let mut is_announced = false;
    let image = pull.resolved.published.as_ref();
    let is_optional = image.is_some_and(|image| !image.is_required);
    // A layer that is damaged, or forced, is rebuilt from its archive.
    let image = image.filter(|_| known != Known::Rebuilt);
    let mut published = image.and_then(|image| image.layers.get(index));
    // A cached layer takes no permit of a pipeline.
    let mut looks_first = known == Known::Nothing;
    loop {
        let files = permit(&engine.open_layers).await?;
        if looks_first {
            let (store, layer) = (store.clone(), layer.clone());
            let found = blocking(move || find(&store.session(), &layer, keep_blobs)).await?;
            if let CachedLayer::Verified(ready) = found {
                return Ok(cached(ready));
            }
        }
        let pipeline = permit(&engine.pipelines).await?;
        let begun = {
            let (store, layer, artifact) = (store.clone(), layer.clone(), artifact.clone());
            let published = published.cloned();
            let is_interruptible = pull.source.is_interruptible();
            let adoption = Adoption {
                // The blob is not copied with its layer, and a layer that is rebuilt may be damaged there too.
                is_allowed: known != Known::Rebuilt && !keep_blobs,
                budget: pull.budget.clone(),
            };
            blocking(move || {
                let session = store.session();
                let lock = match waits_for_lock {
                    true => match artifact.try_lock(&session)? {
                        Some(lock) => Some(Arc::new(lock)),
                        None => return Ok(None),
                    },
                    false => None,
                };
                // Another pull may have published it, and recorded its blob, before it released the lock.
                let found = match known {
                    Known::Rebuilt => CachedLayer::Absent,
                    Known::Nothing | Known::Missing => find(&session, &layer, keep_blobs)?,
                };
                let receive = |published: &PublishedLayer, cached: Option<ReadyLayer>| {
                    let is_cached = cached.is_some();
                    let files = PublishedFiles::open(&session, &layer, published, is_cached)?;
                    Ok::<_, PullError>(Work::Receive(Box::new(files), cached))
                };
                let fetch = || {
                    let uses_partial = is_interruptible || keep_blobs;
                    let files = Files::open(&session, &layer, uses_partial, keep_blobs)?;
                    Ok::<_, PullError>(Work::Fetch(Box::new(files)))
                };
                let work = match (found, &published) {
                    (CachedLayer::Verified(ready), _) => Work::Nothing(ready),
                    (
                        CachedLayer::Unverified(ready) | CachedLayer::Claimed(ready),
                        Some(published),
                    ) => receive(published, Some(ready))?,
                    (CachedLayer::Unverified(ready), None) => Work::Verify(ready),
                    (CachedLayer::Claimed(_), None) => fetch()?,
                    (CachedLayer::Absent, published) => {
                        match (
                            adopt(&store, &layer, lock.as_deref(), &adoption)?,
                            published,
                        ) {
                            (Some(ready), _) => Work::Nothing(ready),
                            (None, Some(published)) => receive(published, None)?,
                            (None, None) => fetch()?,
                        }
                    }
                };
                Ok(Some((lock, work)))
            })
            .await?
        };
        let Some((lock, work)) = begun else {
            drop((pipeline, files));
            if !is_announced {
                progress.send(PullProgress::LayerWaiting { layer: index });
                is_announced = true;
            }
            let waited = waiting.wait(store, &artifact).await?;
            waits_for_lock = matches!(waited, Waited::Free);
            looks_first = known != Known::Rebuilt;
            continue;
        };
        let claim = Claim {
            lock,
            pipeline: Some(pipeline),
            _files: files,
        };
        let ready = match work {
            Work::Nothing(ready) => return Ok(cached(ready)),
            Work::Receive(files, cached) => {
                // OK because such work is only found with a published layer.
                let form = published.ok_or(PullError::Worker)?;
                let fetched = fetch_published(pull, index, layer, form, (*files, cached), claim);
                match fetched.await {
                    Ok(ready) => ready,
                    Err(error) if is_optional && error.is_of_published() => {
                        tracing::warn!(diff_id = %layer.diff_id, %error, "an EROFS layer cannot be used; the original one is");
                        published = None;
                        continue;
                    }
                    Err(error) => return Err(error),
                }
            }
            Work::Verify(ready) => verify(pull, index, layer, claim, ready).await?,
            Work::Fetch(files) => {
                let fetch = Fetch::new(pull, index, layer, claim, state);
                let ready = fetch.run(*files).await?;
                if keep_blobs && !is_kept(pull, layer).await? {
                    // Its partial blob was in use or could not be written. The blob is downloaded once more.
                    (known, looks_first) = (Known::Nothing, true);
                    continue;
                }
                ready
            }
        };
        state.cached(ready.image_bytes);
        return Ok(ready);
    }
}

/// How a layer may be copied from another cache.
struct Adoption {
    is_allowed: bool,
    /// Ends the copy when the pull is dropped.
    budget: ImageBudget,
}

/// Copies the layer from another cache, if one has it. Other pulls learn that no registry delays this one.
fn adopt(
    store: &Store,
    layer: &LayerSource,
    lock: Option<&Lock>,
    adoption: &Adoption,
) -> Result<Option<ReadyLayer>, PullError> {
    if !adoption.is_allowed || store.tiers().is_empty() {
        return Ok(None);
    }
    if let Some(lock) = lock {
        lock.report(&Report::only_local_work().to_line())?;
    }
    let adopted = adopt_layer(store, layer, || adoption.budget.is_cancelled())?;
    match adopted {
        None if adoption.budget.is_cancelled() => Err(PullError::Cancelled),
        adopted => {
            if let (None, Some(lock)) = (&adopted, lock) {
                lock.clear_report()?;
            }
            Ok(adopted)
        }
    }
}

/// Finds the layer in the cache. One without its blob, if that is to be kept, counts as unverified, so that the blob is downloaded.
fn find(store: &Store, layer: &LayerSource, keep_blobs: bool) -> Result<CachedLayer, PullError> {
    Ok(match CachedLayer::find(store, layer)? {
        CachedLayer::Verified(ready) if keep_blobs && !has_blob(store, &layer.blob)? => {
            CachedLayer::Unverified(ready)
        }
        found => found,
    })
}

async fn is_kept(pull: Pull<'_>, layer: &LayerSource) -> Result<bool, PullError> {
    let (store, blob) = (pull.engine.cache.store().clone(), layer.blob.clone());
    blocking(move || has_blob(&store, &blob)).await
}

fn has_blob(store: &Store, blob: &Blob) -> Result<bool, PullError> {
    Ok(store.layer_blob_bytes(&blob.digest)? == Some(blob.bytes))
}

pub(super) async fn permit(permits: &Semaphore) -> Result<SemaphorePermit<'_>, PullError> {
    // Closed only with the registry itself.
    let permit = permits.acquire().await;
    permit.map_err(|_| PullError::Cancelled)
}
