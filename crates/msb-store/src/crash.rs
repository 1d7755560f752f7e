//! Points at which a process can be made to abort, before and after every change that the store makes to the file system.
//!
//! They exist only in builds with debug assertions, where two variables control them; a release build calls the operation alone.
//!
//! ```text
//! MSB_STORE_CRASH_AT=N      aborts at the N-th point, from 1 on
//! MSB_STORE_CRASH_LOG=FILE  gets a line for every change that was made: what it was, and its paths
//! ```

use std::path::Path;

/// Runs a change of the file system.
#[cfg(not(debug_assertions))]
#[inline(always)]
pub(crate) fn around<T>(_: &'static str, _: &Path, _: &[&str], change: impl FnOnce() -> T) -> T {
    change()
}

/// Runs a change of the file system, with a point before and one after it. `names` are relative to `path`; without a name, `path` is what
/// changes.
#[cfg(debug_assertions)]
pub(crate) fn around<T>(
    what: &'static str,
    path: &Path,
    names: &[&str],
    change: impl FnOnce() -> T,
) -> T {
    enabled::point();
    let done = change();
    enabled::log(what, path, names);
    enabled::point();
    done
}

#[cfg(debug_assertions)]
mod enabled {
    use std::ffi::OsString;
    use std::fs::File;
    use std::io::Write as _;
    use std::path::Path;
    use std::sync::OnceLock;
    use std::sync::atomic::{AtomicU64, Ordering};

    pub(super) fn point() {
        static AT: OnceLock<Option<u64>> = OnceLock::new();
        static REACHED: AtomicU64 = AtomicU64::new(0);
        let at = AT.get_or_init(|| {
            let at = std::env::var("MSB_STORE_CRASH_AT").ok()?;
            at.parse().ok()
        });
        if let Some(at) = at
            && REACHED.fetch_add(1, Ordering::SeqCst) + 1 == *at
        {
            std::process::abort();
        }
    }

    pub(super) fn log(what: &str, path: &Path, names: &[&str]) {
        static LOG: OnceLock<Option<File>> = OnceLock::new();
        let log = LOG.get_or_init(|| {
            let path: OsString = std::env::var_os("MSB_STORE_CRASH_LOG")?;
            File::options().append(true).create(true).open(path).ok()
        });
        if let Some(mut log) = log.as_ref() {
            let mut line = what.to_owned();
            let paths = names.iter().map(|name| path.join(name));
            let alone = names.is_empty().then(|| path.to_owned());
            for path in paths.chain(alone) {
                line.push('\t');
                line.push_str(&path.to_string_lossy());
            }
            line.push('\n');
            // One write, so that lines of several threads do not mix.
            let _ = log.write_all(line.as_bytes());
        }
    }
}
