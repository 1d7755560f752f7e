mod stage_log;

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use msb_oci::Digest;
use tokio::sync::Notify;

use stage_log::StageLog;

/// An event of a pull. Variants may be added.
///
/// Every stage event is delivered, in order. [`LayerDownloadProgress`](Self::LayerDownloadProgress) carries the state at the time
/// of receiving; a slow receiver misses the states in between. The last event is `Complete` or `Failed`.
#[derive(Clone, Debug, PartialEq, Eq)]
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
        /// Bytes of it that an earlier, interrupted pull left; the download resumes behind them.
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
        image_bytes: u64,
    },
    /// All layers are published; the remaining work of merging them has begun.
    Merging,
    /// The merged metadata is published.
    #[non_exhaustive]
    FsmetaWritten {
        /// Length of the file, in bytes.
        bytes: u64,
    },
    /// The disk descriptor is published.
    VmdkWritten,
    /// The pull is done. No event follows.
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
        /// The error in one line; the result of the pull carries the error itself.
        error: String,
    },
}

/// Receives the events of one pull. A slow or dropped receiver costs the pull nothing.
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
}

impl Progress {
    pub(crate) fn channel() -> (Self, ProgressReceiver) {
        let shared = Arc::new(Shared::default());
        (
            Self {
                shared: Some(Arc::clone(&shared)),
                log: StageLog::start(),
            },
            ProgressReceiver { shared },
        )
    }

    /// Returns a sender without a receiver.
    pub(crate) fn nobody() -> Self {
        Self {
            shared: None,
            log: StageLog::start(),
        }
    }

    pub(crate) fn send(&self, event: PullProgress) {
        self.log.event(&event);
        self.push(event);
    }

    fn push(&self, event: PullProgress) {
        self.update(|state| {
            match event {
                PullProgress::LayerDownloaded { layer } => state.forget(layer),
                PullProgress::Complete { .. } | PullProgress::Failed { .. } => {
                    if state.is_ended {
                        return;
                    }
                    state.cells.clear();
                    state.is_ended = true;
                }
                _ => {}
            }
            state.events.push_back(event);
        });
    }

    /// Replaces the state of a layer's download.
    pub(crate) fn downloaded(&self, layer: usize, downloaded_bytes: u64, total_bytes: u64) {
        self.update(|state| {
            if state.cells.len() <= layer {
                state.cells.resize(layer + 1, None);
            }
            state.cells[layer] = Some((downloaded_bytes, total_bytes));
        });
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

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    woken: Notify,
}

/// Events that were not received yet. Bounded by layers times stages, because byte counts overwrite each other.
#[derive(Debug, Default)]
struct State {
    events: VecDeque<PullProgress>,
    /// By layer: present and total bytes, if they were not received yet.
    cells: Vec<Option<(u64, u64)>>,
    is_ended: bool,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn next(&mut self) -> Option<PullProgress> {
        self.events.pop_front().or_else(|| {
            let (layer, cell) = self
                .cells
                .iter_mut()
                .enumerate()
                .find(|(_, cell)| cell.is_some())?;
            let (downloaded_bytes, total_bytes) = cell.take()?;
            Some(PullProgress::LayerDownloadProgress {
                layer,
                downloaded_bytes,
                total_bytes,
            })
        })
    }

    fn forget(&mut self, layer: usize) {
        if let Some(cell) = self.cells.get_mut(layer) {
            *cell = None;
        }
    }
}
