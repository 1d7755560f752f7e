//! Pruning: what is needed, used or new stays.

use std::fs::File;
use std::path::Path;
use std::time::{Duration, SystemTime};

use crate::common::*;
use msb_oci::Digest;
use msb_store::{Error, LockOn, PruneOptions, Pruned, Removal, Store};

fn store() -> (tempfile::TempDir, Store) {
    let temp = tempfile::tempdir().unwrap();
    let store = Store::open(temp.path()).unwrap();
    (temp, store)
}

fn prune(store: &Store) -> Pruned {
    store
        .prune::<String>(&PruneOptions::default(), |_, name| references(&name))
        .unwrap()
}

/// Makes every file an hour old.
fn age(root: &Path) {
    for file in files(root) {
        let an_hour_ago = SystemTime::now() - Duration::from_secs(3600);
        File::options()
            .append(true)
            .open(root.join(file))
            .unwrap()
            .set_modified(an_hour_ago)
            .unwrap();
    }
}

#[test]
fn prune_removes_what_no_record_needs_and_keeps_the_rest() {
    let (temp, store) = store();
    put_image(&store, "kept");
    put_image(&store, "gone");
    store
        .write_blob(&Digest::sha256_of(b"stray"), b"stray")
        .unwrap();
    store
        .open_partial_blob(&Digest::sha256_of(b"blob"), 10)
        .unwrap()
        .unwrap()
        .append(b"01234")
        .unwrap();
    std::fs::write(temp.path().join("layers/notes.txt"), "not ours").unwrap();
    std::fs::write(temp.path().join("layers/sha256/notes.txt"), "not ours").unwrap();
    store.remove_image(&image("gone")).unwrap();
    age(temp.path());
    let pruned = prune(&store);
    assert_eq!(pruned.layers, [layer("gone")]);
    assert_eq!(pruned.disks, [disk("gone")]);
    assert_eq!(pruned.blobs, [Digest::sha256_of(b"stray")]);
    assert_eq!(
        (
            pruned.partial_blobs,
            pruned.temporaries,
            pruned.corrupt_records
        ),
        (1, 0, 0)
    );
    assert_eq!(pruned.bytes, 4096 + 4 + 4096 + 22 + 5 + 5);
    assert!(!store.disk_dir(&disk("gone")).exists());
    assert!(store.has_layer(&layer("kept"), IMAGE_BYTES).unwrap());
    assert!(store.disk_lengths(&disk("kept")).unwrap().is_some());
    assert!(
        temp.path().join("layers/sha256/notes.txt").exists(),
        "names that are not ours are left alone"
    );
    assert_eq!(prune(&store), Pruned::default());
}

#[test]
fn what_was_pulled_a_moment_ago_stays() {
    let (temp, store) = store();
    put_layer(&store, &layer("new"));
    put_disk(&store, &disk("new"));
    assert_eq!(prune(&store), Pruned::default());
    let future = SystemTime::now() + Duration::from_secs(3600);
    File::options()
        .append(true)
        .open(store.layer_image_path(&layer("new")))
        .unwrap()
        .set_modified(future)
        .unwrap();
    let all = PruneOptions::with_grace(Duration::ZERO);
    let pruned = store.prune::<String>(&all, |_, _| unreachable!()).unwrap();
    assert!(pruned.layers.is_empty(), "a time in the future is young");
    assert_eq!(pruned.disks.len(), 1);
    age(temp.path());
    assert_eq!(prune(&store).layers, [layer("new")]);
}

#[test]
fn writing_a_blob_again_makes_it_new() {
    let (temp, store) = store();
    let digest = Digest::sha256_of(MANIFEST);
    store.write_blob(&digest, MANIFEST).unwrap();
    age(temp.path());
    store.write_blob(&digest, MANIFEST).unwrap();
    assert_eq!(prune(&store), Pruned::default());
}

#[test]
fn a_leased_disk_keeps_its_layers_after_its_record_is_gone() {
    let (temp, store) = store();
    put_image(&store, "vm");
    let lease = store.lease(&disk("vm"), &[layer("vm")], &[]).unwrap();
    store.remove_image(&image("vm")).unwrap();
    age(temp.path());
    let pruned = prune(&store);
    assert!(
        pruned.layers.is_empty() && pruned.disks.is_empty(),
        "{pruned:?}"
    );
    assert_eq!(store.remove_disk(&disk("vm")).unwrap(), Removal::InUse);
    assert_eq!(store.remove_layer(&layer("vm")).unwrap(), Removal::InUse);
    drop(lease);
    let pruned = prune(&store);
    assert_eq!((pruned.layers.len(), pruned.disks.len()), (1, 1));
    prune(&store);
    assert!(
        !files(temp.path())
            .iter()
            .any(|file| file.starts_with("leases")),
        "no lease is left of a disk that is gone"
    );
    assert_eq!(store.remove_layer(&layer("vm")).unwrap(), Removal::Absent);
}

