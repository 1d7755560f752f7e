//! The source tree under test, and what the machine permits.

use std::io;
use std::path::{Path, PathBuf};

use crate::Failure;

/// Returns the root folder of the workspace.
#[must_use]
pub fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().unwrap_or(here).to_owned()
}

/// Lists all files below a folder, sorted by path.
///
/// # Errors
/// When a folder cannot be read.
pub fn files(folder: &Path) -> Result<Vec<PathBuf>, io::Error> {
    let mut all = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            all.extend(files(&path)?);
        } else {
            all.push(path);
        }
    }
    all.sort();
    Ok(all)
}

/// Returns whether this process may mount file systems. Without root a developer's run leaves the mounts out.
///
/// # Errors
/// In CI, where no check may be left out, when the process is not root.
pub fn may_mount() -> Result<bool, Failure> {
    let is_root = rustix::process::geteuid().is_root();
    if !is_root && std::env::var_os("CI").is_some() {
        return Err("mounting needs root".into());
    }
    Ok(is_root)
}

/// Returns whether this run records what it finds as the expected result: `MSB_BLESS=1`. CI refuses it.
///
/// # Panics
/// When both `CI` and `MSB_BLESS` are set.
#[must_use]
pub fn is_blessing() -> bool {
    let is_blessing = std::env::var_os("MSB_BLESS").is_some_and(|value| value == "1");
    assert!(
        !(is_blessing && std::env::var_os("CI").is_some()),
        "CI compares with the committed results and records none"
    );
    is_blessing
}
