use std::sync::Arc;

use tokio::sync::{Semaphore, SemaphorePermit};

use super::Pull;
use super::blocking::blocking;
use super::fetch::Fetch;
use super::holder::origin_name;
use super::layer::{Claim, LayerSource, ReadyLayer};
use super::state::LayerReporter;
use super::verify::verify;
use super::waiting::{Artifact, Waited, Waiting};
use crate::cache::lookup::CachedLayer;
use crate::{PullError, PullProgress};

/// Ensures that the layer is cached and that its blob unpacks to it, downloading and converting the blob if necessary.
///
/// The permits come before the lock, and the lock is only tried: a task that finds it taken returns its permits and waits with
/// nothing open. So no two pulls can wait for each other, and the number of locks and open files does not grow with the number of
/// layers.
pub(super) async fn ensure_layer(
    pull: Pull<'_>,
    index: usize,
    layer: &LayerSource,
    anew: bool,
    state: &LayerReporter,
) -> Result<ReadyLayer, PullError> {
    let Pull {
        engine, progress, ..
    } = pull;
    let store = engine.cache.store();
    let find = || {
        let (store, layer) = (store.clone(), layer.clone());
        blocking(move || Ok(CachedLayer::find(&store, &layer)?))
    };
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
    loop {
        let files = permit(&engine.open_layers).await?;
        if !anew && let CachedLayer::Verified(ready) = find().await? {
            return Ok(cached(ready));
        }
        let pipeline = permit(&engine.pipelines).await?;
        let lock = if waits_for_lock {
            let lock = {
                let (store, artifact) = (store.clone(), artifact.clone());
                blocking(move || artifact.try_lock(&store)).await?
            };
            if lock.is_none() {
                drop((pipeline, files));
                if !is_announced {
                    progress.send(PullProgress::LayerWaiting { layer: index });
                    is_announced = true;
                }
                let waited = waiting.wait(store, &artifact).await?;
                waits_for_lock = matches!(waited, Waited::Free);
                continue;
            }
            lock.map(Arc::new)
        } else {
            None
        };
        // Another pull may have published it, and recorded its blob, before it released the lock.
        let found = if anew {
            CachedLayer::Absent
        } else {
            find().await?
        };
        let claim = Claim {
            lock,
            pipeline: Some(pipeline),
            _files: files,
        };
        let ready = match found {
            CachedLayer::Verified(ready) => return Ok(cached(ready)),
            CachedLayer::Unverified(ready) => verify(pull, index, layer, claim, ready).await?,
            CachedLayer::Absent => Fetch::new(pull, index, layer, claim, state).run().await?,
        };
        state.cached(ready.image_bytes);
        return Ok(ready);
    }
}

async fn permit(permits: &Semaphore) -> Result<SemaphorePermit<'_>, PullError> {
    // Closed only with the registry itself.
    let permit = permits.acquire().await;
    permit.map_err(|_| PullError::Cancelled)
}
