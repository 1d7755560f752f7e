//! Space that pulls reserve on a disk that they share.

use msb_store::{PruneOptions, References, Store};

use crate::common::{files, job, kill, ready_and_wait, spawn};

/// More than a quarter of what any disk of a test has left, and less than all of it.
fn half(store: &Store) -> u64 {
    let bytes = fs4::available_space(store.root().parent().unwrap()).unwrap();
    bytes / 2
}

#[test]
fn child() {
    let Some(job) = job() else {
        return;
    };
    let _reserved = job
        .store
        .try_reserve(half(&job.store), false)
        .unwrap()
        .unwrap();
    ready_and_wait("reserved");
}

#[test]
fn space_that_another_process_reserved_is_waited_for_until_it_is_dead() {
    let temp = tempfile::tempdir().unwrap();
    let root = temp.path().join("cache");
    let store = Store::open(&root).unwrap();
    let (child, _) = spawn("space::child", "reserve", &root);
    assert!(store.try_reserve(half(&store), false).unwrap().is_none());
    // What fits beside it does not wait, unless it must be alone.
    assert!(store.try_reserve(4096, true).unwrap().is_none());
    assert_eq!(files(&root.join("locks")).len(), 1);
    let pruned = store.prune(&PruneOptions::default(), |_, _: ()| References::default());
    assert_eq!(pruned.unwrap().temporaries, 0, "it is in use");
    kill(child);
    let reserved = store.try_reserve(half(&store), true).unwrap().unwrap();
    assert!(!reserved.has_others());
    assert_eq!(files(&root.join("locks")).len(), 1);
    drop(reserved);
    assert!(files(&root.join("locks")).is_empty());
}

#[test]
fn small_pulls_reserve_side_by_side_and_too_large_ones_fail() {
    let temp = tempfile::tempdir().unwrap();
    let store = Store::open(temp.path()).unwrap();
    let first = store.try_reserve(4096, false).unwrap().unwrap();
    let second = store.try_reserve(4096, false).unwrap().unwrap();
    assert!(!first.has_others() && second.has_others());
    let error = store.try_reserve(u64::MAX, false).unwrap_err();
    assert!(error.is_full(), "{error}");
    assert!(error.to_string().contains("bytes needed"), "{error}");
}
