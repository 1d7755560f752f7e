mod meter;
pub(crate) mod seconds;
mod stage_log;

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use msb_oci::Digest;
use msb_registry::Notice;
use msb_stitch::MergeProgress;
use serde::{Deserialize, Serialize};
use tokio::sync::Notify;

use meter::Meter;
use stage_log::StageLog;

use crate::PullStats;

/// An event of a pull. Variants may be added.
///
/// The events of stages are all delivered, in order. [`LayerDownloadProgress`](Self::LayerDownloadProgress),
/// [`LayerUnpackProgress`](Self::LayerUnpackProgress), [`MergeProgress`](Self::MergeProgress) and the delays (`Retrying`, `LayerRetrying`, `LayerStalled`, `LayerResumed`) are the state at
/// the time of receiving: a newer one replaces one that was not received. The last event is `Complete` or `Failed`.
///
/// As data an event is an object: `event` is the name of the variant in `snake_case`, and durations are seconds, such as `pause_secs`. These
/// are the lines of `msb-image pull --progress json`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
#[non_exhaustive]
pub enum PullProgress {
    /// Resolution of the reference has begun.
    Resolving {
        /// The reference in canonical form.
        reference: String,
    },
    /// The manifest and config are known.
    #[non_exhaustive]
    Resolved {
        /// The digest of the manifest.
        manifest_digest: Digest,
        /// Number of layers; a layer that is listed twice counts twice.
        layer_count: usize,
        /// Length of all layers' blobs, in bytes.
        total_bytes: u64,
    },
    /// Another pull, of this process or another one, is building the layer.
    #[non_exhaustive]
    LayerWaiting {
        /// Which layer, from 0 at the bottom.
        layer: usize,
    },
    /// The layer is in the cache.
    #[non_exhaustive]
    LayerCached {
        /// Which layer, from 0 at the bottom.
        layer: usize,
        /// The diff_id of the layer.
        diff_id: Digest,
        /// Length of the blob, which is not downloaded, in bytes.
        total_bytes: u64,
    },
    /// The download of the layer has begun, or has started over.
    #[non_exhaustive]
    LayerStarted {
        /// Which layer, from 0 at the bottom.
        layer: usize,
        /// The digest of the blob.
        digest: Digest,
        /// Length of the blob, in bytes.
        total_bytes: u64,
        /// Bytes of the partial blob of an earlier pull; the download resumes after them.
        resumed_bytes: u64,
    },
    /// Bytes of the layer have arrived.
    #[non_exhaustive]
    LayerDownloadProgress {
        /// Which layer, from 0 at the bottom.
        layer: usize,
        /// Bytes that are present, resumed ones included.
        downloaded_bytes: u64,
        /// Length of the blob, in bytes.
        total_bytes: u64,
    },
    /// Bytes of the layer have been decompressed, while others may still be arriving.
    #[non_exhaustive]
    LayerUnpackProgress {
        /// Which layer, from 0 at the bottom.
        layer: usize,
        /// Bytes of the blob that are decompressed. Their files are written or about to be.
        unpacked_bytes: u64,
        /// Length of the blob, in bytes.
        total_bytes: u64,
    },
    /// A request for a manifest or config failed, and is retried after a pause.
    #[non_exhaustive]
    Retrying {
        /// The number of the retry, from 1.
        attempt: u32,
        /// The largest number of retries in a row.
        limit: u32,
        /// The pause before the retry.
        #[serde(rename = "pause_secs", with = "seconds")]
        pause: Duration,
        /// Why the request failed, in one line.
        error: String,
    },
    /// The layer's download failed, and is retried after a pause.
    #[non_exhaustive]
    LayerRetrying {
        /// Which layer, from 0 at the bottom.
        layer: usize,
        /// The number of the retry, from 1.
        attempt: u32,
        /// The largest number of retries in a row.
        limit: u32,
        /// The pause before the retry.
        #[serde(rename = "pause_secs", with = "seconds")]
        pause: Duration,
        /// Why the download failed, in one line.
        error: String,
    },
    /// The registry has sent nothing of the layer for some time. Repeated while that lasts.
    #[non_exhaustive]
    LayerStalled {
        /// Which layer, from 0 at the bottom.
        layer: usize,
        /// How long nothing has arrived.
        #[serde(rename = "silent_for_secs", with = "seconds")]
        silent_for: Duration,
    },
    /// The layer's download continues after a failure.
    #[non_exhaustive]
    LayerResumed {
        /// Which layer, from 0 at the bottom.
        layer: usize,
        /// The number of bytes that are kept.
        from_bytes: u64,
    },
    /// The blob is complete; its end is still being unpacked and written.
    #[non_exhaustive]
    LayerDownloaded {
        /// Which layer, from 0 at the bottom.
        layer: usize,
    },
    /// The layer image is published.
    #[non_exhaustive]
    LayerMaterialized {
        /// Which layer, from 0 at the bottom.
        layer: usize,
        /// The diff_id of the layer.
        diff_id: Digest,
        /// Length of the layer image, in bytes.
        bytes: u64,
    },
    /// All layers are published; the remaining work of merging them has begun.
    Merging,
    /// Layers have been merged, perhaps while others are still being downloaded. It begins again at 0 if a layer that was merged starts
    /// over.
    #[non_exhaustive]
    MergeProgress {
        /// Layers that are merged completely.
        merged_layers: usize,
        /// Number of layers of the image.
        layer_count: usize,
        /// Entries of the merged layers, and of the one that is being merged, so far.
        entries: u64,
    },
    /// The merged metadata is published.
    #[non_exhaustive]
    FsmetaWritten {
        /// Length of the file, in bytes.
        bytes: u64,
    },
    /// The disk descriptor is published.
    VmdkWritten,
    /// The pull succeeded. No event follows.
    #[non_exhaustive]
    Complete {
        /// The digest of the manifest.
        manifest_digest: Digest,
        /// Whether everything came from the cache.
        cached: bool,
    },
    /// The pull failed or was cancelled. No event follows.
    #[non_exhaustive]
    Failed {
        /// The error in one line; the pull returns the error itself.
        error: String,
    },
}

