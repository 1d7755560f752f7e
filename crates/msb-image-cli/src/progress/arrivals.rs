use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// Period over which the speed is averaged.
const SPEED_WINDOW: Duration = Duration::from_secs(4);
/// Arrivals within this time are merged into one sample.
const SAMPLE: Duration = Duration::from_millis(50);

/// Bytes that arrived from the registry since a time.
#[derive(Clone, Debug, Default)]
pub(super) struct Arrivals {
    bytes: u64,
    /// Time and `bytes` of the arrivals in the window, and of the last one before it.
    recent: VecDeque<(Instant, u64)>,
}

impl Arrivals {
    pub(super) fn add(&mut self, bytes: u64, now: Instant) {
        self.bytes += bytes;
        let is_first = self.recent.len() == 1;
        match self.recent.back_mut() {
            // Bounds the number of samples, however often bytes arrive. The first one is where the measurement begins.
            Some((at, sum)) if !is_first && now.saturating_duration_since(*at) < SAMPLE => {
                *sum = self.bytes
            }
            _ => self.recent.push_back((now, self.bytes)),
        }
        self.forget(now);
    }

    /// Returns the speed of the last seconds, in bytes per second.
    pub(super) fn speed(&self, now: Instant) -> u64 {
        let is_old = |at: Instant| now.saturating_duration_since(at) > SPEED_WINDOW;
        let past = self.recent.iter().take_while(|(at, _)| is_old(*at)).last();
        let Some((first, bytes_then)) = past.or(self.recent.front()) else {
            return 0;
        };
        // Shorter than the window at the beginning, longer if the last arrival is older.
        let millis = now
            .saturating_duration_since(*first)
            .max(Duration::from_millis(100));
        let millis = u64::try_from(millis.as_millis()).unwrap_or(u64::MAX);
        (self.bytes - bytes_then).saturating_mul(1000) / millis
    }

    /// Removes samples older than the window, except the newest of them.
    fn forget(&mut self, now: Instant) {
        let is_old = |at: Instant| now.saturating_duration_since(at) > SPEED_WINDOW;
        while self.recent.get(1).is_some_and(|(at, _)| is_old(*at)) {
            self.recent.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_speed_falls_to_zero_when_nothing_arrives() {
        let start = Instant::now();
        let at = |millis| start + Duration::from_millis(millis);
        let mut arrivals = Arrivals::default();
        assert_eq!(arrivals.speed(start), 0);
        arrivals.add(0, start);
        for tenth in 1..=100 {
            arrivals.add(1000, at(tenth * 100));
        }
        let steady = arrivals.speed(at(10_000));
        assert!((9_000..=11_000).contains(&steady), "{steady}");
        let falling = arrivals.speed(at(12_000));
        assert!((1..8_000).contains(&falling), "{falling}");
        assert_eq!(arrivals.speed(at(15_000)), 0);
        // Memory is bounded by the window.
        assert!(arrivals.recent.len() <= 82);
    }
    #[test]
    fn bytes_that_arrive_at_once_count_for_the_speed() {
        let start = Instant::now();
        let mut arrivals = Arrivals::default();
        arrivals.add(0, start);
        arrivals.add(1000, start + Duration::from_millis(10));
        assert_eq!(arrivals.speed(start + Duration::from_secs(1)), 1000);
    }
}
