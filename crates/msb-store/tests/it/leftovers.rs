//! What a prune finds beside the artifacts of images: what died with its writer, what an older version wrote, and what is not the cache's.

use std::path::Path;
use std::time::Duration;

use crate::common::*;
use crate::prune::{age, prune, store};
use msb_store::{LockOn, PruneOptions, Store};

#[test]
fn what_killed_pulls_left_goes_and_what_live_ones_write_stays() {
    let temp = tempfile::tempdir().unwrap();
    let store = Store::open(temp.path()).unwrap();
    put_image(&store, "kept");
    let before = files(temp.path());
    // Each leaves a partial blob, temporaries in the layer's and the disk's directory, a lease, and locks.
    for n in 0..4 {
        let (pull, _) = spawn("leftovers::child", &n.to_string(), temp.path());
        kill(pull);
    }
    let (live, _) = spawn("leftovers::child", "live", temp.path());
    age(temp.path());
    let pruned = prune(&store);
    assert_eq!((pruned.partial_blobs, pruned.temporaries), (4, 8));
    let left = files(temp.path());
    assert_eq!(
        left.iter()
            .filter(|f| f.to_string_lossy().contains(".tmp-"))
            .count(),
        2
    );
    assert_eq!(
        left.iter()
            .filter(|f| f.to_string_lossy().contains(".part"))
            .count(),
        1
    );
    kill(live);
    let pruned = prune(&store);
    assert_eq!((pruned.partial_blobs, pruned.temporaries), (1, 2));
    assert_eq!(files(temp.path()), before);
    let all = PruneOptions::with_grace(Duration::ZERO);
    store
        .prune::<String>(&all, |_, name| references(&name))
        .unwrap();
    let disks = std::fs::read_dir(temp.path().join("disks/sha256")).unwrap();
    assert_eq!(disks.count(), 1);
}

#[test]
fn the_disks_of_an_older_layout_are_not_read_and_pruned_when_no_process_leases_them() {
    let (temp, store) = store();
    put_image(&store, "new");
    let old = |name: &str| {
        let key = disk(name);
        let dir = format!("disks/sha256/{}.{}", key.chain.hex(), key.version);
        let dir = temp.path().join(dir);
        std::fs::create_dir(&dir).unwrap();
        for file in [
            "fsmeta.erofs",
            "rootfs.vmdk",
            ".tmp-1-0123456789abcdef.rootfs.vmdk",
        ] {
            std::fs::write(dir.join(file), [1; 100]).unwrap();
        }
        dir
    };
    let (gone, leased, foreign) = (old("gone"), old("leased"), old("foreign"));
    std::fs::write(foreign.join("notes"), "not ours").unwrap();
    let young = prune(&store);
    assert_eq!((young.disks.len(), young.bytes), (0, 0));
    assert!(store.disk_lengths(&disk("gone")).unwrap().is_none());
    age(temp.path());
    let lease = store.lease(&disk("leased"), &[], &[]).unwrap();
    let pruned = prune(&store);
    assert_eq!(pruned.disks, [disk("gone")]);
    assert_eq!(pruned.bytes, 600);
    assert!(!gone.exists() && leased.join("rootfs.vmdk").exists());
    assert_eq!(files(&foreign), [Path::new("notes")]);
    drop(lease);
    assert_eq!(prune(&store).disks, [disk("leased")]);
    assert!(!leased.exists() && store.disk_lengths(&disk("new")).unwrap().is_some());
}

#[test]
fn a_prune_leaves_every_file_alone_that_is_not_the_caches() {
    let hex = "0".repeat(64);
    let foreign = [
        ".tmp-notes".to_owned(),
        ".tmp-1-2.layout".to_owned(),
        ".tmp-1-0123456789abcdef.notes".to_owned(),
        "images/holiday.json".to_owned(),
        "images/.tmp-1-0123456789abcdef.holiday.json".to_owned(),
        "images/.tmp-holiday.json".to_owned(),
        "locks/yarn.lock".to_owned(),
        format!("locks/disk-sha256-{hex}.lock"),
        "locks/layer-sha256-abc.lock".to_owned(),
        "layers/sha256/.tmp-1-0123456789abcdef.erofs".to_owned(),
        "layers/sha256/notes.v1.erofs".to_owned(),
        "blobs/sha256/.tmp-1-0123456789abcdef.notes".to_owned(),
        format!(".tmp-1-0123456789abcdef.sha256-{hex}.vmdk"),
        format!("sha256-{hex}.vmdk"),
        "disks/sha256/mine/.tmp-1-0123456789abcdef.rootfs.vmdk".to_owned(),
        format!("disks/sha256/{hex}.v1/.tmp-1-0123456789abcdef.notes"),
    ];
    // Each alone, in a directory that is none or looks like a cache; and all of them in a cache.
    let mut sets: Vec<Vec<&String>> = foreign.iter().map(|name| vec![name]).collect();
    sets.push(foreign.iter().collect());
    for set in sets {
        let temp = tempfile::tempdir().unwrap();
        let store = Store::open(temp.path()).unwrap();
        if set.len() > 1 {
            put_image(&store, "a");
        }
        for name in &set {
            let path = temp.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, "of another program").unwrap();
        }
        age(temp.path());
        let mut options = PruneOptions::with_grace(Duration::ZERO);
        options.remove_corrupt_records = true;
        let pruned = store.prune::<String>(&options, |_, name| references(&name));
        for name in &set {
            assert!(temp.path().join(name).exists(), "{name}: {pruned:?}");
        }
        if set.len() > 1 {
            assert_eq!(pruned.unwrap().bytes, 0);
            assert_eq!(store.list_images::<String>().unwrap().len(), 1);
        }
    }
}

/// Starts a pull and waits to be killed in the middle of it; nothing, in the test run itself.
#[test]
fn child() {
    let Some(job) = job() else { return };
    let (store, name) = (&job.store, &job.what);
    let _lease = store.lease(&disk(name), &[layer(name)], &[]).unwrap();
    let _lock = store.try_lock(LockOn::Layer(&layer(name).diff_id)).unwrap();
    let _image = staged(store.stage_layer_image(&layer(name)), &[1; 9000]);
    let _fsmeta = staged(store.stage_fsmeta(&disk(name)), &[1; 9000]);
    let mut partial = store
        .open_partial_blob(&layer(name).diff_id, 10)
        .unwrap()
        .unwrap();
    partial.append(b"012345").unwrap();
    ready_and_wait("pulling");
}
