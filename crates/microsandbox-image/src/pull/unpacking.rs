use std::convert::Infallible;
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures_util::future::{Either, select};

use crate::progress::Progress;

/// Time between two reports.
const INTERVAL: Duration = Duration::from_millis(100);

/// Reports how much of a layer's blob is unpacked.
#[derive(Debug)]
pub(super) struct Unpacking<'a> {
    pub(super) progress: &'a Progress,
    pub(super) layer: usize,
    /// Bytes of the blob that are decompressed.
    pub(super) unpacked: Arc<AtomicU64>,
    pub(super) total_bytes: u64,
}

impl Unpacking<'_> {
    /// Runs `work` to its end, and reports meanwhile.
    pub(super) async fn during<T>(self, work: impl Future<Output = T>) -> T {
        match select(pin!(work), pin!(self.report())).await {
            Either::Left((done, _)) => done,
            Either::Right((never, _)) => match never {},
        }
    }

    async fn report(self) -> Infallible {
        let mut last = 0;
        loop {
            tokio::time::sleep(INTERVAL).await;
            let unpacked = self.unpacked.load(Ordering::Relaxed);
            if unpacked != last {
                last = unpacked;
                self.progress
                    .unpacked(self.layer, unpacked, self.total_bytes);
            }
        }
    }
}
