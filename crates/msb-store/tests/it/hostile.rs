//! A cache directory in which links, fifos and hard links lie where the store's own files should be.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::os::unix::fs::{MetadataExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, SystemTime};

use crate::common::*;
use msb_oci::Digest;
use msb_store::{Error, LockOn, PruneOptions, Store};

/// Everything below a directory, with what would show a write, a removal or a new name.
fn snapshot(dir: &Path) -> BTreeMap<PathBuf, (u64, Vec<u8>, SystemTime, u64)> {
    files(dir)
        .into_iter()
        .map(|file| {
            let path = dir.join(&file);
            let metadata = path.symlink_metadata().unwrap();
            let bytes = std::fs::read(&path).unwrap_or_default();
            let modified = metadata.modified().unwrap();
            (file, (metadata.ino(), bytes, modified, metadata.nlink()))
        })
        .collect()
}

/// Every operation of the store that touches the disk; errors are expected.
fn do_everything(store: &Store) {
    let all = PruneOptions::with_grace(Duration::ZERO);
    for name in ["a", "b"] {
        let (key, disk) = (layer(name), disk(name));
        let _ = store.layer_lengths(&key);
        let _ = store.disk_lengths(&disk);
        let _ = store.open_layer_image(&key);
        let _ = store.open_layer_sidecar(&key);
        let _ = store.open_fsmeta(&disk);
        let _ = store.read_vmdk(&disk, 1 << 20);
        let _ = store.record_verified_blob(&key, &key.diff_id);
        let _ = store.is_verified_blob(&key, &key.diff_id);
        let _ = store.lease(&disk, std::slice::from_ref(&key), &[]);
        let _ = store.try_lock(LockOn::Layer(&key.diff_id));
        if let Ok(Some(mut partial)) = store.open_partial_blob(&key.diff_id, 1 << 20) {
            let _ = partial.append(b"from the registry");
        }
        let staged = [
            store.stage_layer_image(&key),
            store.stage_layer_sidecar(&key),
            store.stage_fsmeta(&disk),
            store.stage_vmdk(&disk),
        ];
        for staged in staged.into_iter().flatten() {
            let _ = staged.file().write_all(b"from the registry");
            let _ = staged.publish();
        }
        let digest = Digest::sha256_of(MANIFEST);
        let _ = store.read_blob(&digest, 1 << 20);
        let _ = store.write_blob(&digest, MANIFEST);
        let _ = store.write_image(&image(name), &name, &references(name));
        let _ = store.read_image::<String>(&image(name));
    }
    let _ = store.list_images::<String>();
    let _ = store.sweep_stale_temporaries();
    let _ = store.remove_image(&image("b"));
    let _ = store.prune::<String>(&all, |_, name| references(&name));
}

#[test]
fn no_directory_below_the_root_may_be_a_symbolic_link() {
    let dirs = [
        "layers",
        "layers/sha256",
        "disks",
        "disks/sha256",
        "blobs",
        "blobs/sha256",
        "images",
        "parts",
        "parts/sha256",
        "leases",
        "leases/sha256",
        "locks",
    ];
    for dir in dirs {
        let temp = tempfile::tempdir().unwrap();
        let (root, outside) = (temp.path().join("cache"), temp.path().join("outside"));
        let store = Store::open(&root).unwrap();
        put_image(&store, "a");
        drop(store.lease(&disk("a"), &[], &[]).unwrap());
        let mut partial = store
            .open_partial_blob(&layer("a").diff_id, 9)
            .unwrap()
            .unwrap();
        partial.append(b"123").unwrap();
        drop(partial);
        // Names of the cache, and a dead writer's temporary file, in another program's directory.
        std::fs::rename(root.join(dir), &outside).unwrap();
        let names: Vec<_> = std::fs::read_dir(&outside).unwrap().collect();
        for name in names {
            let name = name.unwrap().file_name().into_string().unwrap();
            let temporary = outside.join(format!(".tmp-1-0123456789abcdef.{name}"));
            std::fs::write(temporary, "a file of another program").unwrap();
        }
        std::fs::write(outside.join("other"), "a file of another program").unwrap();
        symlink(&outside, root.join(dir)).unwrap();
        let before = snapshot(&outside);
        do_everything(&store);
        do_everything(&Store::open(&root).unwrap());
        assert_eq!(snapshot(&outside), before, "{dir}");
        let error = store
            .prune::<String>(&PruneOptions::default(), |_, name| references(&name))
            .unwrap_err();
        assert!(
            matches!(&error, Error::NotADirectory { path } if path.starts_with(&root)),
            "{dir}: {error}"
        );
    }
}

