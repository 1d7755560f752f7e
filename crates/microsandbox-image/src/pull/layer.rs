use std::sync::Arc;

use msb_layer::decode::Compression;
use msb_oci::Digest;
use msb_sidecar::Note;
use msb_store::Lock;
use tokio::sync::{Semaphore, SemaphorePermit};

use super::Pull;
use super::blocking::blocking;
use super::cached_layer::CachedLayer;
use super::fetch::Fetch;
use super::holder::source_of;
use super::state::LayerReporter;
use super::verify::verify;
use super::waiting::{Artifact, Waited, Waiting};
use crate::document::Blob;
use crate::{PullError, PullProgress};

/// A layer as manifest and config name it.
#[derive(Clone, Debug)]
pub(super) struct LayerSource {
    pub(super) blob: Blob,
    pub(super) diff_id: Digest,
}

/// A layer that is in the cache.
#[derive(Clone, Debug)]
pub(super) struct ReadyLayer {
    pub(super) image_bytes: u64,
    pub(super) sidecar_bytes: u64,
    pub(super) notes: Vec<Note>,
    pub(super) was_cached: bool,
}

/// What a task needs before it works on a layer.
#[derive(Debug)]
pub(super) struct Claim<'a> {
    /// `None` where the holder of the lock makes no progress.
    pub(super) lock: Option<Arc<Lock>>,
    /// The permit to run a pipeline; returned before the layer is synced.
    pub(super) pipeline: Option<SemaphorePermit<'a>>,
    /// The permit to have the files of a layer open.
    pub(super) _files: SemaphorePermit<'a>,
}

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
        registry, progress, ..
    } = pull;
    let store = registry.cache.store();
    let find = || {
        let (store, layer) = (store.clone(), layer.clone());
        blocking(move || CachedLayer::find(&store, &layer))
    };
    let cached = |ready: ReadyLayer| {
        progress.send(PullProgress::LayerCached {
            layer: index,
            diff_id: layer.diff_id.clone(),
            total_bytes: layer.blob.bytes,
        });
        state.cached(ready.image_bytes);
        ready
    };
    let artifact = Artifact::Layer(layer.diff_id.clone());
    let mut waiting = Waiting::new(source_of(pull.reference));
    let mut waits_for_lock = true;
    let mut is_announced = false;
    loop {
        let files = permit(&registry.open_layers).await?;
        if !anew && let CachedLayer::Verified(ready) = find().await? {
            return Ok(cached(ready));
        }
        let pipeline = permit(&registry.pipelines).await?;
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

/// Returns a note on a media type that does not announce the blob's compression.
pub(super) fn media_type_note(media_type: &str, compression: Compression) -> Option<Note> {
    let note = Note::MediaType {
        media_type: media_type.into(),
        compression: compression.to_string(),
    };
    (!compression.is_announced_by(media_type)).then_some(note)
}
