//! Numbers that differ between processes and calls; good enough for names and jitter, and for nothing secret.

use std::hash::{BuildHasher as _, RandomState};

/// Returns a number that is unlikely to repeat: the standard library seeds each thread from the system.
pub(crate) fn number() -> u64 {
    RandomState::new().hash_one(std::process::id())
}

/// Returns a random duration between half of `limit` and all of it.
pub(crate) fn jittered(limit: std::time::Duration) -> std::time::Duration {
    let thousandths = 500 + u32::try_from(number() % 501).expect("a remainder below 501 fits");
    limit * thousandths / 1000
}