#[test]
fn the_root_itself_may_be_a_symbolic_link() {
    let temp = tempfile::tempdir().unwrap();
    std::fs::create_dir(temp.path().join("real")).unwrap();
    symlink("real", temp.path().join("link")).unwrap();
    let store = Store::open(temp.path().join("link")).unwrap();
    put_image(&store, "a");
    assert!(has_layer(
        &Store::open(temp.path().join("real")).unwrap(),
        &layer("a")
    ));
    store
        .prune::<String>(&PruneOptions::default(), |_, name| references(&name))
        .unwrap();
}

/// What can lie under a name instead of a file of the store.
const PLANTS: [&str; 6] = [
    "hard link",
    "symbolic link",
    "dangling link",
    "fifo",
    "socket",
    "directory",
];

fn plant(what: &str, path: &Path, victim: &Path) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    let _ = std::fs::remove_file(path);
    match what {
        "hard link" => std::fs::hard_link(victim, path).unwrap(),
        "symbolic link" => symlink(victim, path).unwrap(),
        "dangling link" => symlink(victim.with_extension("new"), path).unwrap(),
        "fifo" => {
            let made = Command::new("mkfifo").arg(path).status().unwrap();
            assert!(made.success());
        }
        "socket" => {
            // A socket's address is short; a relative one is not needed as long as it fits.
            let short = tempfile::tempdir().unwrap();
            let at = short.path().join("s");
            let _listener = std::os::unix::net::UnixListener::bind(&at).unwrap();
            std::fs::rename(&at, path).unwrap();
        }
        "directory" => std::fs::create_dir(path).unwrap(),
        other => panic!("{other}"),
    }
}

/// A file outside the cache, and the cache.
fn victim_and_store(temp: &Path) -> (PathBuf, Store) {
    let victim = temp.join("outside/victim");
    std::fs::create_dir(temp.join("outside")).unwrap();
    std::fs::write(&victim, "0123456789 a file of another program").unwrap();
    (victim, Store::open(temp.join("cache")).unwrap())
}

#[test]
fn a_partial_blob_that_is_another_file_is_replaced() {
    for what in PLANTS {
        let temp = tempfile::tempdir().unwrap();
        let (victim, store) = victim_and_store(temp.path());
        let digest = Digest::sha256_of(b"blob");
        let path = temp
            .path()
            .join(format!("cache/parts/sha256/{}.part", digest.hex()));
        drop(store.open_partial_blob(&digest, 10).unwrap());
        plant(what, &path, &victim);
        let before = std::fs::read(&victim).unwrap();
        let opened = store.open_partial_blob(&digest, 10);
        if what == "directory" {
            assert_eq!(opened.unwrap_err().path(), path);
        } else {
            let mut partial = opened.unwrap().unwrap();
            assert_eq!(partial.len_bytes(), 0, "{what}");
            partial.append(b"registry").unwrap();
            partial.truncate(1).unwrap();
            assert_eq!(std::fs::read(&path).unwrap(), b"r", "{what}");
        }
        assert_eq!(std::fs::read(&victim).unwrap(), before, "{what}");
        assert_eq!(
            files(&temp.path().join("outside")),
            [PathBuf::from("victim")],
            "{what}"
        );
    }
}

