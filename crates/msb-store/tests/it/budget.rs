//! Pins, the time of an image's use, disk usage, and a prune with a budget.

use std::fs::File;
use std::path::Path;
use std::time::{Duration, SystemTime};

use crate::common::*;
use msb_oci::Digest;
use msb_store::{Error, PinName, PruneOptions, Pruned, Store, USE_INTERVAL, Usage};

/// What [`put_image`] writes for an image alone, and the manifest that its images share.
const OWN_BYTES: u64 = 4096 + 4 + 4096 + 22;
const SHARED_BYTES: u64 = MANIFEST.len() as u64;

fn store(names: &[&str]) -> (tempfile::TempDir, Store) {
    let temp = tempfile::tempdir().unwrap();
    let store = Store::open(temp.path()).unwrap();
    // The first one was not used for longest.
    for (age, name) in names.iter().rev().enumerate() {
        put_image(&store, name);
        set_used(&store, name, 3600 + age as u64);
    }
    (temp, store)
}

fn set_used(store: &Store, name: &str, seconds_ago: u64) {
    set_time(&store.image_record_path(&image(name)), seconds_ago);
}

fn set_time(path: &Path, seconds_ago: u64) {
    let time = SystemTime::now() - Duration::from_secs(seconds_ago);
    File::open(path).unwrap().set_modified(time).unwrap();
}

fn used(store: &Store, name: &str) -> SystemTime {
    let record = store.image_record_path(&image(name));
    record.metadata().unwrap().modified().unwrap()
}

fn prune(store: &Store, options: &PruneOptions) -> Pruned {
    store
        .prune::<String>(options, |_, name| references(&name))
        .unwrap()
}

fn within(max_bytes: u64) -> PruneOptions {
    let mut options = PruneOptions::with_grace(Duration::ZERO);
    options.max_bytes = Some(max_bytes);
    options
}

fn usage(store: &Store) -> Usage {
    store.usage::<String>(|_, name| references(&name)).unwrap()
}

fn names(pruned: &Pruned) -> Vec<String> {
    let images = pruned.images.iter();
    images.map(|key| key.reference().to_owned()).collect()
}

fn is_cached(store: &Store, name: &str) -> bool {
    let is_recorded = store.read_image::<String>(&image(name)).unwrap().is_some();
    assert_eq!(is_recorded, has_layer(store, &layer(name)), "{name}");
    is_recorded
}

fn pin_name(name: &str) -> PinName {
    name.parse().unwrap()
}

#[test]
fn a_budget_removes_the_images_that_were_not_used_for_longest() {
    let (_temp, store) = store(&["a", "b", "c"]);
    let all = 3 * OWN_BYTES + SHARED_BYTES;
    assert_eq!(usage(&store).total_bytes, all);
    assert!(prune(&store, &within(all)).images.is_empty());
    let mut dry = within(all - 1);
    dry.dry_run = true;
    let would = prune(&store, &dry);
    assert!(would.images.len() == 1 && is_cached(&store, "a"));
    let pruned = prune(&store, &within(all - 1));
    assert!(names(&pruned)[0].ends_with("/a:latest"), "{pruned:?}");
    assert_eq!((pruned.images.len(), pruned.layers.len()), (1, 1));
    assert_eq!(pruned.bytes, OWN_BYTES);
    assert_eq!(would.bytes, pruned.bytes);
    assert!(!is_cached(&store, "a") && is_cached(&store, "b") && is_cached(&store, "c"));
    assert!(prune(&store, &within(0)).unmet.is_none());
    assert_eq!(usage(&store).total_bytes, 0);
}

#[test]
fn use_changes_the_order_and_is_recorded_now_and_then() {
    let (_temp, store) = store(&["a", "b"]);
    let before = used(&store, "a");
    // Reading is no use.
    store.read_image::<String>(&image("a")).unwrap().unwrap();
    assert_eq!(used(&store, "a"), before);
    store.use_image::<String>(&image("a")).unwrap().unwrap();
    let after = used(&store, "a");
    assert!(after > before);
    set_used(&store, "a", USE_INTERVAL.as_secs() - 60);
    let recent = used(&store, "a");
    store.use_image::<String>(&image("a")).unwrap().unwrap();
    assert_eq!(used(&store, "a"), recent, "a second write");
    let pruned = prune(&store, &within(OWN_BYTES + SHARED_BYTES));
    assert!(names(&pruned)[0].ends_with("/b:latest"), "{pruned:?}");
    let mut older = PruneOptions::with_grace(Duration::ZERO);
    older.older_than = Some(Duration::from_secs(7200));
    assert!(prune(&store, &older).images.is_empty());
    older.older_than = Some(Duration::from_secs(60));
    assert_eq!(prune(&store, &older).images.len(), 1);
}

