//! A program of this machine with its libraries.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

use super::cpio::Cpio;
use crate::{KitError, command};

/// Adds a program to a root file system as `name`, and the libraries and the loader that `ldd` names, at their own paths.
pub(super) fn add(archive: &mut Cpio, name: &str, program: &Path) -> Result<(), KitError> {
    let read = |path: &Path| fs::read(path).map_err(KitError::io("read", path));
    archive.file(name, &read(program)?);
    let listed = command::run(Command::new("ldd").arg(program))?.stdout;
    let listed = String::from_utf8_lossy(&listed).into_owned();
    let libraries = listed
        .split_ascii_whitespace()
        .filter(|word| word.starts_with('/'));
    let mut folders = BTreeSet::new();
    for library in libraries {
        let path = Path::new(library);
        let mut above: Vec<&Path> = path.ancestors().skip(1).collect();
        above.reverse();
        for folder in above {
            let folder = folder.to_string_lossy();
            let folder = folder.trim_start_matches('/');
            if !folder.is_empty() && folders.insert(folder.to_owned()) {
                archive.folder(folder);
            }
        }
        archive.file(library.trim_start_matches('/'), &read(path)?);
    }
    Ok(())
}
