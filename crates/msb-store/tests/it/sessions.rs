//! Sessions: which directories an operation has open, and for how long.

use std::path::{Path, PathBuf};

use crate::common::*;
use msb_oci::Digest;
use msb_store::{LockOn, Store};

/// The directories below `root` that this process has open.
#[cfg(target_os = "linux")]
fn open_dirs(root: &Path) -> Vec<PathBuf> {
    let files = std::fs::read_dir("/proc/self/fd").unwrap();
    let links = files.filter_map(|file| std::fs::read_link(file.unwrap().path()).ok());
    links
        .filter(|link| link.starts_with(root) && link.is_dir())
        .collect()
}

#[test]
#[cfg(target_os = "linux")]
fn nothing_that_a_session_returns_keeps_a_directory_open() {
    let temp = tempfile::tempdir().unwrap();
    let root = temp.path().canonicalize().unwrap();
    let store = Store::open(&root).unwrap();
    let session = store.session();
    let key = layer("a");
    let lock = session.try_lock(LockOn::Layer(&key.diff_id)).unwrap();
    let image = session.stage_layer_image(&key).unwrap();
    let partial = session.open_partial_blob(&key.diff_id, 10).unwrap();
    let lease = session.lease(&disk("a"), &[key], &[]).unwrap();
    let handle = session.clone();
    assert!(!open_dirs(&root).is_empty());
    drop(session);
    assert_eq!(open_dirs(&root), Vec::<PathBuf>::new());
    drop((lock, image, partial, lease, handle));
}

#[test]
fn a_cache_that_is_moved_between_two_sessions_is_noticed() {
    let temp = tempfile::tempdir().unwrap();
    let (root, moved) = (temp.path().join("cache"), temp.path().join("moved"));
    let store = Store::open(&root).unwrap();
    put_image(&store, "a");
    let image = staged(store.session().stage_layer_image(&layer("b")), &[7; 4096]);
    let sidecar = staged(store.session().stage_layer_sidecar(&layer("b")), b"tree");
    std::fs::rename(&root, &moved).unwrap();
    put_image(&store, "c");

    let blob = Digest::sha256_of(b"blob");
    let (image, sidecar) = (image.sync().unwrap(), sidecar.sync().unwrap());
    let before = files(&moved);
    let error = store
        .publish_layer(&layer("b"), &blob, image, sidecar)
        .unwrap_err();
    assert!(error.to_string().contains("move into place"), "{error}");
    assert_eq!(files(&moved), before, "nothing is written there");
    assert!(!has_layer(&store, &layer("b")));
    assert!(has_layer(&store, &layer("c")));
}

#[test]
fn a_layer_is_published_with_its_blob_whatever_list_it_had() {
    let temp = tempfile::tempdir().unwrap();
    let store = Store::open(temp.path()).unwrap();
    let [blob, other] = ["blob", "other"].map(|name| Digest::sha256_of(name.as_bytes()));
    let key = layer("a");
    let list = store.layer_image_path(&key).with_extension("blobs");
    put_image(&store, "other");
    let publish = |blob: &Digest| {
        let image = staged(store.stage_layer_image(&key), &[7; 4096]);
        let sidecar = staged(store.stage_layer_sidecar(&key), b"tree");
        let (image, sidecar) = (image.sync().unwrap(), sidecar.sync().unwrap());
        store.publish_layer(&key, blob, image, sidecar).unwrap();
        assert!(has_layer(&store, &key));
    };
    for before in [None, Some(""), Some("sha256:cut"), Some("\0\0\0")] {
        let _ = std::fs::remove_file(&list);
        if let Some(before) = before {
            std::fs::write(&list, before).unwrap();
            assert!(!store.is_verified_blob(&key, &blob).unwrap());
        }
        publish(&blob);
        assert!(store.is_verified_blob(&key, &blob).unwrap(), "{before:?}");
        assert!(!store.is_verified_blob(&key, &other).unwrap());
    }
    publish(&other);
    for blob in [blob, other] {
        assert!(store.is_verified_blob(&key, &blob).unwrap(), "{blob}");
    }
}
