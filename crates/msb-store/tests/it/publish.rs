//! Publishing: all of a file or nothing, whenever the writer stops.

use std::fs::File;
use std::os::unix::fs::PermissionsExt as _;

use crate::common::*;
use msb_oci::Digest;
use msb_store::{PruneOptions, References, Store, publish_all};

/// The steps of a pull at which it can be killed.
const STEPS: [&str; 8] = [
    "staged",
    "synced",
    "image named",
    "sidecar named",
    "fsmeta named",
    "disk named",
    "blob",
    "recorded",
];

/// Pulls an image up to the step that the parent names, and waits to be killed there.
#[test]
fn child() {
    let Some(job) = job() else { return };
    let store = &job.store;
    let stop_at = |step: &str| {
        if job.what == step {
            ready_and_wait(step);
        }
    };
    let key = layer("a");
    let image_file = staged(store.stage_layer_image(&key), &[7; 4096]);
    let sidecar = staged(store.stage_layer_sidecar(&key), b"tree");
    let mut part = store.open_partial_blob(&key.diff_id, 10).unwrap().unwrap();
    part.append(b"0123").unwrap();
    stop_at("staged");
    let (image_file, sidecar) = (image_file.sync().unwrap(), sidecar.sync().unwrap());
    stop_at("synced");
    publish_all([image_file]).unwrap();
    stop_at("image named");
    sidecar.publish().unwrap();
    stop_at("sidecar named");
    let fsmeta = staged(store.stage_fsmeta(&disk("a")), &[0; 4096]);
    let vmdk = staged(store.stage_vmdk(&disk("a")), b"# Disk DescriptorFile\n");
    fsmeta.publish().unwrap();
    stop_at("fsmeta named");
    vmdk.publish().unwrap();
    stop_at("disk named");
    store
        .write_blob(&Digest::sha256_of(MANIFEST), MANIFEST)
        .unwrap();
    stop_at("blob");
    store
        .write_image(&image("a"), &"a", &references("a"))
        .unwrap();
    ready_and_wait("recorded");
}

#[test]
fn a_pull_killed_at_any_step_leaves_whole_artifacts_or_none() {
    for (at, step) in STEPS.iter().enumerate() {
        let temp = tempfile::tempdir().unwrap();
        let store = Store::open(temp.path()).unwrap();
        let (pull, word) = spawn("publish::child", step, temp.path());
        assert_eq!(word, *step);
        let while_alive = files(temp.path());
        assert_eq!(
            store.sweep_stale_temporaries().unwrap().files,
            0,
            "{step}: a live pull's files are not swept"
        );
        assert_eq!(files(temp.path()), while_alive);
        kill(pull);

        assert_eq!(has_layer(&store, &layer("a")), at >= 3, "{step}");
        assert_eq!(
            store.disk_lengths(&disk("a")).unwrap().is_some(),
            at >= 5,
            "{step}"
        );
        assert_eq!(
            store.read_image::<String>(&image("a")).unwrap().is_some(),
            at >= 7,
            "{step}"
        );
        let part = store
            .open_partial_blob(&layer("a").diff_id, 10)
            .unwrap()
            .expect("the dead pull's lock is gone");
        assert_eq!(part.len_bytes(), 4, "{step}: what was received is kept");
        part.discard().unwrap();

        let temporaries = if at < 2 { 2 } else { u64::from(at == 2) };
        let swept = store.sweep_stale_temporaries().unwrap();
        assert_eq!(swept.files, temporaries + u64::from(at == 4), "{step}");
        assert!(
            !files(temp.path())
                .iter()
                .any(|file| file.to_string_lossy().contains(".tmp-")),
            "{step}"
        );

        // And the next pull gets through, over whatever is there.
        put_image(&store, "a");
        assert_eq!(
            store.read_image::<String>(&image("a")).unwrap().as_deref(),
            Some("a")
        );
    }
}

#[test]
fn dropping_an_unpublished_file_leaves_nothing() {
    let temp = tempfile::tempdir().unwrap();
    let store = Store::open(temp.path()).unwrap();
    let target = store.layer_image_path(&layer("a"));
    let file = staged(store.stage_layer_image(&layer("a")), b"half");
    assert_eq!(
        file.path().parent(),
        target.parent(),
        "staged on the target's file system"
    );
    drop(file);
    drop(
        staged(store.stage_layer_image(&layer("a")), b"all")
            .sync()
            .unwrap(),
    );
    assert_eq!(files(temp.path()), [std::path::PathBuf::from("layout")]);
}

#[test]
fn a_clone_keeps_a_file_live_and_a_forgotten_writer_is_not_swept() {
    let temp = tempfile::tempdir().unwrap();
    let store = Store::open(temp.path()).unwrap();
    let file = staged(store.stage_layer_image(&layer("a")), b"x");
    let clone = file.try_clone_file().unwrap();
    std::mem::forget(file);
    assert_eq!(store.sweep_stale_temporaries().unwrap().files, 0);
    drop(clone);
}

#[test]
fn publishing_replaces_what_was_there() {
    let temp = tempfile::tempdir().unwrap();
    let store = Store::open(temp.path()).unwrap();
    let target = store.layer_sidecar_path(&layer("a"));
    staged(store.stage_layer_sidecar(&layer("a")), b"old")
        .publish()
        .unwrap();
    let reader = std::fs::read(&target).unwrap();
    staged(store.stage_layer_sidecar(&layer("a")), b"new")
        .publish()
        .unwrap();
    assert_eq!(
        (
            reader.as_slice(),
            std::fs::read(&target).unwrap().as_slice()
        ),
        (&b"old"[..], &b"new"[..])
    );
}