#[test]
fn a_pulls_lease_keeps_layers_that_have_no_disk_yet() {
    let (temp, store) = store();
    let _lease = store.lease(&disk("pull"), &[layer("pull")], &[]).unwrap();
    let _more = store.lease(&disk("pull"), &[layer("second")], &[]).unwrap();
    put_layer(&store, &layer("pull"));
    put_layer(&store, &layer("second"));
    age(temp.path());
    assert_eq!(prune(&store), Pruned::default());
}

#[test]
fn a_locked_layer_is_not_removed_under_its_maker() {
    let (temp, store) = store();
    put_layer(&store, &layer("busy"));
    age(temp.path());
    let lock = store
        .try_lock(LockOn::Layer(&layer("busy").diff_id))
        .unwrap()
        .unwrap();
    assert!(prune(&store).layers.is_empty());
    drop(lock);
    assert_eq!(prune(&store).layers, [layer("busy")]);
}

#[test]
fn an_open_part_and_a_live_temporary_are_not_pruned() {
    let (temp, store) = store();
    let _part = store
        .open_partial_blob(&Digest::sha256_of(b"blob"), 10)
        .unwrap()
        .unwrap();
    let _staged = staged(&store, &store.fsmeta_path(&disk("a")), b"half");
    age(temp.path());
    let pruned = store
        .prune::<String>(
            &PruneOptions::with_grace(Duration::ZERO),
            |_, _| unreachable!(),
        )
        .unwrap();
    assert_eq!((pruned.partial_blobs, pruned.temporaries), (0, 0));
}

#[test]
fn half_a_layer_is_listed_as_incomplete_and_pruned() {
    let (temp, store) = store();
    staged(&store, &store.layer_image_path(&layer("half")), &[0; 4096])
        .publish()
        .unwrap();
    staged(&store, &store.fsmeta_path(&disk("half")), &[0; 4096])
        .publish()
        .unwrap();
    assert!(!store.layers().unwrap()[0].complete && !store.disks().unwrap()[0].complete);
    put_image(&store, "whole");
    let whole = store
        .layers()
        .unwrap()
        .into_iter()
        .find(|stored| stored.key == layer("whole"))
        .unwrap();
    assert!(whole.complete && whole.bytes == 4100);
    assert_eq!(store.blobs().unwrap()[0].key, Digest::sha256_of(MANIFEST));
    age(temp.path());
    let pruned = prune(&store);
    assert_eq!(
        (pruned.layers, pruned.disks),
        (vec![layer("half")], vec![disk("half")])
    );
}

#[test]
fn a_record_that_cannot_be_read_stops_the_prune_unless_told_otherwise() {
    let (temp, store) = store();
    put_image(&store, "a");
    put_layer(&store, &layer("maybe needed"));
    let bad = store.image_record_path(&image("bad"));
    std::fs::write(&bad, "{").unwrap();
    age(temp.path());
    let error = store
        .prune::<String>(&PruneOptions::default(), |_, name| references(&name))
        .unwrap_err();
    assert!(matches!(error, Error::RecordDecode { .. }), "{error}");
    assert!(
        store
            .has_layer(&layer("maybe needed"), IMAGE_BYTES)
            .unwrap()
    );
    let mut options = PruneOptions::default();
    options.remove_corrupt_records = true;
    let pruned = store
        .prune::<String>(&options, |_, name| references(&name))
        .unwrap();
    assert_eq!((pruned.corrupt_records, pruned.layers.len()), (1, 1));
    assert!(!bad.exists() && store.read_image::<String>(&image("a")).unwrap().is_some());

    std::fs::write(&bad, r#"{"format":2}"#).unwrap();
    assert!(
        store
            .prune::<String>(&options, |_, name| references(&name))
            .unwrap_err()
            .is_newer()
    );
    assert!(
        bad.exists(),
        "a later version's record is nobody's to remove"
    );
}
