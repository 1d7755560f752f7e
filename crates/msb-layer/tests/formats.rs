//! Properties of one inode, in a tar and in EROFS. Every disk is verified by all oracles (see `common::oracles`).
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::fs::File;
use std::os::unix::fs::{FileExt, MetadataExt};

use common::oracles::is_root;
use common::{disk, stitch};
use erofs_reader::{CheckOptions, DataLayout, Image, Place, check};
use msb_sidecar::Note;
use msb_testkit::erofs_tools::fsck;
use msb_testkit::mount::KernelMount;
use msb_testkit::{content, tar};

#[test]
fn files_about_the_inline_threshold_and_the_block_size() {
    let sizes = [0, 1, 2047, 2048, 2049, 4095, 4096, 4097, 8191, 8192, 8193];
    let mut recipe = "dir . mtime=5\n".to_owned();
    let mut expected = "/ d @5\n".to_owned();
    for size in sizes {
        recipe += &format!("file f{size:05} size={size} seed={}\n", size + 1);
        expected += &format!("/f{size:05} f {size}\n");
    }
    let disk = disk(&[&recipe]);
    disk.holds(&expected);
    let (merged, layer) = (
        disk.reader(),
        Image::open(File::open(&disk.layers[0].image).unwrap()).unwrap(),
    );
    for size in sizes {
        let path = format!("/f{size:05}");
        let bytes = content::bytes(size + 1, usize::try_from(size).unwrap());
        for image in [&merged, &layer] {
            let inode = image.lookup_path(path.as_bytes()).unwrap().unwrap();
            let mut read = vec![0; bytes.len()];
            assert_eq!(image.read_at(&inode, 0, &mut read).unwrap(), bytes.len());
            assert!(read == bytes, "{path}");
            let is_inline = inode.layout == DataLayout::FlatInline;
            assert_eq!(is_inline, (1..=2048).contains(&size), "{path}");
        }
    }
}

#[test]
fn a_contiguous_file_has_one_chunk() {
    let disk = disk(&["file a size=3000000 seed=1\nfile b size=4097 seed=2"]);
    let image = disk.reader();
    for path in [&b"/a"[..], b"/b"] {
        let inode = image.lookup_path(path).unwrap().unwrap();
        assert_eq!(image.extents(&inode).unwrap().count(), 1);
    }
}

#[test]
fn capabilities_of_20_and_24_bytes_leave_the_chunk_index_aligned() {
    let v2 = "01000002ff00000000000000ff00000000000000";
    let v3 = "01000003ff00000000000000ff00000000000000e8030000";
    let disk = disk(&[&format!(
        "file a size=5000 seed=1 xattr.security.capability=hex:{v2}\nfile b size=6000 seed=2 xattr.security.capability=hex:{v3}
         file c size=100 seed=3 xattr.security.capability=hex:{v3}\nfile d size=7000 seed=4 mtime=1 xattr.security.capability=hex:{v3} xattr.user.z=1"
    )]);
    disk.holds(&format!(
        "/ d @0\n/a f 5000 security.capability={v2}\n/b f 6000 security.capability={v3}
         /c f 100 security.capability={v3}\n/d f @1 7000 security.capability={v3} user.z=31"
    ));
}

#[test]
fn acls_have_name_indexes_of_their_own() {
    // Version 2; user::rw-, user:1000:r--, group::r--, mask::r--, other::r--.
    let acl =
        "02000000010006ffffffffff02000400e803000004000400ffffffff10000400ffffffff20000400ffffffff"
            .replace("010006ffffffffff", "01000600ffffffff");
    let disk = disk(&[&format!(
        "dir d xattr.system.posix_acl_default=hex:{acl} xattr.system.posix_acl_access=hex:{acl}\nfile f size=1 xattr.system.posix_acl_access=hex:{acl}"
    )]);
    disk.holds(&format!(
        "/ d @0\n/d d system.posix_acl_access={acl} system.posix_acl_default={acl}\n/f f 1 system.posix_acl_access={acl}"
    ));
    let image = std::fs::read(&disk.layers[0].image).unwrap();
    assert!(!image.windows(9).any(|window| window == b"posix_acl"));
}

