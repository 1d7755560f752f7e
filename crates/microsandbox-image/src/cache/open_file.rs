use std::fs::File;
use std::io;
use std::path::Path;

use msb_store::Store;

/// Opens a file of the cache for reading, by its path in a result or below the directory of a descriptor.
pub(crate) fn open_file(path: &Path) -> io::Result<File> {
    let opened = Store::open_path(path).map_err(|error| match error {
        msb_store::Error::Io { source, .. } => source,
        error => io::Error::other(error),
    })?;
    opened.ok_or_else(|| io::ErrorKind::NotFound.into())
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
        let layers = root.join("layers/sha256");
        fs::create_dir_all(&layers).unwrap();
        fs::write(layers.join("a.erofs"), b"layer").unwrap();
        let named = root.join("layers/sha256/a.erofs");
        assert_eq!(open_file(&named).unwrap().metadata().unwrap().len(), 5);
        // A directory that is a link leads out of the cache, and only the store notices.
        let elsewhere = tempfile::tempdir().unwrap();
        fs::rename(&layers, elsewhere.path().join("sha256")).unwrap();
        symlink(elsewhere.path().join("sha256"), &layers).unwrap();
        assert!(File::open(&named).is_ok());
        open_file(&named).unwrap_err();
        // A name that leads upwards is not one of the cache's, whatever it leads to.
        fs::remove_file(&layers).unwrap();
        fs::rename(elsewhere.path().join("sha256"), &layers).unwrap();
        open_file(&named).unwrap();
        open_file(&root.join("layers/sha256/../sha256/a.erofs")).unwrap_err();
    }
}
