//! Pruning: what is needed, used or new stays.

use std::fs::File;
use std::path::Path;
use std::time::{Duration, SystemTime};

use crate::common::*;
use msb_oci::Digest;
use msb_store::{Error, LockOn, PruneOptions, Pruned, Store};

pub(crate) fn store() -> (tempfile::TempDir, Store) {
    let temp = tempfile::tempdir().unwrap();
    let store = Store::open(temp.path()).unwrap();
    (temp, store)
}

pub(crate) fn prune(store: &Store) -> Pruned {
    store
        .prune::<String>(&PruneOptions::default(), |_, name| references(&name))
        .unwrap()
}

/// Makes every file an hour old.
pub(crate) fn age(root: &Path) {
    for file in files(root) {
        let an_hour_ago = SystemTime::now() - Duration::from_secs(3600);
        let file = File::open(root.join(file)).unwrap();
        file.set_modified(an_hour_ago).unwrap();
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
    assert!(!store.fsmeta_path(&disk("gone")).exists());
    assert!(!store.vmdk_path(&disk("gone")).exists());
    assert!(has_layer(&store, &layer("kept")));
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
    let pruned = prune(&store);
    assert_eq!((pruned.bytes, pruned.kept_young.artifacts), (0, 2));
    let future = SystemTime::now() + Duration::from_secs(3600);
    File::open(store.layer_image_path(&layer("new")))
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
    let pruned = prune(&store);
    assert_eq!((pruned.bytes, pruned.kept_young.artifacts), (0, 1));
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
}

#[test]
fn a_pulls_lease_keeps_layers_that_have_no_disk_yet() {
    let (temp, store) = store();
    let _lease = store.lease(&disk("pull"), &[layer("pull")], &[]).unwrap();
    let _more = store.lease(&disk("pull"), &[layer("second")], &[]).unwrap();
    put_layer(&store, &layer("pull"));
    put_layer(&store, &layer("second"));
    age(temp.path());
    let pruned = prune(&store);
    assert_eq!((pruned.bytes, pruned.kept_in_use.artifacts), (0, 2));
    assert_eq!(pruned.kept_young.artifacts, 0);
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
    let _staged = staged(store.stage_fsmeta(&disk("a")), b"half");
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
fn half_a_layer_is_absent_and_pruned() {
    let (temp, store) = store();
    staged(store.stage_layer_image(&layer("half")), &[0; 4096])
        .publish()
        .unwrap();
    staged(store.stage_fsmeta(&disk("half")), &[0; 4096])
        .publish()
        .unwrap();
    assert!(store.layer_lengths(&layer("half")).unwrap().is_none());
    assert!(store.disk_lengths(&disk("half")).unwrap().is_none());
    put_image(&store, "whole");
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
    assert!(has_layer(&store, &layer("maybe needed")));
    let mut options = PruneOptions::default();
    options.remove_corrupt_records = true;
    let pruned = store
        .prune::<String>(&options, |_, name| references(&name))
        .unwrap();
    assert_eq!((pruned.corrupt_records, pruned.layers.len()), (1, 1));
    assert!(!bad.exists() && store.read_image::<String>(&image("a")).unwrap().is_some());

    std::fs::write(&bad, r#"{"format":3}"#).unwrap();
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

#[test]
fn a_pulls_lease_keeps_manifest_and_config() {
    let (temp, store) = store();
    let digest = Digest::sha256_of(MANIFEST);
    let lease = store
        .lease(&disk("a"), &[layer("a")], std::slice::from_ref(&digest))
        .unwrap();
    // Another image with the same layers has the same disk, and its own documents.
    let other = Digest::sha256_of(b"other");
    let second = store
        .lease(&disk("a"), &[layer("a")], std::slice::from_ref(&other))
        .unwrap();
    store.write_blob(&digest, MANIFEST).unwrap();
    store.write_blob(&other, b"other").unwrap();
    age(temp.path());
    assert!(
        prune(&store).blobs.is_empty(),
        "a pull longer than the grace age keeps them"
    );
    drop((lease, second));
    assert_eq!(prune(&store).blobs.len(), 2);
}

#[test]
fn the_kept_blob_of_a_layer_goes_with_the_last_image_that_uses_it() {
    let (temp, store) = store();
    let needed = Digest::sha256_of(b"needed");
    let leased = Digest::sha256_of(b"leased");
    let stray = Digest::sha256_of(b"stray");
    for (digest, bytes) in [(needed, b"needed"), (leased, b"leased")] {
        let blob = staged(store.stage_layer_blob(&digest), bytes);
        blob.publish().unwrap();
    }
    let mut partial = store.open_partial_blob(&stray, 5).unwrap().unwrap();
    partial.append(b"stray").unwrap();
    assert!(partial.keep().unwrap());
    assert_eq!(store.layer_blob_bytes(&stray).unwrap(), Some(5));
    put_image(&store, "a");
    let _lease = store.lease(&disk("other"), &[], &[leased]).unwrap();
    age(temp.path());
    let of_image = |name: String| {
        let mut references = references(&name);
        references.layer_blobs.insert(needed);
        references
    };
    let options = PruneOptions::default();
    let pruned = store.prune(&options, |_, name| of_image(name)).unwrap();
    assert_eq!((pruned.layer_blobs, pruned.bytes), (vec![stray], 5));
    assert_eq!(pruned.kept_in_use.bytes, 6);
    store.remove_image(&image("a")).unwrap();
    let pruned = store.prune(&options, |_, name| of_image(name)).unwrap();
    assert_eq!(pruned.layer_blobs, [needed]);
    assert_eq!(store.layer_blob_bytes(&needed).unwrap(), None);
    assert_eq!(store.layer_blob_bytes(&leased).unwrap(), Some(6));
}

#[test]
fn verified_blobs_are_remembered_with_their_layer_and_bounded() {
    let (temp, store) = store();
    let key = layer("a");
    put_layer(&store, &key);
    let blob = |n: u32| Digest::sha256_of(&n.to_le_bytes());
    assert!(!store.is_verified_blob(&key, &blob(0)).unwrap());
    for n in 0..100 {
        store.record_verified_blob(&key, &blob(n)).unwrap();
        store.record_verified_blob(&key, &blob(n)).unwrap();
    }
    assert!(!store.is_verified_blob(&key, &blob(0)).unwrap());
    assert!((84..100).all(|n| store.is_verified_blob(&key, &blob(n)).unwrap()));
    assert!(!store.is_verified_blob(&layer("b"), &blob(99)).unwrap());
    let list = store.layer_image_path(&key).with_extension("blobs");
    assert!(std::fs::metadata(&list).unwrap().len() < 2048);
    for damage in ["sha256:ab", "\0\0", "sha512:x\n"] {
        std::fs::remove_file(&list).unwrap();
        std::fs::write(&list, damage).unwrap();
        assert!(
            !store.is_verified_blob(&key, &blob(99)).unwrap(),
            "{damage:?}"
        );
    }
    store.record_verified_blob(&key, &blob(1)).unwrap();
    assert!(store.is_verified_blob(&key, &blob(1)).unwrap());
    age(temp.path());
    assert_eq!(prune(&store).layers, [key]);
    assert!(!list.exists());
}