#[test]
fn xattrs_that_many_files_have_are_shared() {
    let value = "ab".repeat(150);
    let mut recipe = String::new();
    for index in 0..300 {
        recipe += &format!(
            "file f{index:03} size=1 xattr.security.selinux={value} xattr.user.n={index} xattr.trusted.t=x\n"
        );
    }
    let disk = disk(&[&recipe]);
    let image = std::fs::read(&disk.fsmeta).unwrap();
    let found = image
        .windows(300)
        .filter(|window| *window == value.as_bytes())
        .count();
    assert_eq!(found, 1);
    let hex = msb_testkit::digest::hex(value.as_bytes());
    disk.has(&format!(
        "/f299 f 1 security.selinux={hex} trusted.t=78 user.n=323939"
    ));
}

#[test]
fn xattrs_of_every_size_and_odd_names() {
    let name = "n".repeat(250);
    let value = "0f".repeat(60_000);
    disk(&[&format!(
        "dir d xattr.user.{name}=1\nfile e size=1 xattr.user.e=\nfile f size=5000 seed=1 xattr.user.big=hex:{value}\nsymlink l target=x xattr.trusted.a=1\nfifo p xattr.trusted.b=2\nfile u size=3 libarchive.user.\\xc3\\xa9=hex:00ff"
    )])
    .holds(&format!(
        "/ d @0\n/d d user.{name}=31\n/e f 1 user.e=\n/f f 5000 user.big={value}\n/l l -> x trusted.a=31\n/p p trusted.b=32\n/u f 3 user.\\xc3\\xa9=00ff"
    ));
}

#[test]
fn an_xattr_that_no_kernel_would_list_is_left_out_with_a_note() {
    let long = "n".repeat(251);
    let value = "00".repeat(65_536);
    let disk = disk(&[&format!(
        "file a size=1 xattr.user.{long}=1\nfile b size=1 xattr.user.=1\nfile c size=1 xattr.odd.name=1\nfile d size=1 xattr.user.v=hex:{value}\nfile e size=1 xattr.system.posix_acl_accessx=1"
    )]);
    disk.holds("/ d @0\n/a f 1\n/b f 1\n/c f 1\n/d f 1\n/e f 1");
    let notes = &disk.layers[0].made.notes;
    assert_eq!(
        notes
            .iter()
            .filter(|note| matches!(note, Note::UnsupportedXattr { .. }))
            .count(),
        5
    );
}

#[test]
fn names_that_sort_before_the_dot_and_names_that_are_not_utf8() {
    disk(&["dir d\nfile d/!x size=1\nfile d/+x size=1\nfile d/-x size=1\nfile d/...x size=1\nfile d/.x size=1\nfile d/\\xff\\xfe size=1\nfile d/\\x01 size=1\nfile d/a\\sb size=1\nfile d/\\\\ size=1"])
        .holds("/ d @0\n/d d\n/d/\\x01 f 1\n/d/!x f 1\n/d/+x f 1\n/d/-x f 1\n/d/...x f 1\n/d/.x f 1\n/d/\\x5c f 1\n/d/a\\x20b f 1\n/d/\\xff\\xfe f 1");
}

#[test]
fn names_of_255_bytes_fill_directory_blocks() {
    let mut recipe = "dir d\n".to_owned();
    for index in 0..100 {
        recipe += &format!("file d/{index:03}{} size=1\n", "n".repeat(252));
    }
    let disk = disk(&[&recipe]);
    assert_eq!(disk.listing().entries.len(), 102);
    let error =
        common::Attempt::uncompressed(&tar::recipe(&format!("file {} size=1", "n".repeat(256))))
            .run();
    assert!(error.is_err());
}

#[test]
fn a_directory_of_20_000_entries() {
    let mut recipe = "dir d\n".to_owned();
    for index in 0..20_000 {
        recipe += &format!("symlink d/entry{:05} target=x\n", (index * 7919) % 20_000);
    }
    let disk = stitch(&[tar::recipe(&recipe)]);
    msb_stitch::verify_disk(&disk.vmdk, Some(disk.merge.tree())).unwrap();
    fsck(&disk.fsmeta, &disk.devices()).unwrap();
    if is_root() {
        let mount = KernelMount::erofs(&disk.flat(), &[]).unwrap();
        let names = std::fs::read_dir(mount.path().join("d")).unwrap().count();
        assert_eq!(names, 20_000);
        for index in [0, 1, 9_999, 19_999] {
            let path = mount.path().join(format!("d/entry{index:05}"));
            assert_eq!(std::fs::read_link(path).unwrap().to_str(), Some("x"));
        }
    }
}

