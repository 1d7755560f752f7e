//! When to try again.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::time::{Duration, SystemTime};

use crate::error::Error;
use crate::limits::Timeouts;

/// Received since the last fault, this many bytes count as progress and renew the budget of retries.
const PROGRESS_BYTES: u64 = 64 << 10;

/// The budget of retries of one request or one stream.
#[derive(Debug)]
pub(crate) struct Retry {
    timeouts: Timeouts,
    limit: u32,
    /// Faults in a row; `0 <= used <= limit`.
    used: u32,
    since_fault_bytes: u64,
}

impl Retry {
    pub(crate) fn new(timeouts: Timeouts, limit: u32) -> Self {
        Self {
            timeouts,
            limit,
            used: 0,
            since_fault_bytes: 0,
        }
    }

    /// Counts bytes that came.
    pub(crate) fn progress(&mut self, bytes: u64) {
        self.since_fault_bytes = self.since_fault_bytes.saturating_add(bytes);
        if self.since_fault_bytes >= PROGRESS_BYTES {
            self.used = 0;
        }
    }

    /// Sleeps if `error` is worth another attempt, and hands it back if it is not.
    pub(crate) async fn after(&mut self, error: Error) -> Result<(), Error> {
        if !error.is_temporary() || self.used >= self.limit {
            return Err(error);
        }
        let pause = match error.retry_after() {
            Some(asked) if asked > self.timeouts.retry_after => return Err(error),
            // The jitter keeps many pullers, all told the same, from coming back at once.
            Some(asked) => asked + jitter(self.timeouts.backoff),
            None => {
                let full = self.timeouts.backoff.saturating_mul(1 << self.used.min(16));
                let full = full.min(self.timeouts.backoff_max);
                full / 2 + jitter(full / 2)
            }
        };
        self.used += 1;
        self.since_fault_bytes = 0;
        tracing::debug!(%error, pause_ms = u64::try_from(pause.as_millis()).unwrap_or(u64::MAX), "trying again");
        tokio::time::sleep(pause).await;
        Ok(())
    }
}

/// A random part of `most`. Quality does not matter here, so that the hash maps' random keys do.
fn jitter(most: Duration) -> Duration {
    let random = RandomState::new().build_hasher().finish();
    most.mul_f64(f64::from(u32::try_from(random & 0xffff_ffff).unwrap_or(0)) / f64::from(u32::MAX))
}

/// Reads `Retry-After`: seconds, or a date in the preferred form (RFC 9110, section 10.2.3). A date that has passed is no wait.
pub(crate) fn parse_retry_after(text: &str, now: SystemTime) -> Option<Duration> {
    let text = text.trim();
    if !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()) {
        // Too many digits are simply far too long.
        return Some(Duration::from_secs(
            text.parse().unwrap_or(u64::from(u32::MAX)),
        ));
    }
    let then = parse_http_date(text)?;
    let now = now.duration_since(SystemTime::UNIX_EPOCH).ok()?.as_secs();
    Some(Duration::from_secs(then.saturating_sub(now)))
}

/// `Sun, 06 Nov 1994 08:49:37 GMT` to seconds since 1970.
fn parse_http_date(text: &str) -> Option<u64> {
    const MONTHS: [&str; 12] = [
        "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
    ];
    let (_, rest) = text.split_once(", ")?;
    let fields: Vec<&str> = rest.split(' ').collect();
    let [day, month, year, time, "GMT"] = fields[..] else {
        return None;
    };
    let number = |text: &str| {
        text.bytes()
            .all(|b| b.is_ascii_digit())
            .then(|| text.parse::<u64>().ok())?
    };
    let month = u64::try_from(MONTHS.iter().position(|name| *name == month)?).ok()? + 1;
    let (day, year) = (number(day)?, number(year)?);
    let mut clock = time.split(':').map(number);
    let (hour, minute, second) = (clock.next()??, clock.next()??, clock.next()??);
    if clock.next().is_some()
        || !(1..=31).contains(&day)
        || !(1970..=9999).contains(&year)
        || hour > 23
        || minute > 59
        || second > 60
    {
        return None;
    }
    // Days from March 1st of year 0, so that leap days come last in their year.
    let (shifted_year, shifted_month) = if month > 2 {
        (year, month - 3)
    } else {
        (year - 1, month + 9)
    };
    let days = 365 * shifted_year + shifted_year / 4 - shifted_year / 100
        + shifted_year / 400
        + (153 * shifted_month + 2) / 5
        + day
        - 1;
    Some((days - 719_468) * 86_400 + hour * 3600 + minute * 60 + second)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retry_after_in_seconds_and_as_a_date() {
        let at = |seconds| SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
        assert_eq!(
            parse_retry_after(" 7 ", at(0)),
            Some(Duration::from_secs(7))
        );
        let date = "Sun, 06 Nov 1994 08:49:37 GMT";
        assert_eq!(parse_http_date(date), Some(784_111_777));
        assert_eq!(
            parse_http_date("Thu, 29 Feb 2024 00:00:00 GMT"),
            Some(1_709_164_800)
        );
        assert_eq!(
            parse_retry_after(date, at(784_111_770)),
            Some(Duration::from_secs(7))
        );
        assert_eq!(
            parse_retry_after(date, at(784_111_999)),
            Some(Duration::ZERO)
        );
        for odd in [
            "",
            "-1",
            "soon",
            "Sun, 06 Nov 1994",
            "Sun, 06 Nov 0000 08:49:37 GMT",
            "Sun, 99 Nov 1994 08:49:37 GMT",
        ] {
            assert_eq!(parse_retry_after(odd, at(0)), None, "{odd}");
        }
        assert!(
            parse_retry_after("99999999999999999999999", at(0))
                > Some(Duration::from_secs(1 << 30))
        );
    }

    #[test]
    fn jitter_stays_within() {
        for _ in 0..100 {
            assert!(jitter(Duration::from_millis(10)) <= Duration::from_millis(10));
        }
    }
}
