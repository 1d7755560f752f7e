//! The authorizations that work, by host, repository and scope.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use super::site::GrantKey;
use super::token_service::TokenSource;
use crate::error::CredentialUse;
use crate::exchange::request::Authorization;

/// The largest number of authorizations that are kept.
const MAX_GRANTS: usize = 256;

/// An authorization that a server accepted, or should.
#[derive(Debug, Clone)]
pub(super) struct Grant {
    pub(super) authorization: Authorization,
    pub(super) credentials: CredentialUse,
    /// `None` if it does not expire.
    pub(super) expires: Option<Instant>,
    /// Where to get the next one.
    pub(super) source: Option<TokenSource>,
}

impl Grant {
    pub(super) fn is_current(&self) -> bool {
        self.expires.is_none_or(|expires| Instant::now() < expires)
    }
}

/// Locked while a token is fetched, so that all requests that need it wait for one fetch.
pub(super) type Slot = Arc<tokio::sync::Mutex<Option<Grant>>>;

/// A bounded map of slots. A new one replaces the least recently used one.
#[derive(Debug, Default)]
pub(super) struct GrantCache(Mutex<Slots>);

#[derive(Debug, Default)]
struct Slots {
    slots: HashMap<GrantKey, (Slot, u64)>,
    /// Counts uses.
    clock: u64,
}

impl GrantCache {
    pub(super) fn slot(&self, key: &GrantKey) -> Slot {
        let mut cache = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        cache.clock += 1;
        let clock = cache.clock;
        if let Some((slot, used)) = cache.slots.get_mut(key) {
            *used = clock;
            return Arc::clone(slot);
        }
        if cache.slots.len() >= MAX_GRANTS {
            let oldest = cache.slots.iter().min_by_key(|(_, (_, used))| *used);
            if let Some(oldest) = oldest.map(|(key, _)| key.clone()) {
                cache.slots.remove(&oldest);
            }
        }
        let slot = Slot::default();
        cache.slots.insert(key.clone(), (Arc::clone(&slot), clock));
        slot
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(number: usize) -> GrantKey {
        GrantKey {
            origin: "https://registry.example".into(),
            repository: format!("a/{number}"),
            scope: "repository:a:pull".into(),
        }
    }

    #[test]
    fn the_cache_is_bounded_and_keeps_what_is_used() {
        let cache = GrantCache::default();
        let first = cache.slot(&key(0));
        for number in 1..10 * MAX_GRANTS {
            cache.slot(&key(number));
            assert!(Arc::ptr_eq(&first, &cache.slot(&key(0))));
        }
        assert_eq!(cache.0.lock().unwrap().slots.len(), MAX_GRANTS);
    }
}
