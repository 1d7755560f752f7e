//! Every oracle is shown to fail: kinds of damage, and the oracles that find them.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::collections::BTreeSet;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::{Arc, Mutex};

use common::oracles::is_root;
use common::{Stitched, stitch};
use msb_stitch::{DeviceId, DiskVerifier, VerifyError, verify_disk};
use msb_testkit::erofs_tools::fsck;
use msb_testkit::mount::KernelMount;
use msb_testkit::tar;
use msb_testkit::tree::{Ignore, Listing};

const LAYERS: [&str; 2] = [
    "dir . mtime=5\ndir d mode=0700 xattr.user.a=b\nfile d/a size=9000 seed=1 uid=7\nfile d/small size=100 seed=2\nlink e target=d/a\nsymlink l target=d/a\nchar n dev=1:3",
    "file d/b size=9000 seed=3 mtime=8.25\nfile s size=40000 seed=4 sparse=pax1.0 map=8192:4096,40000:0",
];

fn sample(layers: &[&str]) -> Stitched {
    stitch(
        &layers
            .iter()
            .map(|text| tar::recipe(text))
            .collect::<Vec<_>>(),
    )
}

fn verdict(disk: &Stitched) -> Result<(), VerifyError> {
    verify_disk(&disk.vmdk, Some(disk.merge.tree())).map(drop)
}

fn flip(path: &Path, at: u64) {
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .open(path)
        .unwrap();
    let mut byte = [0];
    file.read_exact_at(&mut byte, at).unwrap();
    file.write_all_at(&[byte[0] ^ 0x10], at).unwrap();
}

/// Returns the offset of these bytes in a file.
fn find(path: &Path, bytes: &[u8]) -> u64 {
    let all = fs::read(path).unwrap();
    all.windows(bytes.len())
        .position(|window| window == bytes)
        .unwrap() as u64
}

#[test]
fn one_changed_byte_of_file_data_fails_the_proof_of_contents_and_nothing_else() {
    let disk = sample(&LAYERS);
    assert!(verdict(&disk).is_ok());
    let data = msb_testkit::content::bytes(1, 9000);
    for at in [0, 4095, 4096, 8999] {
        let place = find(&disk.layers[0].image, &data) + at;
        flip(&disk.layers[0].image, place);
        let error = verdict(&disk).unwrap_err();
        assert!(
            matches!(&error, VerifyError::Contents { path, .. } if path == b"d/a"),
            "{error}"
        );
        // EROFS has no checksums of data, so neither the structure nor fsck shows the damage.
        assert!(verify_disk(&disk.vmdk, None).is_ok());
        fsck(&disk.fsmeta, &disk.devices()).unwrap();
        if is_root() {
            let mount = KernelMount::erofs(&disk.flat(), &[]).unwrap();
            let seen = Listing::walk(mount.path()).unwrap();
            flip(&disk.layers[0].image, place);
            let differs = disk.listing().diff(&seen, &Ignore::default());
            assert!(
                differs.len() == 1 && differs[0].contains("sha256"),
                "{differs:?}"
            );
        } else {
            flip(&disk.layers[0].image, place);
        }
    }
    assert!(verdict(&disk).is_ok());
}

#[test]
fn a_changed_byte_of_an_inline_file_fails_verification() {
    let disk = sample(&LAYERS);
    flip(
        &disk.fsmeta,
        find(&disk.fsmeta, &msb_testkit::content::bytes(2, 100)) + 50,
    );
    assert!(
        matches!(verdict(&disk), Err(VerifyError::Contents { path, .. }) if path == b"d/small")
    );
}

#[test]
fn a_changed_byte_of_the_superblock_or_the_device_table_is_noticed_by_everyone() {
    let disk = sample(&LAYERS);
    for at in [
        1024,
        1030,
        1024 + 14,
        1024 + 64,
        1024 + 128 + 64,
        1024 + 128 + 68,
    ] {
        flip(&disk.fsmeta, at);
        assert!(verdict(&disk).is_err(), "{at}");
        let fsck = fsck(&disk.fsmeta, &disk.devices());
        // After a checksum mismatch fsck.erofs 1.9 prints an error and exits with 0.
        let complains = fsck.is_err() || fsck.is_ok_and(|text| text.contains("checksum"));
        assert!(complains, "{at}");
        flip(&disk.fsmeta, at);
    }
    assert!(verdict(&disk).is_ok());
}

#[test]
fn every_change_of_a_used_byte_of_metadata_is_found() {
    let disk = sample(&LAYERS);
    let bytes = fs::read(&disk.fsmeta).unwrap();
    let mut unnoticed = Vec::new();
    for at in (1024..bytes.len() as u64).filter(|&at| bytes[usize::try_from(at).unwrap()] != 0) {
        flip(&disk.fsmeta, at);
        if verdict(&disk).is_ok() {
            unnoticed.push(at);
        }
        flip(&disk.fsmeta, at);
    }
    // `i_u` of an inode with only an inline tail, or a chunk size above its only chunk; `i_ino`, used only by 32-bit `stat`.
    unnoticed.retain(|at| !(16..24).contains(&(at % 32)));
    assert!(unnoticed.is_empty(), "{unnoticed:?}");
}

