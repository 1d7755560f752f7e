use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use msb_layer::{LayerError, VerifyJob};

use super::blocking::blocking;
use super::download::{BlobStream, Download};
use super::holder::{Reporter, origin_name};
use super::layer::{Claim, LayerSource, ReadyLayer, media_type_note};
use super::{Pull, layer_error};
use crate::cache::keys::layer_key;
use crate::{PullError, PullProgress};

/// Downloads a blob whose layer is cached, verifies that it unpacks to that layer, and records that. Nothing of it is written.
pub(super) async fn verify(
    pull: Pull<'_>,
    index: usize,
    layer: &LayerSource,
    claim: Claim<'_>,
    mut ready: ReadyLayer,
) -> Result<ReadyLayer, PullError> {
    let Pull {
        engine,
        reference,
        progress,
        ..
    } = pull;
    let blob = &layer.blob;
    let error = |error| layer_error(reference, layer, error);
    let mut stream = BlobStream::open(pull, index, blob, 0);
    let compression = loop {
        progress.send(PullProgress::LayerStarted {
            layer: index,
            digest: blob.digest,
            total_bytes: blob.bytes,
            resumed_bytes: 0,
        });
        let job = VerifyJob {
            blob: blob.digest,
            blob_bytes: blob.bytes,
            media_type: blob.media_type.clone(),
            diff_id: layer.diff_id,
            budget: pull.budget.clone(),
            limits: engine.layer_limits,
            windows: engine.windows.clone(),
            threads: engine.threads.clone(),
        };
        let (feed, task) = job.start().map_err(error)?;
        let processed = task.processed();
        let work = async {
            let downloaded = stream.send_to(feed, progress).await;
            (downloaded, task.wait().await)
        };
        match reporter(pull, layer, &claim, processed).during(work).await {
            (Ok(Download::Over), Ok(compression)) => break compression,
            (Ok(Download::Restarted), _) => {}
            // The threads end as cancelled when the download fails.
            (Err(error), Err(LayerError::Cancelled) | Ok(_)) => return Err(error),
            (_, Err(source)) => return Err(error(source)),
        }
    };
    let (store, key, digest) = (
        engine.cache.store().clone(),
        layer_key(&layer.diff_id),
        blob.digest,
    );
    blocking(move || Ok(store.record_verified_blob(&key, &digest)?)).await?;
    progress.send(PullProgress::LayerMaterialized {
        layer: index,
        diff_id: layer.diff_id,
        image_bytes: ready.image_bytes,
    });
    ready
        .notes
        .extend(media_type_note(&blob.media_type, compression));
    ready.was_cached = false;
    Ok(ready)
}

/// Returns the reporter of the work on a layer.
pub(super) fn reporter(
    pull: Pull<'_>,
    layer: &LayerSource,
    claim: &Claim<'_>,
    processed: Arc<AtomicU64>,
) -> Reporter {
    Reporter {
        lock: claim.lock.clone(),
        processed,
        total_bytes: layer.blob.bytes,
        source: origin_name(pull.source),
    }
}
