//! When to try again.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::time::Duration;

use tokio::time::Instant;

use crate::error::Error;
use crate::limits::{Limits, Timeouts};
use crate::notice::{Notice, Observer};
use crate::transport::fault::TransportFault;

/// Received since the last fault, this many bytes count as progress and renew the budget of retries.
const PROGRESS_BYTES: u64 = 64 << 10;
/// Retries of a failed name resolution: the resolver has tried again itself, and most such names are misspelled.
const NAME_RETRIES: u32 = 4;

/// The budget of retries of one request or one stream.
#[derive(Debug)]
pub(super) struct Retry {
    timeouts: Timeouts,
    limit: u32,
    observer: Observer,
    /// Faults in a row; `0 <= used <= limit`.
    used: u32,
    /// When the first of them was seen.
    since: Option<Instant>,
    since_fault_bytes: u64,
}

impl Retry {
    pub(super) fn new(timeouts: &Timeouts, limits: &Limits, observer: Observer) -> Self {
        Self {
            timeouts: timeouts.clone(),
            limit: limits.retries,
            observer,
            used: 0,
            since: None,
            since_fault_bytes: 0,
        }
    }

    /// Counts bytes that came.
    pub(super) fn progress(&mut self, bytes: u64) {
        self.since_fault_bytes = self.since_fault_bytes.saturating_add(bytes);
        if self.since_fault_bytes >= PROGRESS_BYTES {
            self.used = 0;
            self.since = None;
        }
    }

    /// Sleeps if `error` is worth another attempt, and returns it if it is not.
    pub(super) async fn after(&mut self, error: Error) -> Result<(), Error> {
        let limit = match error.decisive() {
            Error::Connect {
                source: TransportFault::Name { .. },
                ..
            } => self.limit.min(NAME_RETRIES),
            _ => self.limit,
        };
        if !error.is_temporary() || self.used >= limit {
            return Err(error);
        }
        let since = *self.since.get_or_insert_with(Instant::now);
        let Some(left) = self.timeouts.retry_time.checked_sub(since.elapsed()) else {
            return Err(error);
        };
        let pause = match error.retry_after() {
            Some(asked) if asked > self.timeouts.retry_after => return Err(error),
            // The jitter keeps many clients that were all told the same from returning at once.
            Some(asked) => asked + jitter(self.timeouts.backoff),
            None => self.backoff().min(left),
        };
        if left.is_zero() {
            return Err(error);
        }
        self.used += 1;
        self.since_fault_bytes = 0;
        self.observer.notify(&Notice::Retrying {
            error: &error,
            attempt: self.used,
            limit,
            pause,
        });
        let pause_ms = u64::try_from(pause.as_millis()).unwrap_or(u64::MAX);
        tracing::debug!(%error, attempt = self.used, pause_ms, "retrying");
        tokio::time::sleep(pause).await;
        Ok(())
    }

    /// Returns the next pause, a quarter of which is random.
    fn backoff(&self) -> Duration {
        let doubled = self.timeouts.backoff.saturating_mul(1 << self.used.min(16));
        let full = doubled.min(self.timeouts.backoff_max);
        full / 4 * 3 + jitter(full / 4)
    }
}

/// Returns a random part of `most`. Quality does not matter here, so that the hash maps' random keys do.
fn jitter(most: Duration) -> Duration {
    let random = RandomState::new().build_hasher().finish();
    most.mul_f64(f64::from(u32::try_from(random & 0xffff_ffff).unwrap_or(0)) / f64::from(u32::MAX))
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;
    use crate::context::{RequestContext, Step};
    use crate::redact::{RedactedUrl, ServerMessage};
    use crate::secrets::Secrets;

    fn fault(retry_after: Option<Duration>) -> Error {
        let url = "https://registry.example/".parse().unwrap();
        let url = RedactedUrl::new(&url, &Secrets::default());
        Error::Status {
            context: RequestContext::new(Step::Blob, &"x".parse().unwrap(), url),
            status: 503,
            retry_after,
            message: ServerMessage::default(),
        }
    }

    #[tokio::test(start_paused = true)]
    async fn the_retry_time_is_about_a_minute_and_each_retry_is_announced() {
        let seen = Arc::new(Mutex::new(Vec::new()));
        let log = Arc::clone(&seen);
        let observer = Observer::new(move |notice| {
            if let Notice::Retrying {
                attempt,
                limit,
                pause,
                ..
            } = notice
            {
                log.lock().unwrap().push((*attempt, *limit, *pause));
            }
        });
        let (timeouts, limits) = (Timeouts::default(), Limits::default());
        let mut retry = Retry::new(&timeouts, &limits, observer);
        let begun = Instant::now();
        while retry.after(fault(None)).await.is_ok() {}
        let elapsed = begun.elapsed().as_secs();
        assert!((50..=60).contains(&elapsed), "{elapsed} s");
        let seen = seen.lock().unwrap();
        for (index, (attempt, limit, pause)) in seen.iter().enumerate() {
            assert_eq!((*attempt as usize, *limit), (index + 1, limits.retries));
            assert!(*pause <= timeouts.backoff_max);
        }
        assert!(seen.len() >= 10);
    }

    #[tokio::test(start_paused = true)]
    async fn the_retry_time_can_be_set_and_progress_renews_it() {
        let timeouts = Timeouts::default().with_retry_time(Duration::from_secs(2));
        let mut retry = Retry::new(&timeouts, &Limits::default(), Observer::default());
        let begun = Instant::now();
        while retry.after(fault(None)).await.is_ok() {}
        assert!(begun.elapsed() <= Duration::from_secs(2));
        retry.progress(PROGRESS_BYTES);
        assert!(retry.after(fault(None)).await.is_ok());
        assert!(
            retry
                .after(fault(Some(Duration::from_secs(61))))
                .await
                .is_err()
        );
    }

    #[test]
    fn jitter_stays_within() {
        for _ in 0..100 {
            assert!(jitter(Duration::from_millis(10)) <= Duration::from_millis(10));
        }
    }
}
