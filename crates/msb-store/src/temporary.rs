//! The names of files that are being written.

use crate::random;

const PREFIX: &str = ".tmp-";

/// `.tmp-<pid>-<random>.<name>`: the pid is for people, the lock is what counts.
pub(crate) fn temporary_name(target: &str) -> String {
    let (pid, random) = (std::process::id(), random::number());
    format!("{PREFIX}{pid}-{random:016x}.{target}")
}

/// Returns whether a file name is one that [`temporary_name`] makes.
pub(crate) fn is_temporary(name: &str) -> bool {
    name.starts_with(PREFIX)
}