/// Receives the events of one pull. A slow or dropped receiver does not delay the pull.
#[derive(Debug)]
pub struct ProgressReceiver {
    shared: Arc<Shared>,
}

impl ProgressReceiver {
    /// Waits for the next event. Returns `None` after `Complete` or `Failed`. Cancel safe: a dropped future loses no event.
    pub async fn recv(&mut self) -> Option<PullProgress> {
        loop {
            // Created before the check, so that an event that is sent in between wakes it.
            let woken = self.shared.woken.notified();
            {
                let mut state = self.shared.lock();
                if let Some(event) = state.next() {
                    return Some(event);
                }
                if state.is_ended {
                    return None;
                }
            }
            woken.await;
        }
    }
}

/// Sends the events of one pull, and logs them.
#[derive(Debug)]
pub(crate) struct Progress {
    shared: Option<Arc<Shared>>,
    log: StageLog,
    meter: Meter,
}

impl Progress {
    pub(crate) fn channel() -> (Self, ProgressReceiver) {
        let shared = Arc::new(Shared::default());
        (
            Self {
                shared: Some(Arc::clone(&shared)),
                log: StageLog::start(),
                meter: Meter::start(),
            },
            ProgressReceiver { shared },
        )
    }

    /// Returns a sender without a receiver.
    pub(crate) fn without_receiver() -> Self {
        Self {
            shared: None,
            log: StageLog::start(),
            meter: Meter::start(),
        }
    }

    pub(crate) fn send(&self, event: PullProgress) {
        self.log.event(&event);
        self.meter.event(&event);
        self.push(event);
    }

