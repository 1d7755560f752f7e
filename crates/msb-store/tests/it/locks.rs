//! Locks between threads, and between processes that die.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use crate::common::{
    V1, disk, has_layer, image, is_leased, job, kill, layer, put_image, ready_and_wait, retry_lock,
    spawn,
};
use msb_store::{LockOn, Store};

/// Does what a parent test asks for; nothing, in the test run itself.
#[test]
fn child() {
    let Some(job) = job() else { return };
    match job.what.as_str() {
        "hold" => {
            let _lock = job
                .store
                .try_lock(LockOn::Layer(&layer("a").diff_id))
                .unwrap()
                .unwrap();
            ready_and_wait("locked");
        }
        "try" => {
            let lock = job
                .store
                .try_lock(LockOn::Layer(&layer("a").diff_id))
                .unwrap();
            ready_and_wait(if lock.is_some() { "locked" } else { "busy" });
        }
        "lease" => {
            let _lease = job.store.lease(&disk("a"), &[layer("a")], &[]).unwrap();
            ready_and_wait("leased");
        }
        other => panic!("no such job: {other}"),
    }
}

#[test]
fn killing_the_holder_frees_the_lock() {
    let temp = tempfile::tempdir().unwrap();
    let store = Store::open(temp.path()).unwrap();
    let (holder, word) = spawn("locks::child", "hold", temp.path());
    assert_eq!(word, "locked");
    let (other, word) = spawn("locks::child", "try", temp.path());
    assert_eq!(word, "busy", "two processes exclude one another");
    kill(other);

    let diff_id = layer("a").diff_id;
    assert!(store.try_lock(LockOn::Layer(&diff_id)).unwrap().is_none());
    kill(holder);
    let lock = retry_lock(&store, LockOn::Layer(&diff_id));
    assert!(lock.path().exists());
}

#[test]
fn threads_of_one_process_exclude_one_another() {
    let temp = tempfile::tempdir().unwrap();
    let store = Store::open(temp.path()).unwrap();
    let inside = AtomicUsize::new(0);
    std::thread::scope(|threads| {
        for _ in 0..8 {
            threads.spawn(|| {
                let _lock = retry_lock(&store, LockOn::Disk(&disk("a")));
                assert_eq!(inside.fetch_add(1, Ordering::SeqCst), 0);
                std::thread::sleep(Duration::from_millis(2));
                inside.fetch_sub(1, Ordering::SeqCst);
            });
        }
    });
}

#[test]
fn a_lock_file_deleted_by_hand_does_not_let_two_in() {
    let temp = tempfile::tempdir().unwrap();
    let store = Store::open(temp.path()).unwrap();
    let diff_id = layer("a").diff_id;
    let old = store.try_lock(LockOn::Layer(&diff_id)).unwrap().unwrap();
    let path = old.path().to_owned();
    std::thread::scope(|threads| {
        let other = threads.spawn(|| retry_lock(&store, LockOn::Layer(&diff_id)));
        std::thread::sleep(Duration::from_millis(20));
        std::fs::remove_file(&path).unwrap();
        drop(old);
        let new = other.join().unwrap();
        assert!(
            new.path().exists(),
            "the lock is on the file that has the name"
        );
        assert!(store.try_lock(LockOn::Layer(&diff_id)).unwrap().is_none());
    });
}

#[test]
fn locks_of_different_things_are_different() {
    let temp = tempfile::tempdir().unwrap();
    let store = Store::open(temp.path()).unwrap();
    let (a, b) = (layer("a").diff_id, layer("b").diff_id);
    let disk = msb_store::DiskKey::new(a, V1);
    let held = [LockOn::Layer(&a), LockOn::Layer(&b), LockOn::Disk(&disk)]
        .map(|on| store.try_lock(on).unwrap().expect("free"));
    assert_eq!(held.len(), 3);
}

#[test]
fn a_dead_vms_lease_is_gone_by_itself() {
    let temp = tempfile::tempdir().unwrap();
    let store = Store::open(temp.path()).unwrap();
    assert!(!is_leased(&store, &disk("a")));
    let (vm, _) = spawn("locks::child", "lease", temp.path());
    let ours = store.lease(&disk("a"), &[layer("a")], &[]).unwrap();
    assert!(is_leased(&store, &disk("a")), "leases share");
    drop(ours);
    assert!(is_leased(&store, &disk("a")));
    kill(vm);
    assert!(!is_leased(&store, &disk("a")));
}

