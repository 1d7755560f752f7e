use std::pin::pin;

use futures_util::future::{Either, select};
use msb_layer::LayerFeed;
use msb_registry::{BlobEvent, BlobRequest, BlobStream};

use super::Pull;
use crate::document::Blob;
use crate::progress::Progress;
use crate::{PullError, PullProgress};

/// How a download ended.
#[derive(Debug)]
pub(super) enum Download {
    /// All bytes were handed on, or a stage failed.
    Over,
    /// The bytes so far are void, and the stream continues at byte 0.
    Restarted,
}

/// Returns the stream of the blob of layer `index` from `offset` on. Delays of its requests are events of the layer.
pub(super) fn open_blob(pull: Pull<'_>, index: usize, blob: &Blob, offset: u64) -> BlobStream {
    let request = BlobRequest::new(blob.digest, blob.bytes)
        .from_offset(offset)
        .with_urls(blob.urls.clone());
    let observer = pull.progress.observer(Some(index));
    let client = pull.registry.client.with_observer(observer);
    client.blob(pull.reference, request)
}

/// Hands the bytes of the blob of layer `index` on as they arrive.
pub(super) async fn download(
    stream: &mut BlobStream,
    feed: LayerFeed,
    progress: &Progress,
    index: usize,
    total_bytes: u64,
) -> Result<Download, PullError> {
    {
        // A full disk ends the download at once, even if the registry sends nothing.
        let mut failed = pin!(feed.failed());
        loop {
            let event = match select(pin!(stream.next_event()), failed.as_mut()).await {
                Either::Left((event, _)) => event?,
                Either::Right(_) => return Ok(Download::Over),
            };
            match event {
                None => break,
                Some(BlobEvent::Restarted) => return Ok(Download::Restarted),
                Some(BlobEvent::Data(bytes)) => {
                    if !feed.send(bytes).await {
                        return Ok(Download::Over);
                    }
                    progress.downloaded(index, stream.position(), total_bytes);
                }
            }
        }
    }
    feed.finish().await;
    progress.send(PullProgress::LayerDownloaded { layer: index });
    Ok(Download::Over)
}