    fn push(&self, event: PullProgress) {
        self.update(|state| {
            match event {
                PullProgress::LayerDownloaded { layer } => state.forget(layer),
                PullProgress::LayerStarted { layer, .. }
                | PullProgress::LayerMaterialized { layer, .. } => state.unpacked.clear(layer),
                PullProgress::FsmetaWritten { .. } => state.merge = None,
                PullProgress::Complete { .. } | PullProgress::Failed { .. } => {
                    if state.is_ended {
                        return;
                    }
                    state.downloaded = Cells::default();
                    state.unpacked = Cells::default();
                    state.delays.clear();
                    state.merge = None;
                    state.is_ended = true;
                }
                _ => {}
            }
            state.events.push_back(event);
        });
    }

    /// Returns an observer for the requests of `layer`, or for those before any layer.
    pub(crate) fn observer(
        &self,
        layer: Option<usize>,
    ) -> impl Fn(&Notice<'_>) + Send + Sync + 'static {
        let shared = self.shared.clone();
        move |notice| {
            let Some(shared) = &shared else { return };
            let Some(event) = delay(layer, notice) else {
                return;
            };
            shared.lock().delayed(layer, event);
            shared.woken.notify_one();
        }
    }

    /// Returns an observer for a merge of so many layers.
    pub(crate) fn merge_observer(
        &self,
        layer_count: usize,
    ) -> impl FnMut(MergeProgress) + Send + 'static {
        let shared = self.shared.clone();
        move |merged| {
            let Some(shared) = &shared else { return };
            let mut state = shared.lock();
            if state.is_ended {
                return;
            }
            state.merge = Some(PullProgress::MergeProgress {
                merged_layers: merged.layers,
                layer_count,
                entries: merged.changes,
            });
            drop(state);
            shared.woken.notify_one();
        }
    }

    /// Counts bytes that arrived from the source.
    pub(crate) fn received(&self, bytes: u64) {
        self.meter.received(bytes);
    }

    /// Returns the numbers of a pull that ends now, of an image whose blobs have `blob_bytes`.
    pub(crate) fn stats(&self, blob_bytes: u64) -> PullStats {
        self.meter.stats(blob_bytes)
    }

    /// Replaces the state of a layer's download.
    pub(crate) fn downloaded(&self, layer: usize, downloaded_bytes: u64, total_bytes: u64) {
        self.update(|state| {
            state.downloaded.set(layer, downloaded_bytes, total_bytes);
            state.no_longer_stalled(layer);
        });
    }

    /// Replaces the state of a layer's unpacking.
    pub(crate) fn unpacked(&self, layer: usize, unpacked_bytes: u64, total_bytes: u64) {
        self.update(|state| state.unpacked.set(layer, unpacked_bytes, total_bytes));
    }

    fn update(&self, change: impl FnOnce(&mut State)) {
        if let Some(shared) = &self.shared {
            change(&mut shared.lock());
            shared.woken.notify_one();
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        // Has no effect after `Complete` or `Failed`.
        self.push(PullProgress::Failed {
            error: "the pull was cancelled".into(),
        });
    }
}

/// Returns the event for a notice of the registry client.
fn delay(layer: Option<usize>, notice: &Notice<'_>) -> Option<PullProgress> {
    Some(match (notice, layer) {
        (
            Notice::Retrying {
                error,
                attempt,
                limit,
                pause,
                ..
            },
            layer,
        ) => {
            let (attempt, limit, pause, error) = (*attempt, *limit, *pause, error.to_string());
            match layer {
                Some(layer) => PullProgress::LayerRetrying {
                    layer,
                    attempt,
                    limit,
                    pause,
                    error,
                },
                None => PullProgress::Retrying {
                    attempt,
                    limit,
                    pause,
                    error,
                },
            }
        }
        (Notice::Stalled { silent_for, .. }, Some(layer)) => PullProgress::LayerStalled {
            layer,
            silent_for: *silent_for,
        },
        (Notice::Resumed { from_bytes, .. }, Some(layer)) => PullProgress::LayerResumed {
            layer,
            from_bytes: *from_bytes,
        },
        _ => return None,
    })
}

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    woken: Notify,
}