#[test]
fn symlink_targets_up_to_4095_bytes() {
    let mut recipe = "dir . mtime=5\n".to_owned();
    let mut expected = "/ d @5\n".to_owned();
    for len in [1, 100, 101, 2047, 2048, 2049, 4094, 4095] {
        recipe += &format!("symlink l{len:04} target={}\n", "t".repeat(len));
        expected += &format!("/l{len:04} l -> {}\n", "t".repeat(len));
    }
    disk(&[&recipe]).holds(&expected);
    let long = tar::recipe(&format!("symlink l target={}", "t".repeat(4096)));
    assert!(common::Attempt::uncompressed(&long).run().is_err());
}

#[test]
fn devices_fifos_and_odd_modes() {
    disk(&["char c dev=1:3 mode=0666\nchar large dev=4095:1048575\nblock b dev=8:257\nfifo p mode=0600\nfile suid size=1 mode=4755\ndir sticky mode=1777\ndir sgid mode=2755\nchar m dev=0:1\nfile none size=1 mode=0"])
        .holds("/ d @0\n/b b 8:257\n/c c 0666 1:3\n/large c 4095:1048575\n/m c 0:1\n/none f 0000 1\n/p p 0600\n/sgid d 2755\n/sticky d 1777\n/suid f 4755 1");
}

#[test]
fn a_device_number_that_erofs_cannot_hold_is_an_error() {
    for dev in ["4096:0", "1:1048576"] {
        let tar = tar::recipe(&format!("char c dev={dev}"));
        let error = common::Attempt::uncompressed(&tar).run().unwrap_err();
        assert!(
            matches!(error, msb_layer::LayerError::Image { .. }),
            "{error}"
        );
    }
}

#[test]
fn owners_over_65535_and_times_before_1970_and_after_2106() {
    disk(&[
        "file a size=1 uid=65535 gid=65535\nfile b size=1 uid=65536\nfile c size=1 gid=65536\nfile d size=1 uid=4294967294 gid=4294967294
         file e size=1 mtime=-1\nfile f size=1 mtime=-1.25\nfile g size=1 mtime=4294967296\nfile h size=1 mtime=9000000000.999999999\nfile i size=1 mtime=0\nfile j size=1 mtime=123.5",
    ])
    .holds(
        "/ d @0\n/a f 65535:65535 1\n/b f 65536:0 1\n/c f 0:65536 1\n/d f 4294967294:4294967294 1
         /e f @-1 1\n/f f @-2.750000000 1\n/g f @4294967296 1\n/h f @9000000000.999999999 1\n/i f @0 1\n/j f @123.500000000 1",
    );
}

#[test]
fn every_sparse_form_keeps_its_holes() {
    let map: Vec<String> = (0..30)
        .map(|index| format!("{}:512", index * 65_536 + 8192))
        .collect();
    let map = map.join(",") + ",2000000:0";
    let mut sums = Vec::new();
    for form in ["gnu format=gnu", "pax0.0", "pax0.1", "pax1.0"] {
        let disk = disk(&[&format!(
            "file s size=2000000 seed=5 sparse={form} map={map}\nfile t size=1"
        )]);
        assert!(disk.layers[0].made.image.bytes < 200_000, "{form}");
        let image = disk.reader();
        let inode = image.lookup_path(b"/s").unwrap().unwrap();
        // The largest chunk that the holes allow, as the pieces begin at 8 KiB behind a multiple of 64 KiB.
        let data: Vec<_> = image
            .extents(&inode)
            .unwrap()
            .map(Result::unwrap)
            .filter(|extent| !matches!(extent.place, Place::Hole))
            .collect();
        assert_eq!(
            (data.len(), data[1].logical, data[1].len),
            (30, 65_536 + 8192, 4096)
        );
        sums.push(disk.listing().get("/s").unwrap().sha256.clone());
        let mut expected = vec![0; 2_000_000];
        let full = content::bytes(5, 2_000_000);
        for at in (0..30).map(|index| index * 65_536 + 8192) {
            expected[at..at + 512].copy_from_slice(&full[at..at + 512]);
        }
        let hex = msb_testkit::digest::sha256(&expected).replace("sha256:", "");
        assert_eq!(
            sums.last().unwrap().as_deref(),
            Some(hex.as_str()),
            "{form}"
        );
    }
}

