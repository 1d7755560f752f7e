//! A folder, with all that is below it.

use std::fs;
use std::path::{Path, PathBuf};

/// All files below a folder.
pub(super) fn files(folder: &Path) -> Result<Vec<PathBuf>, std::io::Error> {
    let mut all = Vec::new();
    for entry in fs::read_dir(folder)? {
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