/// Events that were not received yet. Bounded by layers times stages, because byte counts and delays overwrite each other.
#[derive(Debug, Default)]
struct State {
    events: VecDeque<PullProgress>,
    downloaded: Cells,
    unpacked: Cells,
    /// By layer, those before any layer first: the newest delay, if that was not received yet.
    delays: Vec<Option<PullProgress>>,
    /// The progress of the merge, if it was not received yet.
    merge: Option<PullProgress>,
    is_ended: bool,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn next(&mut self) -> Option<PullProgress> {
        if let Some(event) = self.events.pop_front() {
            return Some(event);
        }
        if let Some(delay) = self.delays.iter_mut().find_map(Option::take) {
            return Some(delay);
        }
        if let Some(merge) = self.merge.take() {
            return Some(merge);
        }
        if let Some((layer, downloaded_bytes, total_bytes)) = self.downloaded.take() {
            return Some(PullProgress::LayerDownloadProgress {
                layer,
                downloaded_bytes,
                total_bytes,
            });
        }
        let (layer, unpacked_bytes, total_bytes) = self.unpacked.take()?;
        Some(PullProgress::LayerUnpackProgress {
            layer,
            unpacked_bytes,
            total_bytes,
        })
    }

    fn delayed(&mut self, layer: Option<usize>, event: PullProgress) {
        if self.is_ended {
            return;
        }
        let index = layer.map_or(0, |layer| layer + 1);
        if self.delays.len() <= index {
            self.delays.resize(index + 1, None);
        }
        self.delays[index] = Some(event);
    }

    fn no_longer_stalled(&mut self, layer: usize) {
        if let Some(delay) = self.delays.get_mut(layer + 1)
            && matches!(delay, Some(PullProgress::LayerStalled { .. }))
        {
            *delay = None;
        }
    }

    fn forget(&mut self, layer: usize) {
        self.downloaded.clear(layer);
        if let Some(delay) = self.delays.get_mut(layer + 1) {
            *delay = None;
        }
    }
}

/// By layer: the bytes so far and in all, if they were not received yet.
#[derive(Debug, Default)]
struct Cells(Vec<Option<(u64, u64)>>);

impl Cells {
    fn set(&mut self, layer: usize, bytes: u64, total_bytes: u64) {
        if self.0.len() <= layer {
            self.0.resize(layer + 1, None);
        }
        self.0[layer] = Some((bytes, total_bytes));
    }

    fn clear(&mut self, layer: usize) {
        if let Some(cell) = self.0.get_mut(layer) {
            *cell = None;
        }
    }

