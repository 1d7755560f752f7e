//! Whatever the other cache looks like, a pull has the right image in the end, and changes nothing there.

use std::os::unix::fs::PermissionsExt as _;

use super::*;

type Damage = fn(&Setup);

fn change(path: &Path, change: impl FnOnce(&mut Vec<u8>)) {
    fs::set_permissions(path, fs::Permissions::from_mode(0o644)).unwrap();
    let mut bytes = fs::read(path).unwrap();
    change(&mut bytes);
    fs::write(path, bytes).unwrap();
}

fn sidecar(setup: &Setup) -> PathBuf {
    setup.image.layers[1].erofs.with_extension("layer")
}

fn image(setup: &Setup) -> &Path {
    &setup.image.layers[1].erofs
}

fn no_disk(setup: &Setup) {
    fs::remove_dir_all(setup.tier.path().join("disks")).unwrap();
}

/// Each damage, and the layers that it costs.
const DAMAGES: [(&str, Damage, &[usize]); 14] = [
    (
        "a layer is cut",
        |s| change(image(s), |b| b.truncate(4096)),
        &[1],
    ),
    (
        "a layer is gone",
        |s| fs::remove_file(image(s)).unwrap(),
        &[1],
    ),
    (
        "a sidecar is cut",
        |s| change(&sidecar(s), |b| b.truncate(30)),
        &[1],
    ),
    (
        "the trailer of a sidecar is damaged",
        |s| {
            change(&sidecar(s), |b| *b.last_mut().unwrap() ^= 1);
        },
        &[1],
    ),
    (
        "a sidecar is damaged, and the disk is gone",
        |s| {
            change(&sidecar(s), |b| b[3] ^= 1);
            no_disk(s);
        },
        &[1],
    ),
    (
        "a sidecar is a directory",
        |s| {
            fs::remove_file(sidecar(s)).unwrap();
            fs::create_dir(sidecar(s)).unwrap();
        },
        &[1],
    ),
    (
        "a layer is a link",
        |s| {
            let there = s.tier.path().join("moved");
            fs::rename(image(s), &there).unwrap();
            std::os::unix::fs::symlink(there, image(s)).unwrap();
        },
        &[1],
    ),
    (
        "merged metadata is cut",
        |s| change(&s.image.fsmeta, |b| b.truncate(4096)),
        &[],
    ),
    (
        "the descriptor has another text",
        |s| change(&s.image.vmdk, |b| b[20] ^= 1),
        &[],
    ),
    ("the disk is gone", no_disk, &[]),
    (
        "the list of verified blobs is gone",
        |s| {
            fs::remove_file(image(s).with_extension("blobs")).unwrap();
        },
        &[1],
    ),
    (
        "the layout is a later one",
        |s| {
            change(&s.tier.path().join("layout"), |b| {
                *b = b"msb-store layout 99\n".to_vec()
            });
        },
        &[0, 1, 2],
    ),
    (
        "the directory is empty",
        |s| {
            fs::remove_dir_all(s.tier.path()).unwrap();
            fs::create_dir(s.tier.path()).unwrap();
        },
        &[0, 1, 2],
    ),
    (
        "the directory is a file",
        |s| {
            fs::remove_dir_all(s.tier.path()).unwrap();
            fs::write(s.tier.path(), "").unwrap();
        },
        &[0, 1, 2],
    ),
];

#[tokio::test]
async fn a_damaged_cache_costs_what_is_damaged_and_no_pull() {
    for (what, damage, expected) in DAMAGES {
        let setup = Setup::new(&[1, 2, 3]).await;
        damage(&setup);
        let before = snapshot(setup.tier.path());
        let own = tempfile::tempdir().unwrap();
        let cache = setup.above(&own);
        // Its records name what is damaged, too.
        let result = pull_as(&cache, &setup.reference, PullPolicy::Always).await;
        assert_eq!(setup.requested_layers(), expected, "{what}");
        result.verify(true).unwrap();
        assert!(result.vmdk.starts_with(own.path()), "{what}");
        drop(result);
        let platform = Platform::new("linux", "amd64");
        assert!(
            cache
                .verify(&setup.reference, &platform, true)
                .unwrap()
                .is_sound()
        );
        assert!(snapshot(setup.tier.path()) == before, "{what}");

        let other = tempfile::tempdir().unwrap();
        let result = pull(&setup.above(&other), &setup.reference).await;
        result.verify(true).unwrap();
        if setup.tier.path().is_file() {
            fs::remove_file(setup.tier.path()).unwrap();
        }
    }
}

#[tokio::test]
async fn a_flipped_byte_is_found_before_use_where_checksums_are_asked_for() {
    for is_disk in [true, false] {
        let setup = Setup::new(&[1, 2, 3]).await;
        if !is_disk {
            no_disk(&setup);
        }
        change(image(&setup), |bytes| bytes[30_000] ^= 1);
        let before = snapshot(setup.tier.path());
        for policy in [PullPolicy::Always, PullPolicy::IfMissing] {
            let own = tempfile::tempdir().unwrap();
            let mut options = reading([setup.tier.path()]);
            options.verify_cache_from = true;
            let result = pull_as(&cache(own.path(), options), &setup.reference, policy).await;
            assert_eq!(setup.requested_layers(), [1]);
            result.verify(true).unwrap();
        }
        assert!(snapshot(setup.tier.path()) == before);
    }
}

#[tokio::test]
async fn damage_of_a_disk_that_is_used_in_place_is_found_and_repaired_here() {
    let setup = Setup::new(&[1, 2, 3]).await;
    let own = tempfile::tempdir().unwrap();
    let cache = setup.above(&own);
    drop(pull(&cache, &setup.reference).await);
    change(image(&setup), |bytes| bytes[30_000] ^= 1);
    let before = snapshot(setup.tier.path());
    let platform = Platform::new("linux", "amd64");
    let found = cache.verify(&setup.reference, &platform, true).unwrap();
    let paths: Vec<_> = found.damage.iter().map(|damage| &damage.path).collect();
    assert_eq!(paths, [image(&setup)]);
    let registry = Registry::new(platform.clone(), cache.clone()).unwrap();
    let repair = registry.repair(&setup.reference).await.unwrap();
    assert!(repair.is_sound());
    assert_eq!(setup.requested_layers(), [1]);
    let result = pull(&cache, &setup.reference).await;
    assert!(result.vmdk.starts_with(own.path()));
    assert!(snapshot(setup.tier.path()) == before);
}
