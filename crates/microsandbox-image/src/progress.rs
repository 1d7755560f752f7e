use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use msb_oci::Digest;
use tokio::sync::Notify;

/// What happens in a pull. More may be added.
///
/// Stage events come all, and in order. [`LayerDownloadProgress`](Self::LayerDownloadProgress) tells how far a layer is
/// when it is received; what a slow receiver missed in between is gone. The last event is `Complete` or `Failed`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PullProgress {
    /// The reference is being resolved.
    Resolving {
        /// In full.
        reference: String,
    },
    /// The manifest and config are known.
    #[non_exhaustive]
    Resolved {
        /// The manifest.
        manifest_digest: Digest,
        /// Layers, one that comes twice counted twice.
        layer_count: usize,
        /// Bytes of all layers' blobs.
        total_bytes: u64,
    },
    /// Another pull, perhaps of another process, is making the layer.
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
        /// Its diff_id.
        diff_id: Digest,
        /// The blob's bytes, none of which has to come.
        total_bytes: u64,
    },
    /// The layer's download begins.
    #[non_exhaustive]
    LayerStarted {
        /// Which layer, from 0 at the bottom.
        layer: usize,
        /// Its blob.
        digest: Digest,
        /// The blob's bytes.
        total_bytes: u64,
        /// How many of them are here from an earlier pull.
        resumed_bytes: u64,
    },
    /// How far the layer's download is.
    #[non_exhaustive]
    LayerDownloadProgress {
        /// Which layer, from 0 at the bottom.
        layer: usize,
        /// Bytes that have come.
        downloaded_bytes: u64,
        /// The blob's bytes.
        total_bytes: u64,
    },
    /// The layer's blob is here; what is left of it is being unpacked and written.
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
        /// Its diff_id.
        diff_id: Digest,
        /// The layer image's bytes.
        image_bytes: u64,
    },
    /// All layers are there, and what is left of joining them is being done.
    Merging,
    /// The merged metadata is published.
    #[non_exhaustive]
    FsmetaWritten {
        /// Its bytes.
        bytes: u64,
    },
    /// The disk descriptor is published.
    VmdkWritten,
    /// The pull is done. Nothing follows.
    #[non_exhaustive]
    Complete {
        /// The manifest.
        manifest_digest: Digest,
        /// Whether everything came from the cache.
        cached: bool,
    },
    /// The pull failed, or was given up. Nothing follows.
    #[non_exhaustive]
    Failed {
        /// Why, in one line. The pull's own result has the error.
        error: String,
    },
}

/// Receives the events of one pull. A slow or dropped receiver costs the pull nothing.
#[derive(Debug)]
pub struct ProgressReceiver {
    shared: Arc<Shared>,
}

impl ProgressReceiver {
    /// The next event; `None` after `Complete` or `Failed`.
    pub async fn recv(&mut self) -> Option<PullProgress> {
        loop {
            // Made before looking, so that an event that comes in between wakes it.
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

/// Sends the events of one pull.
#[derive(Debug)]
pub(crate) struct Progress {
    shared: Option<Arc<Shared>>,
}

impl Progress {
    pub(crate) fn channel() -> (Self, ProgressReceiver) {
        let shared = Arc::new(Shared::default());
        (
            Self {
                shared: Some(Arc::clone(&shared)),
            },
            ProgressReceiver { shared },
        )
    }

    /// For a pull that nobody watches.
    pub(crate) fn nobody() -> Self {
        Self { shared: None }
    }

    pub(crate) fn send(&self, event: PullProgress) {
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

    /// Says how far a layer is, over what was said before.
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
        // Has no effect where the pull said itself how it ended.
        self.send(PullProgress::Failed {
            error: "the pull was cancelled".into(),
        });
    }
}

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    woken: Notify,
}

/// Events that were not received yet; bounded by layers times stages, for byte counts overwrite each other.
#[derive(Debug, Default)]
struct State {
    events: VecDeque<PullProgress>,
    /// By layer: how far it is, if that was not received yet.
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