#[test]
fn a_lock_that_is_another_file_is_replaced() {
    for what in PLANTS {
        let temp = tempfile::tempdir().unwrap();
        let (victim, store) = victim_and_store(temp.path());
        let diff_id = layer("a").diff_id;
        let lock = store.try_lock(LockOn::Layer(&diff_id)).unwrap().unwrap();
        let path = lock.path().to_owned();
        drop(lock);
        plant(what, &path, &victim);
        let before = std::fs::read(&victim).unwrap();
        let locked = store.try_lock(LockOn::Layer(&diff_id));
        if what == "directory" {
            assert_eq!(locked.unwrap_err().path(), path);
        } else {
            let lock = locked.unwrap().unwrap();
            assert!(path.symlink_metadata().unwrap().is_file(), "{what}");
            // What a holder reports goes into its lock file.
            lock.report("0 1 x").unwrap();
        }
        assert_eq!(std::fs::read(&victim).unwrap(), before, "{what}");
        assert_eq!(
            files(&temp.path().join("outside")),
            [PathBuf::from("victim")],
            "{what}"
        );
    }
}

#[test]
fn anything_but_a_regular_file_counts_as_absent_and_nothing_waits_for_a_fifo() {
    for what in [
        "symbolic link",
        "dangling link",
        "fifo",
        "socket",
        "directory",
    ] {
        let temp = tempfile::tempdir().unwrap();
        let (victim, store) = victim_and_store(temp.path());
        put_image(&store, "a");
        let (key, chain, digest) = (layer("a"), disk("a"), Digest::sha256_of(MANIFEST));
        let paths = [
            store.layer_image_path(&key),
            store.layer_sidecar_path(&key),
            store.fsmeta_path(&chain),
            store.vmdk_path(&chain),
            blob_path(&store, &digest),
            store.layer_image_path(&key).with_extension("blobs"),
        ];
        for path in &paths {
            plant(what, path, &victim);
        }
        let begun = std::time::Instant::now();
        assert!(store.open_layer_image(&key).unwrap().is_none(), "{what}");
        assert!(store.open_layer_sidecar(&key).unwrap().is_none(), "{what}");
        assert!(store.open_fsmeta(&chain).unwrap().is_none(), "{what}");
        assert!(
            store.read_vmdk(&chain, 1 << 20).unwrap().is_none(),
            "{what}"
        );
        assert!(
            store.read_blob(&digest, 1 << 20).unwrap().is_none(),
            "{what}"
        );
        assert!(!store.is_verified_blob(&key, &digest).unwrap(), "{what}");
        assert!(store.layer_lengths(&key).unwrap().is_none(), "{what}");
        assert!(store.disk_lengths(&chain).unwrap().is_none(), "{what}");
        let error = store
            .write_image(&image("b"), &"b", &references("a"))
            .unwrap_err();
        assert!(error.is_vanished(), "{what}: {error}");
        if what != "directory" {
            put_image(&store, "a");
            assert!(has_layer(&store, &key), "{what}: a pull writes new files");
        }
        assert!(begun.elapsed() < Duration::from_secs(5), "{what}");
        assert_eq!(
            std::fs::read(&victim).unwrap(),
            b"0123456789 a file of another program"
        );
        assert_eq!(
            files(&temp.path().join("outside")),
            [PathBuf::from("victim")],
            "{what}"
        );
    }
}

#[test]
fn a_path_of_a_result_is_opened_beneath_the_root_as_well() {
    let temp = tempfile::tempdir().unwrap();
    let root = temp.path().join("cache");
    let store = Store::open(&root).unwrap();
    put_image(&store, "a");
    let paths = [
        store.layer_image_path(&layer("a")),
        store.fsmeta_path(&disk("a")),
        store.vmdk_path(&disk("a")),
    ];
    for path in &paths {
        assert!(
            Store::open_path(path).unwrap().is_some(),
            "{}",
            path.display()
        );
    }
    for other in [
        "/etc/passwd",
        "/",
        "",
        "layers/sha256/x",
        "/a/layers/sha256",
    ] {
        assert!(
            !matches!(Store::open_path(Path::new(other)), Ok(Some(_))),
            "{other}"
        );
    }
    for dir in ["layers/sha256", "disks"] {
        std::fs::rename(root.join(dir), temp.path().join("outside")).unwrap();
        symlink(temp.path().join("outside"), root.join(dir)).unwrap();
        assert!(
            paths.iter().any(|path| Store::open_path(path).is_err()),
            "{dir}"
        );
        std::fs::remove_file(root.join(dir)).unwrap();
        std::fs::rename(temp.path().join("outside"), root.join(dir)).unwrap();
    }
}