#[test]
fn opening_a_store_that_is_in_use_is_cheap() {
    let temp = tempfile::tempdir().unwrap();
    let store = Store::open(temp.path()).unwrap();
    put_image(&store, "alpine");
    let begun = Instant::now();
    for _ in 0..100 {
        let store = Store::open(temp.path()).unwrap();
        assert_eq!(
            store
                .read_image::<String>(&image("alpine"))
                .unwrap()
                .as_deref(),
            Some("alpine")
        );
        assert!(has_layer(&store, &layer("alpine")));
        assert!(store.disk_lengths(&disk("alpine")).unwrap().is_some());
    }
    assert!(
        begun.elapsed() < Duration::from_millis(500),
        "5 ms each, in a debug build, on a busy machine: {:?}",
        begun.elapsed()
    );
}

#[test]
fn a_holder_reports_to_those_who_wait_and_a_later_holder_clears_it() {
    let temp = tempfile::tempdir().unwrap();
    let store = Store::open(temp.path()).unwrap();
    let diff_id = layer("a").diff_id;
    let on = LockOn::Layer(&diff_id);
    assert_eq!(store.lock_report(on).unwrap(), None);
    let lock = store.try_lock(on).unwrap().unwrap();
    lock.clear_report().unwrap();
    lock.report("1000 of 4000").unwrap();
    lock.report("2000 of 4000").unwrap();
    let report = || store.lock_report(on).unwrap();
    assert_eq!(report().as_deref(), Some("2000 of 4000"));
    lock.report(&"x".repeat(1000)).unwrap();
    assert_eq!(report().map(|line| line.len()), Some(63));
    drop(lock);
    let lock = store.try_lock(on).unwrap().unwrap();
    lock.clear_report().unwrap();
    assert_eq!(report(), None);
}

#[test]
fn a_prune_removes_the_lock_files_that_no_process_holds() {
    let temp = tempfile::tempdir().unwrap();
    let store = Store::open(temp.path()).unwrap();
    let name = |n: u32| msb_oci::Digest::sha256_of(&n.to_le_bytes());
    for n in 0..200 {
        drop(store.try_lock(LockOn::Layer(&name(n))).unwrap());
    }
    let held = store.try_lock(LockOn::Layer(&name(7))).unwrap().unwrap();
    let pruned = store
        .prune::<String>(&msb_store::PruneOptions::default(), |_, _| unreachable!())
        .unwrap();
    assert_eq!(pruned.locks, 199);
    assert!(held.path().exists());
    assert!(store.try_lock(LockOn::Layer(&name(7))).unwrap().is_none());
    let left = std::fs::read_dir(temp.path().join("locks"))
        .unwrap()
        .count();
    assert_eq!(left, 2, "the held one, and the gate's");
}

#[test]
fn locks_exclude_while_prunes_remove_their_files() {
    let temp = tempfile::tempdir().unwrap();
    let store = Store::open(temp.path()).unwrap();
    let diff_id = layer("a").diff_id;
    let inside = AtomicUsize::new(0);
    let done = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                let options = msb_store::PruneOptions::default();
                store
                    .prune::<String>(&options, |_, _| unreachable!())
                    .unwrap();
            }
        });
        let lockers: Vec<_> = (0..3)
            .map(|_| {
                scope.spawn(|| {
                    for _ in 0..200 {
                        let Some(_lock) = store.try_lock(LockOn::Layer(&diff_id)).unwrap() else {
                            continue;
                        };
                        assert_eq!(inside.fetch_add(1, Ordering::SeqCst), 0);
                        std::thread::yield_now();
                        inside.fetch_sub(1, Ordering::SeqCst);
                    }
                })
            })
            .collect();
        for locker in lockers {
            locker.join().unwrap();
        }
        done.store(true, Ordering::Relaxed);
    });
}

#[test]
fn a_child_process_inherits_a_lease_and_a_clone_keeps_it() {
    let temp = tempfile::tempdir().unwrap();
    let store = Store::open(temp.path()).unwrap();
    let lease = store.lease(&disk("a"), &[layer("a")], &[]).unwrap();
    let clone = lease.clone();
    drop(lease);
    assert!(is_leased(&store, &disk("a")));
    let inherited = clone.inheritable_fd().unwrap();
    let mut vm = std::process::Command::new("sleep")
        .arg("60")
        .spawn()
        .unwrap();
    drop((inherited, clone));
    assert!(is_leased(&store, &disk("a")), "the VM process holds it");
    vm.kill().unwrap();
    vm.wait().unwrap();
    assert!(!is_leased(&store, &disk("a")));
}
