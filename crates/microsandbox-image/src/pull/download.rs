use std::fmt;
use std::pin::pin;

use futures_util::StreamExt;
use futures_util::future::{Either, select};
use msb_layer::LayerFeed;

use super::Pull;
use crate::document::Blob;
use crate::progress::Progress;
use crate::source::{BlobData, BlobEvent};
use crate::{PullError, PullProgress};

/// How a download ended.
#[derive(Debug)]
pub(super) enum Download {
    /// All bytes were sent, or a stage failed.
    Over,
    /// The bytes so far are invalid, and the stream continues at byte 0.
    Restarted,
}

/// The stream of a layer's blob from the source.
pub(super) struct BlobStream {
    data: BlobData,
    index: usize,
    /// Where the next piece begins, in bytes from the blob's start.
    position: u64,
    total_bytes: u64,
}

impl BlobStream {
    /// Returns the stream of the blob of layer `index` from `offset` on.
    pub(super) fn open(pull: Pull<'_>, index: usize, blob: &Blob, offset: u64) -> Self {
        Self {
            data: pull.source.blob(index, blob, offset),
            index,
            position: offset,
            total_bytes: blob.bytes,
        }
    }

    /// Returns where the next piece begins, in bytes from the blob's start.
    pub(super) fn position(&self) -> u64 {
        self.position
    }

    /// Sends the bytes to the stages as they arrive.
    pub(super) async fn send_to(
        &mut self,
        feed: LayerFeed,
        progress: &Progress,
    ) -> Result<Download, PullError> {
        {
            // A full disk ends the download at once, even if the source returns nothing.
            let mut failed = pin!(feed.failed());
            loop {
                let event = match select(self.data.next(), failed.as_mut()).await {
                    Either::Left((event, _)) => event.transpose()?,
                    Either::Right(_) => return Ok(Download::Over),
                };
                match event {
                    None => break,
                    Some(BlobEvent::Restarted) => {
                        self.position = 0;
                        return Ok(Download::Restarted);
                    }
                    Some(BlobEvent::Data(bytes)) => {
                        progress.received(bytes.len() as u64);
                        self.position += bytes.len() as u64;
                        if !feed.send(bytes).await {
                            return Ok(Download::Over);
                        }
                        progress.downloaded(self.index, self.position, self.total_bytes);
                    }
                }
            }
        }
        feed.finish().await;
        progress.send(PullProgress::LayerDownloaded { layer: self.index });
        Ok(Download::Over)
    }
}

impl fmt::Debug for BlobStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BlobStream")
            .field("index", &self.index)
            .field("position", &self.position)
            .field("total_bytes", &self.total_bytes)
            .finish_non_exhaustive()
    }
}
