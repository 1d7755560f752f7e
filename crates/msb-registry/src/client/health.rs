//! Whether a host is worth trying before others.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// The state of one host, shared by all requests of a client.
///
/// ```text
///   in place ──a fault of the whole host──▶ resting ──after `host_rest`, a request in the background──▶ in place, or resting on
/// ```
#[derive(Debug, Default)]
pub(super) struct Health(Mutex<Option<Rest>>);

#[derive(Debug, Clone, Copy)]
struct Rest {
    until: Instant,
    /// A request in the background finds out whether the host is back.
    is_probed: bool,
}

/// What to do about a host before a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Turn {
    InPlace,
    /// After all hosts that are in place.
    Last,
    /// As `Last`, and the caller finds out whether the host is back.
    LastAndProbe,
}

impl Health {
    /// Puts the host behind the others for `rest`. Returns whether it was in place.
    pub(super) fn rest(&self, rest: Duration) -> bool {
        let state = Rest {
            until: Instant::now() + rest,
            is_probed: false,
        };
        self.set(Some(state)).is_none()
    }

    /// Puts the host back in its place.
    pub(super) fn recover(&self) {
        self.set(None);
    }

    /// Returns the host's turn. A probe is asked for once; its outcome is reported with [`rest`](Self::rest) or
    /// [`recover`](Self::recover).
    pub(super) fn turn(&self) -> Turn {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match &mut *state {
            None => Turn::InPlace,
            Some(rest) if rest.is_probed || Instant::now() < rest.until => Turn::Last,
            Some(rest) => {
                rest.is_probed = true;
                Turn::LastAndProbe
            }
        }
    }

    fn set(&self, state: Option<Rest>) -> Option<Rest> {
        let mut current = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::replace(&mut *current, state)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_host_rests_and_is_probed_once() {
        let health = Health::default();
        let rest = Duration::from_secs(30);
        assert_eq!(health.turn(), Turn::InPlace);
        assert!(health.rest(rest) && !health.rest(rest));
        assert_eq!(health.turn(), Turn::Last);
        tokio::time::advance(rest).await;
        assert_eq!(health.turn(), Turn::LastAndProbe);
        assert_eq!(health.turn(), Turn::Last);
        health.rest(rest);
        assert_eq!(health.turn(), Turn::Last);
        health.recover();
        assert_eq!(health.turn(), Turn::InPlace);
    }
}