#[test]
fn two_swapped_extents_fail_verification() {
    let disk = sample(&["file a size=9000 seed=1", "file b size=9000 seed=2"]);
    assert!(verdict(&disk).is_ok());
    let text = fs::read_to_string(&disk.vmdk).unwrap();
    let swapped = text
        .replace("layer0", "@")
        .replace("layer1", "layer0")
        .replace('@', "layer1");
    fs::write(&disk.vmdk, swapped).unwrap();
    let error = verdict(&disk).unwrap_err();
    assert!(
        matches!(
            error,
            VerifyError::Contents { .. } | VerifyError::Filesystem { .. }
        ),
        "{error}"
    );

    let disk = sample(&["file a size=9000 seed=1", "file b size=99000 seed=2"]);
    let text = fs::read_to_string(&disk.vmdk).unwrap();
    let mut lines: Vec<&str> = text.lines().collect();
    let last = lines.len() - 1;
    lines.swap(last - 1, last);
    fs::write(&disk.vmdk, lines.join("\n") + "\n").unwrap();
    assert!(matches!(
        verdict(&disk),
        Err(VerifyError::DeviceTable { .. })
    ));
}

#[test]
fn a_missing_and_a_truncated_and_a_longer_file_fail_verification() {
    let disk = sample(&LAYERS);
    let image = &disk.layers[1].image;
    let bytes = fs::read(image).unwrap();
    for len in [0, bytes.len() - 4096, bytes.len() - 1] {
        fs::write(image, &bytes[..len]).unwrap();
        assert!(
            matches!(verdict(&disk), Err(VerifyError::Length { .. })),
            "{len}"
        );
    }
    fs::write(image, [&bytes[..], &[0; 4096]].concat()).unwrap();
    assert!(matches!(verdict(&disk), Err(VerifyError::Length { .. })));
    fs::remove_file(image).unwrap();
    assert!(matches!(verdict(&disk), Err(VerifyError::Read { .. })));
    fs::write(image, &bytes).unwrap();
    assert!(verdict(&disk).is_ok());

    let text = fs::read_to_string(&disk.vmdk).unwrap();
    let without = text
        .lines()
        .filter(|line| !line.contains("layer1"))
        .collect::<Vec<_>>()
        .join("\n");
    fs::write(&disk.vmdk, without + "\n").unwrap();
    assert!(verdict(&disk).is_err());
}

/// Checks that a valid disk is refused if it differs from the layers.
#[track_caller]
fn differs(from: &str, to: &str, path: &str, what: &str) {
    let (one, other) = (sample(&[from]), sample(&[to]));
    match verify_disk(&other.vmdk, Some(one.merge.tree())) {
        Err(VerifyError::Differs {
            path: found,
            what: why,
        }) => {
            assert_eq!(
                (
                    std::str::from_utf8(&found).unwrap().trim_start_matches('/'),
                    why
                ),
                (path, what)
            );
        }
        found => panic!("{what}: {found:?}"),
    }
    // The comparison of the other tests finds the difference too.
    assert!(
        !one.listing()
            .diff(&other.listing(), &Ignore::default())
            .is_empty()
    );
}

#[test]
fn each_lost_attribute_is_named() {
    differs(
        "file a size=1 mode=0644",
        "file a size=1 mode=0600",
        "a",
        "mode",
    );
    differs(
        "file a size=1 mode=4755",
        "file a size=1 mode=0755",
        "a",
        "mode",
    );
    differs("file a size=1 uid=1", "file a size=1", "a", "owner");
    differs("file a size=1 gid=1", "file a size=1", "a", "owner");
    differs(
        "file a size=1 mtime=5",
        "file a size=1 mtime=5.000000001",
        "a",
        "time",
    );
    differs("dir a xattr.user.b=c", "dir a", "a", "xattrs");
    differs(
        "file a size=1 xattr.user.b=c",
        "file a size=1 xattr.user.b=d",
        "a",
        "xattrs",
    );
    differs("file a size=1", "file a size=2", "a", "size");
    differs("file a", "fifo a", "a", "type");
    differs("char a dev=1:3", "char a dev=1:5", "a", "device number");
    differs("symlink a target=b", "symlink a target=c", "a", "target");
    differs(
        "file a size=1\nlink b target=a",
        "file a size=1\nfile b size=1",
        "a",
        "link count",
    );
    differs(
        "file a size=5000\nfile b size=5000",
        "file a size=5000\nlink b target=a",
        "a",
        "link count",
    );
    differs("file a size=1\nfile b", "file a size=1", "b", "presence");
    differs("file a size=1", "file a size=1\nfile b", "b", "presence");
    differs("dir .", "dir . mtime=5", "", "time");
}