    /// Takes the bytes of the lowest layer that has some.
    fn take(&mut self) -> Option<(usize, u64, u64)> {
        let mut cells = self.0.iter_mut().enumerate();
        cells.find_map(|(layer, cell)| cell.take().map(|(bytes, total)| (layer, bytes, total)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_event_is_read_as_it_was_written() {
        let digest = Digest::sha256_of(b"");
        let events = [
            PullProgress::Resolving {
                reference: "a".into(),
            },
            PullProgress::Retrying {
                attempt: 1,
                limit: 3,
                pause: Duration::from_millis(1_234),
                error: "x".into(),
            },
            PullProgress::LayerStalled {
                layer: 2,
                silent_for: Duration::from_nanos(5_000_000_001),
            },
            PullProgress::Merging,
            PullProgress::Complete {
                manifest_digest: digest,
                cached: true,
            },
        ];
        for event in events {
            let text = serde_json::to_string(&event).unwrap();
            assert_eq!(serde_json::from_str::<PullProgress>(&text).unwrap(), event);
        }
        let stalled = PullProgress::LayerStalled {
            layer: 2,
            silent_for: Duration::from_millis(1_500),
        };
        let expected =
            serde_json::json!({"event": "layer_stalled", "layer": 2, "silent_for_secs": 1.5});
        assert_eq!(serde_json::to_value(&stalled).unwrap(), expected);
        let negative = r#"{"event": "layer_stalled", "layer": 2, "silent_for_secs": -1}"#;
        serde_json::from_str::<PullProgress>(negative).unwrap_err();
    }

    #[tokio::test]
    async fn unpacking_overwrites_itself_and_ends_with_the_layer() {
        let (progress, mut receiver) = Progress::channel();
        for bytes in 1..1000 {
            progress.unpacked(2, bytes, 5000);
        }
        let unpacked = PullProgress::LayerUnpackProgress {
            layer: 2,
            unpacked_bytes: 999,
            total_bytes: 5000,
        };
        assert_eq!(receiver.recv().await, Some(unpacked));
        progress.unpacked(2, 5000, 5000);
        let diff_id = Digest::sha256_of(b"");
        let done = PullProgress::LayerMaterialized {
            layer: 2,
            diff_id,
            bytes: 4096,
        };
        progress.send(done.clone());
        assert_eq!(receiver.recv().await, Some(done));
        drop(progress);
        assert!(matches!(
            receiver.recv().await,
            Some(PullProgress::Failed { .. })
        ));
    }

    fn stalled(layer: usize, seconds: u64) -> PullProgress {
        PullProgress::LayerStalled {
            layer,
            silent_for: Duration::from_secs(seconds),
        }
    }

    #[tokio::test]
    async fn delays_overwrite_each_other_and_bytes_end_a_stall() {
        let (progress, mut receiver) = Progress::channel();
        let delay = |layer, event| {
            let shared = progress.shared.as_ref().unwrap();
            shared.lock().delayed(Some(layer), event);
        };
        for seconds in 1..1000 {
            delay(0, stalled(0, seconds));
            delay(1, stalled(1, seconds));
        }
        progress.downloaded(1, 5, 10);
        assert_eq!(receiver.recv().await, Some(stalled(0, 999)));
        let bytes = PullProgress::LayerDownloadProgress {
            layer: 1,
            downloaded_bytes: 5,
            total_bytes: 10,
        };
        assert_eq!(receiver.recv().await, Some(bytes));
        delay(0, stalled(0, 1));
        drop(progress);
        assert!(matches!(
            receiver.recv().await,
            Some(PullProgress::Failed { .. })
        ));
        assert_eq!(receiver.recv().await, None);
    }

    #[tokio::test]
    async fn the_progress_of_a_merge_overwrites_itself_and_ends_with_it() {
        let (progress, mut receiver) = Progress::channel();
        let mut merge = {
            let observer = progress.merge_observer(7);
            msb_stitch::Merge::new().on_progress(observer)
        };
        let sidecar = || {
            let writer = msb_sidecar::SidecarWriter::new(tempfile::tempfile().unwrap());
            let image = msb_sidecar::ImageSummary {
                bytes: 4096,
                crc32c: 0,
            };
            msb_sidecar::Sidecar::open(writer.finish(image, &[]).unwrap()).unwrap()
        };
        let device = msb_stitch::DeviceId::new(1).unwrap();
        for _ in 0..3 {
            merge.add(device, sidecar().changes()).unwrap();
        }
        let merged = PullProgress::MergeProgress {
            merged_layers: 3,
            layer_count: 7,
            entries: 0,
        };
        assert_eq!(receiver.recv().await, Some(merged));
        merge.add(device, sidecar().changes()).unwrap();
        progress.send(PullProgress::FsmetaWritten { bytes: 1 });
        assert_eq!(
            receiver.recv().await,
            Some(PullProgress::FsmetaWritten { bytes: 1 })
        );
        drop(progress);
        assert!(matches!(
            receiver.recv().await,
            Some(PullProgress::Failed { .. })
        ));
    }
}
