use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

/// How often a stream that waits checks whether it is cancelled.
const LOOK_UP: Duration = Duration::from_millis(100);

/// The memory for the windows of zstd frames in all streams that share this budget. Clones are the same budget.
#[derive(Clone, Debug)]
pub struct WindowBudget(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    total: u64,
    free: Mutex<u64>,
    freed: Condvar,
}

/// The share of one stream, returned to the budget when dropped.
#[derive(Debug)]
pub(super) struct Window {
    budget: WindowBudget,
    bytes: u64,
}

impl WindowBudget {
    /// Creates a budget of this many bytes.
    #[must_use]
    pub fn new(bytes: u64) -> Self {
        Self(Arc::new(Shared {
            total: bytes,
            free: Mutex::new(bytes),
            freed: Condvar::new(),
        }))
    }

    /// Returns the whole budget in bytes.
    pub(super) fn total(&self) -> u64 {
        self.0.total
    }

    /// Waits until `bytes` are free and takes them. Returns `None` if the budget is smaller than that, or if the stream is cancelled.
    ///
    /// The caller must not hold a [`Window`] of the same budget: two streams that hold one and wait for more would wait for each
    /// other.
    pub(super) fn take(&self, bytes: u64, cancelled: &AtomicBool) -> Option<Window> {
        if bytes > self.0.total {
            return None;
        }
        let mut free = self.0.free.lock().unwrap_or_else(PoisonError::into_inner);
        while *free < bytes {
            if cancelled.load(Ordering::Relaxed) {
                return None;
            }
            let waited = self.0.freed.wait_timeout(free, LOOK_UP);
            free = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        *free -= bytes;
        Some(Window {
            budget: self.clone(),
            bytes,
        })
    }
}

impl Default for WindowBudget {
    /// Creates a budget for one window of the largest size that is allowed by default.
    fn default() -> Self {
        Self::new(super::Limits::default().zstd_window_bytes)
    }
}

impl Window {
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }
}

impl Drop for Window {
    fn drop(&mut self) {
        let shared = &self.budget.0;
        *shared.free.lock().unwrap_or_else(PoisonError::into_inner) += self.bytes;
        shared.freed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::thread;

    use super::*;

    static NO: AtomicBool = AtomicBool::new(false);

    #[test]
    fn a_stream_that_is_cancelled_does_not_wait_for_others() {
        let budget = WindowBudget::new(100);
        let _held = budget.take(60, &NO).unwrap();
        assert!(budget.take(50, &AtomicBool::new(true)).is_none());
    }

    #[test]
    fn a_window_waits_for_memory_and_returns_it() {
        let budget = WindowBudget::new(100);
        let first = budget.take(60, &NO).unwrap();
        let (sender, taken) = mpsc::channel();
        let waiting = {
            let budget = budget.clone();
            thread::spawn(move || {
                let window = budget.take(50, &NO).unwrap();
                sender.send(()).unwrap();
                window.bytes()
            })
        };
        assert!(taken.try_recv().is_err(), "there is no room for it yet");
        drop(first);
        assert_eq!(waiting.join().unwrap(), 50);
        taken.recv().unwrap();
        assert_eq!(budget.take(100, &NO).unwrap().bytes(), 100);
    }

    #[test]
    fn more_than_all_is_refused_at_once() {
        let budget = WindowBudget::new(100);
        assert!(budget.take(101, &NO).is_none());
        assert!(budget.take(0, &NO).is_some());
    }
}