#[test]
fn exchanged_hard_links_are_named() {
    differs(
        "file a size=5000\nfile b size=5000\nlink c target=a\nlink d target=b",
        "file a size=5000\nfile b size=5000\nlink c target=b\nlink d target=a",
        "c",
        "group of hard links",
    );
}

#[test]
fn moved_holes_are_named_though_the_bytes_are_the_same() {
    let of = |at: u64| {
        let data = "x".repeat(4096);
        format!("file a size=16384 data={data} sparse=pax1.0 map={at}:4096,16384:0")
    };
    differs(&of(4096), &of(8192), "a", "holes");
}

#[test]
fn other_contents_of_the_same_length_are_named() {
    for size in [100, 5000] {
        let of = |seed| sample(&[&format!("file a size={size} seed={seed}")]);
        let (one, other) = (of(1), of(2));
        let error = verify_disk(&other.vmdk, Some(one.merge.tree())).unwrap_err();
        assert!(
            matches!(&error, VerifyError::Contents { path, .. } if path == b"a"),
            "{error}"
        );
    }
}

#[test]
fn a_damaged_sidecar_names_its_layer() {
    let disk = sample(&LAYERS);
    flip(&disk.layers[1].sidecar, 20);
    let mut merge = msb_stitch::Merge::new();
    let [first, second] = [1, 2].map(|number| DeviceId::new(number).unwrap());
    merge.add(first, disk.layers[0].open().changes()).unwrap();
    let error = merge.add(second, disk.layers[1].open().changes());
    assert_eq!(error.unwrap_err().corrupt_layer(), Some(second));
}

#[test]
fn a_disk_is_verified_before_its_layers_exist_and_they_are_verified_in_the_end() {
    let disk = sample(&LAYERS);
    let text = fs::read_to_string(&disk.vmdk).unwrap();
    let verifier = DiskVerifier::new(&disk.vmdk, |path| File::open(path));
    let fsmeta = || File::open(&disk.fsmeta).unwrap();
    let ahead = || verifier.verify_unpublished(&text, fsmeta());
    let layers = || verifier.verify_layers(&text);
    let whole = verify_disk(&disk.vmdk, None).unwrap();
    layers().unwrap();

    let image = &disk.layers[1].image;
    let bytes = fs::read(image).unwrap();
    fs::remove_file(image).unwrap();
    assert_eq!(ahead().unwrap(), whole);
    assert!(
        matches!(layers(), Err(VerifyError::Read { path, .. }) if path.ends_with(image.file_name().unwrap()))
    );
    fs::write(image, &bytes[4096..]).unwrap();
    assert_eq!(ahead().unwrap(), whole);
    let (expected, actual) = (bytes.len() as u64, bytes.len() as u64 - 4096);
    assert!(
        matches!(layers(), Err(VerifyError::Length { expected: e, actual: a, .. }) if (e, a) == (expected, actual))
    );

    // The layers of the text are compared with the device table nevertheless.
    let moved = text.replace(
        &format!("RW {} ", expected / 512),
        &format!("RW {} ", (expected + 4096) / 512),
    );
    assert_ne!(moved, text);
    let error = verifier.verify_unpublished(&moved, fsmeta());
    assert!(matches!(error, Err(VerifyError::DeviceTable { .. })));
    flip(&disk.fsmeta, 1024 + 14);
    assert!(ahead().is_err());
}

#[test]
fn every_file_of_a_disk_is_opened_by_the_function_of_the_caller() {
    let disk = sample(&LAYERS);
    let opened = Arc::new(Mutex::new(BTreeSet::new()));
    let seen = Arc::clone(&opened);
    let verifier = DiskVerifier::new(&disk.vmdk, move |path| {
        seen.lock().unwrap().insert(path.to_path_buf());
        File::open(path)
    });
    verifier.verify_contents(disk.merge.tree()).unwrap();
    let files = [&disk.vmdk, &disk.fsmeta];
    let images = disk.layers.iter().map(|layer| &layer.image);
    let expected: BTreeSet<_> = files.into_iter().chain(images.clone()).cloned().collect();
    assert_eq!(*opened.lock().unwrap(), expected);

    opened.lock().unwrap().clear();
    let text = fs::read_to_string(&disk.vmdk).unwrap();
    verifier.verify_layers(&text).unwrap();
    assert_eq!(*opened.lock().unwrap(), images.cloned().collect());

    let refusing = DiskVerifier::new(&disk.vmdk, |_| Err(io::ErrorKind::PermissionDenied.into()));
    assert!(matches!(
        refusing.verify_structure(),
        Err(VerifyError::Read { .. })
    ));
    assert!(matches!(
        refusing.verify_layers(&text),
        Err(VerifyError::Read { .. })
    ));
}
