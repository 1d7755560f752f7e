use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use crate::{PullProgress, PullStats};

/// Measures one pull by its events.
#[derive(Debug)]
pub(super) struct Meter {
    start: Instant,
    /// Apart from the others, because it changes with every piece of a blob.
    downloaded_bytes: AtomicU64,
    stages: Mutex<Stages>,
}

#[derive(Debug, Default)]
struct Stages {
    resolved: Option<Instant>,
    merging: Option<Instant>,
    resumed_bytes: u64,
    cached_bytes: u64,
}

impl Meter {
    pub(super) fn start() -> Self {
        Self {
            start: Instant::now(),
            downloaded_bytes: AtomicU64::new(0),
            stages: Mutex::default(),
        }
    }

    pub(super) fn received(&self, bytes: u64) {
        self.downloaded_bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    pub(super) fn event(&self, event: &PullProgress) {
        match event {
            PullProgress::Resolved { .. } => self.lock().resolved = Some(Instant::now()),
            PullProgress::Merging => self.lock().merging = Some(Instant::now()),
            PullProgress::LayerCached { total_bytes, .. } => {
                self.lock().cached_bytes += total_bytes;
            }
            PullProgress::LayerStarted { resumed_bytes, .. } => {
                self.lock().resumed_bytes += resumed_bytes;
            }
            _ => {}
        }
    }

    /// Returns the numbers of a pull that ends now, of an image whose blobs have `blob_bytes`.
    pub(super) fn stats(&self, blob_bytes: u64) -> PullStats {
        let end = Instant::now();
        let stages = self.lock();
        // An image that came from the cache as a whole was not resolved.
        let resolved = stages.resolved.unwrap_or(end);
        let merging = stages.merging.unwrap_or(end).max(resolved);
        PullStats {
            downloaded_bytes: self.downloaded_bytes.load(Ordering::Relaxed),
            resumed_bytes: stages.resumed_bytes,
            cached_bytes: match stages.resolved {
                Some(_) => stages.cached_bytes,
                None => blob_bytes,
            },
            resolve: resolved - self.start,
            layers: merging - resolved,
            disk: end - merging,
        }
    }

    fn lock(&self) -> MutexGuard<'_, Stages> {
        self.stages.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