#[test]
fn sparse_files_of_odd_shapes() {
    disk(&[
        "file all-hole size=1000000 sparse=pax1.0 map=1000000:0\nfile empty size=0 sparse=pax1.0 map=0:0\nfile small size=100 seed=1 sparse=pax1.0 map=10:5
         file end size=100001 seed=2 sparse=pax0.1 map=100000:1\nfile start size=100001 seed=3 sparse=gnu format=gnu map=0:1,100001:0\nfile full size=10000 seed=4 sparse=pax1.0 map=0:10000
         file touching size=20000 seed=5 sparse=pax1.0 map=0:100,100:100,4096:1,8192:4096",
    ])
    .holds(
        "/ d @0\n/all-hole f 1000000\n/empty f 0\n/end f 100001\n/full f 10000\n/small f 100\n/start f 100001\n/touching f 20000",
    );
}

/// Reads at large offsets of files that are too long to read completely.
fn huge(recipe: &str, reads: &[(&str, u64, u64)]) {
    let disk = disk(&[recipe]);
    let read_at = |path: &str, at: u64, file: &dyn Fn(&mut [u8]) -> usize| {
        let seed = reads.iter().find(|read| read.0 == path).unwrap().2;
        let mut buffer = [1; 3];
        assert_eq!(file(&mut buffer), 3);
        let mut full = [0; 1];
        std::io::Read::read_exact(
            &mut content::Content::new(seed, content::Fill::Random, at),
            &mut full,
        )
        .unwrap();
        assert_eq!(buffer, [0, full[0], 0], "{path}");
    };
    let image = disk.reader();
    check(&image, &CheckOptions::default()).unwrap();
    for &(path, at, _) in reads {
        let inode = image
            .lookup_path(format!("/{path}").as_bytes())
            .unwrap()
            .unwrap();
        read_at(path, at, &|buffer| {
            image.read_at(&inode, at - 1, buffer).unwrap()
        });
    }
    if !is_root() {
        return;
    }
    for mount in [
        KernelMount::erofs(&disk.fsmeta, &disk.devices()).unwrap(),
        KernelMount::erofs(&disk.flat(), &[]).unwrap(),
        KernelMount::erofs(&disk.layers[0].image, &[]).unwrap(),
    ] {
        for &(path, at, _) in reads {
            let file = File::open(mount.path().join(path)).unwrap();
            read_at(path, at, &|buffer| file.read_at(buffer, at - 1).unwrap());
        }
        let size = mount.path().join(reads[0].0).metadata().unwrap().size();
        assert!(size > 4 << 30);
    }
}

#[test]
fn files_over_4_gib_are_addressed_correctly() {
    huge(
        "file a size=5000000000 seed=1 sparse=pax1.0 map=4294967296:1,4500000000:1,5000000000:0\nfile b size=9000000000 seed=2 sparse=gnu format=gnu map=8999999000:1,9000000000:0",
        &[
            ("a", 4_294_967_296, 1),
            ("a", 4_500_000_000, 1),
            ("b", 8_999_999_000, 2),
        ],
    );
}

#[test]
fn one_byte_in_a_terabyte_of_hole_stays_small() {
    let recipe =
        "file t size=1099511627776 seed=1 sparse=pax1.0 map=549755813999:1,1099511627776:0";
    let made = stitch(&[tar::recipe(recipe)]);
    assert!(made.layers[0].made.image.bytes <= (17 << 20) + (1 << 20));
    assert!(std::fs::metadata(&made.fsmeta).unwrap().len() < 4 << 20);
    huge(recipe, &[("t", 549_755_813_999, 1)]);
}

fn many_layers(count: usize) {
    let tars: Vec<Vec<u8>> = (0..count)
        .map(|index| {
            tar::recipe(&format!(
                "file f{index:03} size={} seed={index}\nfile shared size={} seed={index}",
                4000 + index,
                100 + index
            ))
        })
        .collect();
    let disk = stitch(&tars);
    disk.verify();
    let expected = (0..count).map(|index| format!("/f{index:03} f {}\n", 4000 + index));
    disk.holds(&format!(
        "/ d @0\n{}/shared f {}",
        expected.collect::<String>(),
        99 + count
    ));
}

#[test]
fn layers_over_127_work() {
    many_layers(130);
}

#[test]
fn slots_beyond_block_0_work() {
    many_layers(300);
}
