use std::fmt;
use std::time::{Duration, Instant};

use tracing::info;

use crate::PullProgress;

/// Logs the stages of a pull at level info, with the seconds since its start.
#[derive(Debug)]
pub(super) struct StageLog {
    start: Instant,
}

/// Prints a time since the start, when a subscriber formats the event.
struct At(Duration);

impl fmt::Display for At {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.3} s", self.0.as_secs_f64())
    }
}

impl StageLog {
    pub(super) fn start() -> Self {
        Self {
            start: Instant::now(),
        }
    }

    pub(super) fn event(&self, event: &PullProgress) {
        let at = At(self.start.elapsed());
        match event {
            PullProgress::Resolving { reference } => info!(%at, reference, "resolving"),
            PullProgress::Resolved {
                manifest_digest,
                layer_count,
                total_bytes,
            } => info!(%at, %manifest_digest, layer_count, total_bytes, "resolved"),
            PullProgress::LayerWaiting { layer } => {
                info!(%at, layer, "waiting for another pull that builds the layer");
            }
            PullProgress::LayerCached { layer, diff_id, .. } => {
                info!(%at, layer, %diff_id, "layer cached");
            }
            PullProgress::LayerStarted {
                layer,
                digest,
                total_bytes,
                resumed_bytes,
            } => info!(%at, layer, %digest, total_bytes, resumed_bytes, "layer download started"),
            PullProgress::LayerDownloaded { layer } => info!(%at, layer, "layer downloaded"),
            PullProgress::LayerMaterialized {
                layer,
                diff_id,
                bytes,
            } => info!(%at, layer, %diff_id, bytes, "layer published"),
            PullProgress::Merging => info!(%at, "merging the layers"),
            PullProgress::FsmetaWritten { bytes } => info!(%at, bytes, "fsmeta published"),
            PullProgress::VmdkWritten => info!(%at, "disk descriptor published"),
            PullProgress::Complete {
                manifest_digest,
                cached,
            } => info!(%at, %manifest_digest, cached, "pull complete"),
            // The result of the pull carries the error, and the client logs its own retries.
            PullProgress::Failed { .. }
            | PullProgress::LayerDownloadProgress { .. }
            | PullProgress::Retrying { .. }
            | PullProgress::LayerRetrying { .. }
            | PullProgress::LayerStalled { .. }
            | PullProgress::LayerResumed { .. }
            | PullProgress::LayerUnpackProgress { .. }
            | PullProgress::MergeProgress { .. } => {}
        }
    }
}
