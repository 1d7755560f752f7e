use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use futures_util::StreamExt as _;
use msb_layer::{FileUnpacker, UnpackError, UnpackedFile};
use msb_store::{Lock, Staged};
use tokio::sync::mpsc;

use super::PublishedLayerError;
use crate::disk::clone_error;
use crate::document::Blob;
use crate::pull::Pull;
use crate::pull::holder::{Reporter, origin_name};
use crate::pull::layer::LayerSource;
use crate::source::BlobEvent;
use crate::{PullError, PullProgress};

/// The pieces that wait for the thread that unpacks.
const QUEUE: usize = 16;

/// What a blob is received for.
#[derive(Debug)]
pub(super) struct Target<'a> {
    pub(super) pull: Pull<'a>,
    pub(super) index: usize,
    pub(super) layer: &'a LayerSource,
    pub(super) lock: Option<Arc<Lock>>,
}

/// What the thread receives. A queue that closes without an end was abandoned.
enum Piece {
    Data(Bytes),
    End,
}

/// Downloads a blob and unpacks it into `file`, which gets at most `limit` bytes. The inner error is of the blob, the outer one of the
/// download or of this machine.
pub(super) async fn receive(
    target: &Target<'_>,
    blob: &Blob,
    file: &Staged,
    limit: u64,
) -> Result<Result<UnpackedFile, PublishedLayerError>, PullError> {
    let Pull {
        engine,
        source,
        progress,
        ..
    } = target.pull;
    let processed = Arc::<AtomicU64>::default();
    let reporter = Reporter {
        lock: target.lock.clone(),
        processed: Arc::clone(&processed),
        total_bytes: blob.bytes,
        source: origin_name(source),
    };
    let work = async {
        let mut data = source.blob(target.index, blob, 0);
        loop {
            progress.send(PullProgress::LayerStarted {
                layer: target.index,
                digest: blob.digest,
                total_bytes: blob.bytes,
                resumed_bytes: 0,
            });
            let output = file.try_clone_file()?;
            let windows = engine.windows.clone();
            let digest = blob.digest;
            let (queue, mut pieces) = mpsc::channel(QUEUE);
            let unpacking = tokio::task::spawn_blocking(move || {
                let truncated = output.set_len(0);
                truncated.map_err(|source| UnpackError::Write { offset: 0, source })?;
                let mut unpacker = FileUnpacker::new(digest, output, limit, windows);
                loop {
                    match pieces.blocking_recv() {
                        Some(Piece::Data(bytes)) => unpacker.push(&bytes)?,
                        Some(Piece::End) => return unpacker.finish().map(Some),
                        None => return Ok(None),
                    }
                }
            });
            let mut position = 0_u64;
            let mut failed = None;
            let mut has_restarted = false;
            while let Some(event) = data.next().await {
                match event {
                    Ok(BlobEvent::Data(bytes)) => {
                        position = position.saturating_add(bytes.len() as u64);
                        processed.store(position, Ordering::Relaxed);
                        progress.downloaded(target.index, position, blob.bytes);
                        if queue.send(Piece::Data(bytes)).await.is_err() {
                            break;
                        }
                    }
                    Ok(BlobEvent::Restarted) => {
                        has_restarted = true;
                        break;
                    }
                    Err(error) => {
                        failed = Some(error);
                        break;
                    }
                }
            }
            if failed.is_none() && !has_restarted {
                // Fails if the thread has ended, whose error counts.
                let _ = queue.send(Piece::End).await;
            }
            drop(queue);
            let unpacked = unpacking.await.map_err(|_| PullError::Worker)?;
            if let Some(error) = failed {
                return Err(error);
            }
            match unpacked {
                Ok(Some(unpacked)) => {
                    progress.send(PullProgress::LayerDownloaded {
                        layer: target.index,
                    });
                    return Ok(Ok(unpacked));
                }
                Ok(None) => {}
                Err(UnpackError::Digest { .. }) if source.reject(blob) => {
                    tracing::warn!(digest = %blob.digest, "the bytes are wrong; trying the next host");
                    data = source.blob(target.index, blob, 0);
                }
                Err(error) => {
                    if let Some(cause) = error.write_error() {
                        let cause = clone_error(cause);
                        return Err(file.write_error(cause, Some(blob.bytes)).into());
                    }
                    return Ok(Err(PublishedLayerError::Unpack {
                        blob: blob.digest,
                        source: error,
                    }));
                }
            }
        }
    };
    tracing::trace!(diff_id = %target.layer.diff_id, blob = %blob.digest, "receiving");
    reporter.during(work).await
}
