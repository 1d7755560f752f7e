use std::fs::File;
use std::io;
use std::path::{Component, Path, PathBuf};

use msb_store::Store;

/// Opens a file of the cache for reading. A path that a disk descriptor names leads from the folder of the disk to that of the layers.
pub(crate) fn open_file(path: &Path) -> io::Result<File> {
    let opened = Store::open_path(&without_parents(path)).map_err(|error| match error {
        msb_store::Error::Io { source, .. } => source,
        error => io::Error::other(error),
    })?;
    opened.ok_or_else(|| io::ErrorKind::NotFound.into())
}

/// Resolves each `..` by the name before it, so that the store opens the file from its own root. No directory of a cache below the root
/// is a symbolic link.
fn without_parents(path: &Path) -> PathBuf {
    let mut resolved = PathBuf::new();
    for component in path.components() {
        match component {
            Component::ParentDir if resolved.file_name().is_some() => {
                resolved.pop();
            }
            component => resolved.push(component),
        }
    }
    resolved
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn the_layers_of_a_disk_are_opened_below_the_root_of_the_cache() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        let disk = root.join("disks/sha256/key");
        let layers = root.join("layers/sha256");
        fs::create_dir_all(&disk).unwrap();
        fs::create_dir_all(&layers).unwrap();
        fs::write(layers.join("a.erofs"), b"layer").unwrap();
        let named = disk.join("../../../layers/sha256/a.erofs");
        assert_eq!(without_parents(&named), layers.join("a.erofs"));
        assert_eq!(open_file(&named).unwrap().metadata().unwrap().len(), 5);
        // A directory that is a link leads out of the cache, and only the store notices.
        let elsewhere = tempfile::tempdir().unwrap();
        fs::rename(&layers, elsewhere.path().join("sha256")).unwrap();
        symlink(elsewhere.path().join("sha256"), &layers).unwrap();
        assert!(File::open(&named).is_ok());
        open_file(&named).unwrap_err();
    }
}
