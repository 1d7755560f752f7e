//! Whether a host is worth trying before others.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// The largest number of hosts whose state is kept while no client uses them.
const MAX_HOSTS: usize = 1024;

/// Which hosts failed a short time ago and are therefore tried last ([`Timeouts::host_rest`](crate::Timeouts::host_rest)).
///
/// A handle: clones share their state. Every client has a handle of its own, unless its builder is given one
/// ([`ClientBuilder::host_health`](crate::ClientBuilder::host_health)); then what one client finds out about a host saves the others the
/// wait for it.
///
/// ```
/// use msb_registry::{Client, HostHealth};
///
/// let health = HostHealth::default();
/// let first = Client::builder().host_health(health.clone()).build()?;
/// let second = Client::builder().host_health(health).build()?;
/// # Ok::<(), msb_registry::Error>(())
/// ```
#[derive(Debug, Clone, Default)]
pub struct HostHealth(Arc<Mutex<HashMap<Box<str>, Arc<Health>>>>);

impl HostHealth {
    /// Returns the state of the host `origin`: scheme, host and port of a URL, or the name of a registry.
    pub(super) fn of(&self, origin: &str) -> Arc<Health> {
        let mut hosts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = hosts.get(origin) {
            return Arc::clone(known);
        }
        if hosts.len() >= MAX_HOSTS {
            hosts.retain(|_, health| Arc::strong_count(health) > 1);
        }
        let health = Arc::<Health>::default();
        hosts.insert(origin.into(), Arc::clone(&health));
        health
    }
}

/// The state of one host, shared by all requests of its clients.
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

    #[test]
    fn hosts_are_forgotten_unless_a_client_uses_them() {
        let health = HostHealth::default();
        let used = health.of("https://used.example");
        for index in 0..10 * MAX_HOSTS {
            health.of(&format!("https://{index}.example"));
        }
        assert!(health.0.lock().unwrap().len() <= MAX_HOSTS);
        assert!(Arc::ptr_eq(&used, &health.of("https://used.example")));
    }

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