#[test]
fn a_batch_that_fails_halfway_has_published_in_order() {
    let temp = tempfile::tempdir().unwrap();
    let store = Store::open(temp.path()).unwrap();
    let key = layer("a");
    let image = staged(store.stage_layer_image(&key), b"image")
        .sync()
        .unwrap();
    let sidecar = staged(store.stage_layer_sidecar(&key), b"tree")
        .sync()
        .unwrap();
    // A directory in the sidecar's place, with something in it, cannot be replaced.
    std::fs::create_dir_all(store.layer_sidecar_path(&key).join("x")).unwrap();
    let error = publish_all([image, sidecar]).unwrap_err();
    assert_eq!(error.path(), store.layer_sidecar_path(&key));
    assert!(
        error.to_string().starts_with("cannot move into place "),
        "{error}"
    );
    assert!(store.layer_image_path(&key).exists());
    assert!(
        store.layer_lengths(&key).unwrap().is_none(),
        "without its sidecar it is not a layer"
    );
}

#[test]
fn truncated_or_missing_files_are_not_present() {
    let temp = tempfile::tempdir().unwrap();
    let store = Store::open(temp.path()).unwrap();
    put_image(&store, "a");
    let (key, disk) = (layer("a"), disk("a"));
    let lengths = store.disk_lengths(&disk).unwrap().unwrap();
    assert!(has_layer(&store, &key));
    std::fs::OpenOptions::new()
        .write(true)
        .open(store.layer_image_path(&key))
        .unwrap()
        .set_len(4095)
        .unwrap();
    std::fs::OpenOptions::new()
        .write(true)
        .open(store.vmdk_path(&disk))
        .unwrap()
        .set_len(3)
        .unwrap();
    assert!(!has_layer(&store, &key));
    assert_ne!(store.disk_lengths(&disk).unwrap(), Some(lengths));
    std::fs::remove_file(store.fsmeta_path(&disk)).unwrap();
    assert!(store.disk_lengths(&disk).unwrap().is_none());
}

#[test]
fn two_format_versions_of_a_layer_never_meet() {
    let temp = tempfile::tempdir().unwrap();
    let store = Store::open(temp.path()).unwrap();
    put_layer(&store, &layer("a"));
    let v2 = msb_store::LayerKey::new(layer("a").diff_id, msb_store::FormatVersion(2));
    assert!(!has_layer(&store, &v2));
}

#[test]
fn a_descriptor_still_points_right_after_the_cache_was_moved() {
    let temp = tempfile::tempdir().unwrap();
    let store = Store::open(temp.path().join("before")).unwrap();
    put_image(&store, "a");
    std::fs::rename(temp.path().join("before"), temp.path().join("after")).unwrap();
    let store = Store::open(temp.path().join("after")).unwrap();
    let descriptor = store.vmdk_path(&disk("a"));
    let through = descriptor.with_file_name(layer("a").image_path_from_descriptor());
    assert_eq!(
        through.canonicalize().unwrap(),
        store.layer_image_path(&layer("a")).canonicalize().unwrap()
    );
}

#[test]
fn several_processes_may_make_the_same_directory_at_once() {
    let temp = tempfile::tempdir().unwrap();
    let root = temp.path().join("a/b/c");
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| put_image(&Store::open(&root).unwrap(), "a"));
        }
    });
    let store = Store::open(&root).unwrap();
    assert!(has_layer(&store, &layer("a")));
    assert_eq!(store.sweep_stale_temporaries().unwrap().files, 0);
}

#[test]
fn sweeping_while_others_write_harms_nobody() {
    let temp = tempfile::tempdir().unwrap();
    let store = Store::open(temp.path()).unwrap();
    let done = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(std::sync::atomic::Ordering::Relaxed) {
                assert_eq!(
                    store.sweep_stale_temporaries().unwrap().bytes,
                    0,
                    "nothing with bytes in it was taken"
                );
            }
        });
        for _ in 0..100 {
            staged(store.stage_layer_sidecar(&layer("a")), b"tree")
                .publish()
                .unwrap();
        }
        done.store(true, std::sync::atomic::Ordering::Relaxed);
    });
    store
        .prune::<String>(&PruneOptions::default(), |_, name| references(&name))
        .unwrap();
}

#[test]
fn a_partial_blob_is_kept_only_when_it_is_whole() {
    let temp = tempfile::tempdir().unwrap();
    let store = Store::open(temp.path()).unwrap();
    let digest = Digest::sha256_of(b"12345");
    let open = || store.open_partial_blob(&digest, 5).unwrap().unwrap();
    let mut partial = open();
    partial.append(b"123").unwrap();
    assert!(!partial.keep().unwrap());
    assert_eq!(store.layer_blob_bytes(&digest).unwrap(), None);
    let mut partial = open();
    assert_eq!(partial.len_bytes(), 3);
    partial.append(b"45").unwrap();
    // Another process cut the file.
    File::options()
        .write(true)
        .open(partial.path())
        .unwrap()
        .set_len(4)
        .unwrap();
    assert!(!partial.keep().unwrap());
    let mut partial = open();
    partial.append(b"5").unwrap();
    let part = partial.path().to_owned();
    assert!(partial.keep().unwrap() && !part.exists());
    let path = store.layer_blob_path(&digest);
    assert_eq!(std::fs::read(&path).unwrap(), b"12345");
    assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o444);
    // The record that depends on it needs all of it.
    let mut references = References::default();
    references.layer_blobs.insert(digest);
    store.write_image(&image("a"), &"a", &references).unwrap();
    std::fs::remove_file(&path).unwrap();
    let error = store
        .write_image(&image("a"), &"a", &references)
        .unwrap_err();
    assert!(error.is_vanished());
}
