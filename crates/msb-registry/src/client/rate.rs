//! The least rate of a body.

use std::time::Duration;

use crate::limits::Timeouts;

/// The state of a window of measurement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Window {
    /// It is not over.
    Open,
    /// It is over, and had enough bytes.
    Passed,
    /// It is over, and had too few.
    Slow {
        /// How many.
        received: u64,
    },
}

/// Measures the rate of a body over windows of waiting for it.
#[derive(Debug)]
pub(super) struct Rate {
    least: u64,
    window: Duration,
    waited: Duration,
    received: u64,
}

impl Rate {
    pub(super) fn new(timeouts: &Timeouts) -> Self {
        Self {
            least: timeouts.least_rate,
            window: timeouts.least_rate_window,
            waited: Duration::ZERO,
            received: 0,
        }
    }

    /// Adds a piece of the body and the time that was spent waiting for it.
    pub(super) fn add(&mut self, waited: Duration, bytes: u64) -> Window {
        self.waited += waited;
        self.received = self.received.saturating_add(bytes);
        if self.waited < self.window || self.window.is_zero() {
            return Window::Open;
        }
        let wanted = u128::from(self.least) * self.waited.as_millis() / 1000;
        let received = std::mem::take(&mut self.received);
        self.waited = Duration::ZERO;
        if u128::from(received) < wanted {
            Window::Slow { received }
        } else {
            Window::Passed
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn first_fault(bytes: u64, pause: Duration, pieces: usize) -> Option<u64> {
        let mut rate = Rate::new(&Timeouts::default());
        (0..pieces).find_map(|_| match rate.add(pause, bytes) {
            Window::Slow { received } => Some(received),
            Window::Open | Window::Passed => None,
        })
    }

    #[test]
    fn fifty_kilobytes_a_second_are_not_slow_and_a_byte_a_second_is() {
        let second = Duration::from_secs(1);
        assert_eq!(first_fault(50_000, second, 10_000), None);
        assert_eq!(first_fault(5_000, second, 10_000), None);
        assert_eq!(first_fault(1, second, 30), Some(30));
        assert_eq!(first_fault(1, second, 29), None);
    }

    #[test]
    fn only_waiting_counts_and_the_check_can_be_turned_off() {
        assert_eq!(first_fault(1, Duration::ZERO, 10_000), None);
        let mut off = Rate::new(&Timeouts::default().with_least_rate(0));
        assert_eq!(off.add(Duration::from_secs(1000), 1), Window::Passed);
    }
}
