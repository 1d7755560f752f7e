//! How fast the bytes of a blob arrive, and what limits that.

use std::time::Duration;

use tokio::time::Instant;

/// The shortest time of a measurement.
const WINDOW: Duration = Duration::from_millis(200);
/// The least number of bytes of a measurement.
const MIN_BYTES: u64 = 1 << 20;

/// Measures over windows of time.
#[derive(Debug)]
pub(super) struct Pace {
    since: Instant,
    /// The part of the window that was spent waiting for the network.
    waited: Duration,
    /// Bytes received before the window.
    before: u64,
}

/// The result of one window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Measured {
    pub(super) bytes_per_sec: u64,
    /// Whether the reader waited for the network for nearly all of the time, so that the connections are the limit.
    pub(super) is_starved: bool,
}

impl Pace {
    pub(super) fn new() -> Self {
        Self {
            since: Instant::now(),
            waited: Duration::ZERO,
            before: 0,
        }
    }

    /// Counts time that was spent waiting for the network.
    pub(super) fn waited(&mut self, time: Duration) {
        self.waited += time;
    }

    /// Ends the window if it was long enough. `received` is the number of all bytes so far.
    pub(super) fn measure(&mut self, received: u64) -> Option<Measured> {
        let elapsed = self.since.elapsed();
        let bytes = received.saturating_sub(self.before);
        if elapsed < WINDOW || bytes < MIN_BYTES {
            return None;
        }
        let rate = u128::from(bytes) * 1000 / elapsed.as_millis().max(1);
        let measured = Measured {
            bytes_per_sec: u64::try_from(rate).unwrap_or(u64::MAX),
            is_starved: self.waited >= elapsed / 4 * 3,
        };
        *self = Self {
            before: received,
            ..Self::new()
        };
        Some(measured)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_window_has_a_least_time_and_least_bytes() {
        let mut pace = Pace::new();
        assert_eq!(pace.measure(4 << 20), None);
        tokio::time::advance(WINDOW).await;
        assert_eq!(pace.measure(MIN_BYTES - 1), None);
        pace.waited(WINDOW);
        let measured = pace.measure(4 << 20).unwrap();
        assert_eq!(measured.bytes_per_sec, 20 << 20);
        assert!(measured.is_starved);
        tokio::time::advance(WINDOW * 2).await;
        pace.waited(WINDOW);
        let measured = pace.measure(8 << 20).unwrap();
        assert_eq!(measured.bytes_per_sec, 10 << 20);
        assert!(!measured.is_starved);
    }
}
