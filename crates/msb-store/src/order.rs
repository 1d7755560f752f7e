//! The order in which directories are opened, and names and bytes become durable; recorded while tests run.

use std::cell::RefCell;
use std::path::{Path, PathBuf};

thread_local! {
    static NOTED: RefCell<Vec<(&'static str, PathBuf)>> = const { RefCell::new(Vec::new()) };
}

pub(crate) fn note(what: &'static str, path: &Path) {
    NOTED.with_borrow_mut(|noted| noted.push((what, path.to_owned())));
}

fn take() -> Vec<(&'static str, PathBuf)> {
    let mut noted = NOTED.take();
    noted.retain(|(what, _)| *what != "open");
    noted
}

/// Returns the directories that this thread opened since the last call.
pub(crate) fn take_opened() -> Vec<PathBuf> {
    let noted = NOTED.take();
    let opened = noted.into_iter().filter(|(what, _)| *what == "open");
    opened.map(|(_, path)| path).collect()
}

#[test]
fn files_are_synced_before_they_are_named() {
    let (_temp, store, references) = store_with_a_layer();
    let layer = references.layers.first().unwrap().clone();
    let (image, sidecar) = (
        store.layer_image_path(&layer),
        store.layer_sidecar_path(&layer),
    );
    let staged = [
        store.stage_layer_image(&layer).unwrap(),
        store.stage_layer_sidecar(&layer).unwrap(),
    ];
    let temporaries = staged.each_ref().map(|staged| staged.path().to_owned());
    take();
    crate::publish_all(staged.map(|staged| staged.sync().unwrap())).unwrap();
    let [first, second] = temporaries;
    let expected = [
        ("sync", first),
        ("sync", second),
        ("name", image),
        ("name", sidecar),
    ];
    assert_eq!(take(), expected);
}

#[test]
fn the_directories_above_a_new_cache_are_synced_before_its_marker_is_named() {
    let temp = tempfile::tempdir().unwrap();
    let root = temp.path().join("a/b/cache");
    std::fs::create_dir_all(&root).unwrap();
    // A process that created the root and died, and then none at all.
    for is_there in [true, false] {
        if !is_there {
            std::fs::remove_dir_all(temp.path().join("a")).unwrap();
        }
        take();
        let store = crate::Store::open(&root).unwrap();
        store
            .write_blob(&msb_oci::Digest::sha256_of(b""), b"")
            .unwrap();
        let noted = take();
        let marker = ("name", root.join("layout"));
        let marked = noted.iter().position(|step| *step == marker).unwrap();
        for above in ["", "a", "a/b"] {
            let synced = ("sync", temp.path().join(above));
            assert!(noted[..marked].contains(&synced), "{above}: {noted:?}");
        }
    }
    // Once for each cache.
    let store = crate::Store::open(&root).unwrap();
    store
        .write_blob(&msb_oci::Digest::sha256_of(b"x"), b"x")
        .unwrap();
    assert!(!take().contains(&("sync", temp.path().join("a/b"))));
}

#[test]
fn a_layers_blob_is_recorded_before_its_sidecar_is_named() {
    let (_temp, store, _) = store_with_a_layer();
    let layer = crate::LayerKey::new(
        msb_oci::Digest::sha256_of(b"other"),
        crate::FormatVersion(1),
    );
    let image = store.stage_layer_image(&layer).unwrap().sync().unwrap();
    let sidecar = store.stage_layer_sidecar(&layer).unwrap().sync().unwrap();
    take();
    let blob = msb_oci::Digest::sha256_of(b"blob");
    store.publish_layer(&layer, &blob, image, sidecar).unwrap();
    let image = store.layer_image_path(&layer);
    let expected = [
        ("name", image.clone()),
        ("name", image.with_extension("blobs")),
        ("name", store.layer_sidecar_path(&layer)),
    ];
    assert_eq!(take(), expected);
}

#[test]
fn a_record_is_named_after_every_directory_that_it_depends_on_is_synced() {
    let (_temp, store, references) = store_with_a_layer();
    let key = crate::ImageKey::new(&"alpine".parse().unwrap(), "linux/amd64");
    store.write_image(&key, &(), &references).unwrap();
    // Again, when nothing is new to this process: the directories might still not be durable.
    take();
    store.write_image(&key, &(), &references).unwrap();
    let noted = take();
    let record = store.image_record_path(&key);
    let named = noted
        .iter()
        .position(|step| *step == ("name", record.clone()))
        .unwrap();
    let root = store.root();
    for dir in ["", "layers", "layers/sha256"] {
        let dir = if dir.is_empty() {
            root.to_owned()
        } else {
            root.join(dir)
        };
        let synced = noted
            .iter()
            .position(|(what, path)| *what == "sync" && *path == dir);
        assert!(synced.is_some_and(|at| at < named), "{}", dir.display());
    }
    assert_eq!(
        noted.last(),
        Some(&("sync", root.join("images"))),
        "and its own comes last"
    );
}

fn store_with_a_layer() -> (tempfile::TempDir, crate::Store, crate::References) {
    let temp = tempfile::tempdir().unwrap();
    let store = crate::Store::open(temp.path()).unwrap();
    let layer = crate::LayerKey::new(msb_oci::Digest::sha256_of(b"tar"), crate::FormatVersion(1));
    store.stage_layer_image(&layer).unwrap().publish().unwrap();
    store
        .stage_layer_sidecar(&layer)
        .unwrap()
        .publish()
        .unwrap();
    let mut references = crate::References::default();
    references.layers.insert(layer);
    (temp, store, references)
}
