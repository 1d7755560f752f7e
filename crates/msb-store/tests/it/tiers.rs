//! Caches that are only read.

use std::path::Path;

use msb_oci::Digest;
use msb_store::{Error, LockOn, References, Store, StoreOptions};

use crate::common::{disk, image, layer, put_image, put_layer};

fn above(root: &Path, tiers: &[&Path]) -> Store {
    let mut options = StoreOptions::default();
    options.cache_from = tiers.iter().map(|tier| tier.into()).collect();
    Store::with_options(root, options).unwrap()
}

#[test]
fn every_writing_call_on_a_cache_that_is_only_read_is_refused() {
    let (own, tier) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let store = Store::open(tier.path()).unwrap();
    put_layer(&store, &layer("a"));
    put_image(&store, "alpine");
    let digest = Digest::sha256_of(b"x");
    store.write_blob(&digest, b"x").unwrap();
    let damaged = Digest::sha256_of(b"damaged");
    let hex = damaged.hex();
    std::fs::write(tier.path().join(format!("blobs/sha256/{hex}")), "other").unwrap();

    let own = above(own.path(), &[tier.path(), tier.path()]);
    assert_eq!(own.tiers().len(), 1, "each once");
    let seen = own.tiers()[0].look::<_, Error>(|tier| {
        assert!(tier.layer_lengths(&layer("a"))?.is_some());
        assert_eq!(tier.read_blob(&digest, 10)?.as_deref(), Some(&b"x"[..]));
        assert!(tier.read_blob(&damaged, 10)?.is_none());
        let refused: [(&str, Result<(), Error>); 10] = [
            ("stage", tier.stage_layer_image(&layer("b")).map(drop)),
            ("stage", tier.stage_fsmeta(&disk("b")).map(drop)),
            ("write", tier.write_blob(&Digest::sha256_of(b"y"), b"y")),
            ("touch", tier.write_blob(&digest, b"x")),
            (
                "record",
                tier.write_image(&image("b"), &"b", &References::default()),
            ),
            ("verified", tier.record_verified_blob(&layer("a"), &damaged)),
            ("lock", tier.try_lock(LockOn::Layer(&damaged)).map(drop)),
            ("lease", tier.lease(&disk("a"), &[], &[]).map(drop)),
            ("remove", tier.remove_image(&image("alpine")).map(drop)),
            ("partial", tier.open_partial_blob(&digest, 10).map(drop)),
        ];
        for (what, result) in refused {
            let error = result.err().unwrap_or_else(|| panic!("{what} was done"));
            assert!(matches!(error, Error::ReadOnly { .. }), "{what}: {error}");
        }
        Ok(Some(()))
    });
    assert!(seen.is_some());
    assert!(tier.path().join(format!("blobs/sha256/{hex}")).exists());
}

#[test]
fn a_directory_that_is_no_cache_or_a_later_one_is_absent_as_a_tier() {
    let own = tempfile::tempdir().unwrap();
    let later = tempfile::tempdir().unwrap();
    std::fs::write(later.path().join("layout"), "msb-store layout 99\n").unwrap();
    let foreign = tempfile::tempdir().unwrap();
    std::fs::write(foreign.path().join("notes.txt"), "").unwrap();
    let missing = later.path().join("missing");
    let tiers = [later.path(), foreign.path(), &missing, own.path()];
    let store = above(own.path(), &tiers);
    assert_eq!(store.tiers().len(), 3, "a cache does not read from itself");
    for tier in store.tiers() {
        let looked = tier.look::<(), Error>(|_| panic!("{} was used", tier.root().display()));
        assert!(looked.is_none());
    }
    assert!(!missing.exists());
}

#[test]
fn a_copy_has_all_bytes_and_the_holes_and_ends_when_it_is_cancelled() {
    use std::io::Write as _;
    use std::os::unix::fs::{FileExt as _, MetadataExt as _};

    let temp = tempfile::tempdir().unwrap();
    let store = Store::open(temp.path()).unwrap();
    let mut file = tempfile::tempfile_in(temp.path()).unwrap();
    file.write_all(b"first").unwrap();
    file.write_all_at(b"last", 40 << 20).unwrap();
    let bytes = (40 << 20) + 8192;
    file.set_len(bytes).unwrap();
    let staged = store.stage_layer_image(&layer("a")).unwrap();
    assert!(staged.copy_from(&file, bytes, || false).unwrap());
    let copied = std::fs::read(staged.path()).unwrap();
    assert_eq!(
        (&copied[..5], &copied[40 << 20..][..4]),
        (&b"first"[..], &b"last"[..])
    );
    assert_eq!(copied.len() as u64, bytes);
    assert!(staged.file().metadata().unwrap().blocks() * 512 < 1 << 20);

    let staged = store.stage_layer_image(&layer("b")).unwrap();
    assert!(!staged.copy_from(&file, bytes, || true).unwrap());
    let error = staged.copy_from(&file, bytes + 1, || false).unwrap_err();
    assert!(error.to_string().contains("copied"), "{error}");
}

#[test]
fn a_cache_for_all_users_stays_readable_for_them_and_writable_for_its_owner() {
    use std::os::unix::fs::MetadataExt as _;

    let temp = tempfile::tempdir().unwrap();
    let root = temp.path().join("public");
    let mut options = StoreOptions::default();
    options.is_public = true;
    let store = Store::with_options(&root, options).unwrap();
    put_layer(&store, &layer("a"));
    // Another handle, without the option.
    put_image(&Store::open(&root).unwrap(), "alpine");
    let mut open = vec![root];
    while let Some(path) = open.pop() {
        let entry = path.metadata().unwrap();
        let expected: &[u32] = match entry.is_dir() {
            true => &[0o2755],
            false => &[0o444, 0o600],
        };
        let mode = entry.mode() & 0o7777;
        assert!(expected.contains(&mode), "{}: {mode:o}", path.display());
        if entry.is_dir() {
            open.extend(
                std::fs::read_dir(&path)
                    .unwrap()
                    .map(|entry| entry.unwrap().path()),
            );
        }
    }
}
