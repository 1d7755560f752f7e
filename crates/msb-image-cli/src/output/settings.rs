//! What the arguments set for all output of the process.

use std::sync::atomic::{AtomicBool, Ordering};

static ERRORS_ARE_JSON: AtomicBool = AtomicBool::new(false);
static QUIET: AtomicBool = AtomicBool::new(false);

/// Returns whether an error is printed as a JSON object.
pub(crate) fn errors_are_json() -> bool {
    ERRORS_ARE_JSON.load(Ordering::Relaxed)
}

pub(crate) fn set_errors_are_json(is_json: bool) {
    ERRORS_ARE_JSON.store(is_json, Ordering::Relaxed);
}

/// Returns whether only results are printed.
pub(crate) fn is_quiet() -> bool {
    QUIET.load(Ordering::Relaxed)
}

pub(crate) fn set_quiet(is_quiet: bool) {
    QUIET.store(is_quiet, Ordering::Relaxed);
}
