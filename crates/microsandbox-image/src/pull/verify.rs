use std::io;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use msb_layer::{LayerError, PartialBlobIo, VerifyJob};
use msb_store::Staged;

use super::blocking::blocking;
use super::download::{BlobStream, Download};
use super::holder::{Reporter, origin_name};
use super::layer::{Claim, LayerSource, ReadyLayer, media_type_note};
use super::{Pull, layer_error};
use crate::cache::keys::layer_key;
use crate::disk::clone_error;
use crate::{PullError, PullProgress};

/// Downloads a blob whose layer is cached, verifies that it unpacks to that layer, and records that. Nothing of it is written, unless
/// the blob is to be kept.
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
    let (compression, kept) = loop {
        let kept = match pull.keep_blobs {
            true => Some(stage(pull, layer).await?),
            false => None,
        };
        let copy = kept.as_ref().map(copy_into).transpose()?;
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
            copy,
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
            (Ok(Download::Over), Ok(compression)) => break (compression, kept),
            (Ok(Download::Restarted), _) => {}
            // The threads end as cancelled when the download fails.
            (Err(error), Err(LayerError::Cancelled) | Ok(_)) => return Err(error),
            (_, Err(source)) => {
                return Err(match (source.write_error(), kept) {
                    (Some(source), Some(kept)) => kept
                        .write_error(clone_error(source), Some(blob.bytes))
                        .into(),
                    _ => error(source),
                });
            }
        }
    };
    let (store, key, digest) = (
        engine.cache.store().clone(),
        layer_key(&layer.diff_id),
        blob.digest,
    );
    blocking(move || {
        if let Some(kept) = kept {
            kept.publish()?;
        }
        Ok(store.record_verified_blob(&key, &digest)?)
    })
    .await?;
    progress.send(PullProgress::LayerMaterialized {
        layer: index,
        diff_id: layer.diff_id,
        bytes: ready.image_bytes,
    });
    ready
        .notes
        .extend(media_type_note(&blob.media_type, compression));
    ready.was_cached = false;
    Ok(ready)
}

/// Creates the file of a blob that is kept.
async fn stage(pull: Pull<'_>, layer: &LayerSource) -> Result<Staged, PullError> {
    let (store, blob) = (pull.engine.cache.store().clone(), layer.blob.clone());
    blocking(move || {
        store.check_space(blob.bytes)?;
        Ok(store.stage_layer_blob(&blob.digest)?)
    })
    .await
}

/// Returns the copy of a blob that is written to an empty file.
fn copy_into(file: &Staged) -> Result<PartialBlobIo, PullError> {
    Ok(PartialBlobIo {
        earlier: Box::new(io::empty()),
        bytes: 0,
        more: Box::new(file.try_clone_file()?),
    })
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