#[test]
fn what_is_leased_pinned_or_young_stays_and_the_report_names_it() {
    let (temp, store) = store(&["leased", "pinned", "young", "old"]);
    let lease = store
        .lease(&disk("leased"), &[layer("leased")], &[])
        .unwrap();
    store
        .pin(&pin_name("p"), &image("pinned"), &references("pinned"))
        .unwrap();
    for file in files(temp.path()) {
        let text = file.to_str().unwrap();
        let dirs = ["layers/", "disks/", "blobs/"];
        if dirs.iter().any(|dir| text.starts_with(dir)) || text.ends_with(".vmdk") {
            set_time(&temp.path().join(&file), 7200);
        }
    }
    set_used(&store, "young", 30);
    let mut options = within(0);
    options.grace = Duration::from_secs(60);
    let pruned = prune(&store, &options);
    assert_eq!(pruned.images.len(), 1, "{pruned:?}");
    for name in ["leased", "pinned", "young"] {
        assert!(is_cached(&store, name), "{name}");
    }
    let unmet = pruned.unmet.unwrap();
    assert_eq!(unmet.actual_bytes, 3 * OWN_BYTES + SHARED_BYTES);
    assert_eq!(
        unmet.leased_bytes + unmet.pinned_bytes + unmet.young_bytes,
        unmet.actual_bytes
    );
    assert_eq!(unmet.young_bytes, OWN_BYTES);
    let usage = usage(&store);
    let of = |name: &str| {
        let mut images = usage.images.iter();
        images
            .find(|image| image.key.reference().contains(name))
            .unwrap()
    };
    assert!(of("leased").is_leased && !of("young").is_leased);
    assert_eq!(of("pinned").pins, ["p"]);
    assert_eq!(
        (of("young").bytes, of("young").own_bytes),
        (OWN_BYTES + SHARED_BYTES, OWN_BYTES)
    );
    assert_eq!(of("young").shared_bytes, SHARED_BYTES);
    // Removing it would free nothing.
    assert_eq!(of("pinned").own_bytes, 0);
    drop(lease);
    assert!(store.unpin(&pin_name("p")).unwrap());
    assert!(!store.unpin(&pin_name("p")).unwrap());
    assert!(prune(&store, &within(0)).unmet.is_none());
}

#[test]
fn a_pin_holds_what_its_image_had_even_without_the_record() {
    let (_temp, store) = store(&["a"]);
    let name = pin_name("keep-1");
    store.pin(&name, &image("a"), &references("a")).unwrap();
    store.remove_image(&image("a")).unwrap();
    let pruned = prune(&store, &PruneOptions::with_grace(Duration::ZERO));
    assert!(pruned.layers.is_empty() && has_layer(&store, &layer("a")));
    assert_eq!(pruned.kept_in_use.artifacts, 3);
    assert_eq!(usage(&store).reclaimable_bytes, 0);
    store.unpin(&name).unwrap();
    let pruned = prune(&store, &PruneOptions::with_grace(Duration::ZERO));
    assert_eq!(pruned.layers, [layer("a")]);
}

#[test]
fn a_pin_names_one_image_whose_artifacts_exist() {
    let (temp, store) = store(&["a", "b"]);
    let name = pin_name("p");
    store.pin(&name, &image("a"), &references("a")).unwrap();
    store.pin(&name, &image("a"), &references("a")).unwrap();
    let taken = store.pin(&name, &image("b"), &references("b")).unwrap_err();
    assert!(matches!(&taken, Error::PinTaken { actual, .. } if **actual == image("a")));
    let other = pin_name("q");
    let gone = store
        .pin(&other, &image("c"), &references("c"))
        .unwrap_err();
    assert!(gone.is_vanished(), "{gone}");
    let pins = store.pins().unwrap();
    assert_eq!((pins.len(), &pins[0].key), (1, &image("a")));
    assert_eq!(pins[0].artifacts, references("a"));
    for bad in ["", ".", ".p", "-p", "a/b", "a b", "\u{e4}", &"p".repeat(65)] {
        assert!(bad.parse::<PinName>().is_err(), "{bad:?}");
    }
    // Files with other names are not the store's.
    std::fs::write(temp.path().join("pins/notes.txt"), "x").unwrap();
    std::fs::write(temp.path().join("pins/.p.pin"), "x").unwrap();
    assert_eq!(store.pins().unwrap().len(), 1);
}

#[test]
fn a_damaged_pin_stops_a_prune_and_can_be_removed() {
    let (temp, store) = store(&["a"]);
    let name = pin_name("p");
    store.pin(&name, &image("a"), &references("a")).unwrap();
    let path = temp.path().join("pins/p.pin");
    let text = std::fs::read(&path).unwrap();
    for at in 0..text.len() {
        let mut damaged = text.clone();
        damaged[at] ^= 1;
        std::fs::remove_file(&path).unwrap();
        std::fs::write(&path, damaged).unwrap();
        let error = store
            .prune::<String>(&PruneOptions::default(), |_, name| references(&name))
            .unwrap_err();
        assert!(matches!(error, Error::BadPin { .. }), "{at}: {error}");
    }
    assert!(store.unpin(&name).unwrap());
    prune(&store, &PruneOptions::default());
}

#[test]
fn what_images_share_is_freed_with_the_last_of_them() {
    let (_temp, store) = store(&["a"]);
    let mut shared = references("a");
    shared.blobs.insert(Digest::sha256_of(b"more"));
    store
        .write_blob(&Digest::sha256_of(b"more"), b"more")
        .unwrap();
    // The record's value decides what it needs.
    store.write_image(&image("twin"), &"a", &shared).unwrap();
    set_used(&store, "twin", 7200);
    let usage = usage(&store);
    assert!(usage.images.iter().all(|image| image.own_bytes == 0));
    assert_eq!(usage.reclaimable_bytes, 4);
    let pruned = prune(&store, &within(OWN_BYTES + SHARED_BYTES));
    assert!(
        pruned.images.is_empty(),
        "the unneeded blob alone was enough"
    );
    let pruned = prune(&store, &within(OWN_BYTES));
    assert_eq!(pruned.images.len(), 2);
    assert_eq!(pruned.layers, [layer("a")]);
}
