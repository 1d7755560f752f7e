//! What a tree does not show: the bytes of layer images and of fsmeta, read by offsets with none of our code, and limits.
//! The clauses are those of `tests/traps/clauses.md`.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod erofs_bytes;

use std::fs::{self, File};
use std::io::{Cursor, Read};
use std::sync::atomic::Ordering;
use std::time::Duration;

use erofs_bytes::{BLOCK, CHUNKS, INLINE, NONE, PLAIN, Raw, SUPER, crc32c};
use integration_tests::disk::{Blob, Disk};
use integration_tests::reader;
use msb_layer::decode::WindowBudget;
use msb_sidecar::Sidecar;
use msb_stitch::{Merge, Slot, StitchError};
use msb_testkit::content::{Content, Fill};
use msb_testkit::{erofs_tools, tar};

/// Something of everything, in two layers.
fn sample() -> Disk {
    let long = |prefix: &str, count: usize| -> String {
        (0..count)
            .map(|index| {
                format!(
                    "symlink many/{prefix}{index:04} target={}\n",
                    "t".repeat(index + 1)
                )
            })
            .collect()
    };
    let v2 = "hex:01000002ff00000000000000ff00000000000000";
    let v3 = "hex:01000003ff00000000000000ff00000000000000e8030000";
    let first = format!(
        "dir d mode=0700\nfile d/!x size=1\nfile d/-x size=1\nfile d/.x size=1\nfile d/\\xff size=1\nfile d/\\x01 size=1
         file d/{n} size=1\ndir many\n{long}file none size=5000 seed=1
         file cap20 size=5001 seed=2 xattr.security.capability={v2}\nfile cap24 size=5002 seed=3 xattr.security.capability={v3}
         file cap24-time size=5003 seed=4 mtime=5 xattr.security.capability={v3}00 xattr.user.unique=1
         file uid size=9000 seed=5 uid=65536\nfile gid size=9001 seed=6 gid=65536\nfile time size=9002 seed=7 mtime=1700000000.5
         file small size=100 seed=8\nfile empty\nfile empty-time mtime=3\nfile exact size=8192 seed=9 uid=65535 gid=65535
         file s size=200000 seed=10 sparse=pax1.0 map=8192:8192,73728:8192,200000:0\nfile hole size=50000 sparse=pax1.0 map=50000:0
         dir acl xattr.system.posix_acl_access=hex:0200000001000600ffffffff04000400ffffffff20000400ffffffff\nchar c dev=1:3\nfifo p",
        n = "n".repeat(255),
        long = long("l", 400),
    );
    let second = "file top size=70000 seed=11\nfile more/of/it size=4097 seed=12 xattr.user.a=b\nlink same target=none";
    Disk::of_recipes(&[&first, second])
}

fn raw(path: &std::path::Path) -> Raw {
    Raw(fs::read(path).unwrap())
}

/// fsmeta, then the layers' images.
fn images(disk: &Disk) -> Vec<Raw> {
    let mut all = vec![raw(&disk.fsmeta)];
    all.extend(disk.devices().into_iter().map(raw));
    all
}

fn sum(image: &Raw) -> u32 {
    let mut block = image.0[SUPER..BLOCK].to_vec();
    block[4..8].fill(0);
    crc32c(&block)
}

#[test]
fn superblock_is_where_and_what_it_has_to_be() {
    for image in images(&sample()) {
        assert!(image.0[..SUPER].iter().all(|&byte| byte == 0));
        assert_eq!(image.u32(SUPER), 0xe0f5_e1e2);
        assert_eq!((image.0[SUPER + 12], image.0[SUPER + 90]), (12, 0));
        assert_eq!(image.0.len(), image.u32(SUPER + 36) as usize * BLOCK);
        assert!(image.inode(image.root_nid()).is_directory());
    }
    // 70,000 inodes take more nids than 16 bits have.
    let many: String = (0..70_000)
        .map(|index| format!("fifo d/p{index}\n"))
        .collect();
    let disk = Disk::of_recipes(&[&many]);
    for image in images(&disk) {
        let root = image.inode(image.root_nid());
        assert!(image.u64(SUPER + 16) > 70_000 && root.is_directory());
        let names = Raw::names(image.directory(&root)[0]).0;
        assert_eq!(names.last().unwrap().name, b"d");
    }
}

#[test]
fn superblock_sum_is_right_bit_by_bit() {
    assert_eq!(crc32c(b"123456789"), !0xe306_9283);
    for image in images(&sample()) {
        assert_eq!(image.u32(SUPER + 4), sum(&image));
        // `EROFS_FEATURE_COMPAT_SB_CHKSUM`
        assert_eq!(image.u32(SUPER + 8) & 1, 1);
    }
}

#[test]
fn superblock_sum_covers_the_device_table() {
    let disk = sample();
    let mut image = raw(&disk.fsmeta);
    let tag = image.table();
    assert!(tag >= SUPER + 128 && tag + 128 <= BLOCK);
    image.0[tag] ^= 1;
    assert_ne!(image.u32(SUPER + 4), sum(&image));
    fs::write(&disk.fsmeta, &image.0).unwrap();
    let told = erofs_tools::fsck(&disk.fsmeta, &disk.devices());
    let told = told.unwrap_or_else(|error| error.to_string());
    assert!(told.contains("checksum"), "{told}");
}

#[test]
fn no_name_has_nid_0() {
    for image in images(&sample()) {
        assert_ne!(image.root_nid(), 0);
        for inode in image.tree().values().filter(|inode| inode.is_directory()) {
            for block in image.directory(inode) {
                assert!(Raw::names(block).0.iter().all(|name| name.nid != 0));
            }
        }
    }
}

#[test]
fn directories_are_sorted_and_their_blocks_whole() {
    for image in images(&sample()) {
        let mut blocks_of_many = 0;
        for (path, inode) in image
            .tree()
            .iter()
            .filter(|(_, inode)| inode.is_directory())
        {
            let blocks = image.directory(inode);
            let mut all: Vec<Vec<u8>> = Vec::new();
            for block in &blocks {
                let (names, end) = Raw::names(block);
                assert!(block[end..].iter().all(|&byte| byte == 0), "{path:?}");
                for name in names {
                    assert!((1..=255).contains(&name.name.len()));
                    assert!(!name.name.contains(&b'/'));
                    all.push(name.name);
                }
            }
            assert!(all.is_sorted_by(|a, b| a < b), "{path:?}: {all:?}");
            for dot in [&b"."[..], b".."] {
                assert!(all.iter().any(|name| name == dot), "{path:?}");
            }
            if path == b"/many" {
                blocks_of_many = blocks.len();
            }
            if path == b"/d" {
                let dot = all.iter().position(|name| name == b".").unwrap();
                assert_eq!(all[..dot], [&b"\x01"[..], b"!x", b"-x"]);
            }
        }
        assert!(blocks_of_many > 1 || image.slots().is_empty());
    }
}

#[test]
fn inline_tails_stay_in_their_block() {
    let mut tails = 0;
    for image in images(&sample()) {
        for (path, inode) in image.tree() {
            if let Some((start, end)) = inode.tail() {
                assert_eq!(start / BLOCK, (end - 1) / BLOCK, "{path:?}");
                tails += 1;
            }
        }
    }
    assert!(tails > 800, "{tails}");
}

#[test]
fn an_extended_inode_crosses_a_block() {
    // Whether one does depends on what is before them: compact ones of half their length.
    let crosses = |compact: usize| {
        let mut recipe: String = (0..compact)
            .map(|index| format!("fifo a{index}\n"))
            .collect();
        recipe.extend((0..200).map(|index| format!("fifo p{index:03} uid=70000\n")));
        recipe += "dir . uid=70000";
        images(&Disk::of_recipes(&[&recipe])).iter().any(|image| {
            let all = image.tree();
            let mut extended = all.values().filter(|inode| inode.extended);
            extended.any(|inode| inode.at / BLOCK != (inode.at + 63) / BLOCK)
        })
    };
    assert!(crosses(0) || crosses(1));
}

#[test]
fn chunk_indexes_begin_at_the_next_multiple_of_8() {
    let disk = sample();
    let (fsmeta, layer) = (raw(&disk.fsmeta), raw(&disk.layers[0].image));
    for (path, size, seed, shift) in [
        ("/none", 5000, 1, 0),
        ("/cap20", 5001, 2, 0),
        ("/cap24", 5002, 3, 4),
    ] {
        let inode = fsmeta.at(path);
        let end = inode.end() + inode.xattr_bytes();
        assert_eq!(end.next_multiple_of(8) - end, shift, "{path}");
        let (chunks, _) = fsmeta.chunks(&inode);
        // What the index says is where the bytes are.
        assert_eq!(chunks[0].0, 1, "{path}");
        let at = chunks[0].1 as usize * BLOCK;
        assert_eq!(&layer.0[at..at + size], contents(seed, size), "{path}");
    }
}

fn contents(seed: u64, size: usize) -> Vec<u8> {
    let mut bytes = vec![0; size];
    Content::new(seed, Fill::Random, 0)
        .read_exact(&mut bytes)
        .unwrap();
    bytes
}

#[test]
fn a_contiguous_file_has_one_chunk_index() {
    let fsmeta = raw(&sample().fsmeta);
    for path in ["/none", "/top", "/more/of/it", "/exact"] {
        let (chunks, bytes) = fsmeta.chunks(&fsmeta.at(path));
        assert_eq!(chunks.len(), 1, "{path}");
        assert!(bytes >= fsmeta.at(path).size);
    }
}

#[test]
fn xattr_bodies_are_laid_out_as_they_have_to_be() {
    let mut bodies = 0;
    for image in images(&sample()) {
        for (path, inode) in image.tree() {
            let start = inode.end();
            let end = start + inode.xattr_bytes();
            if inode.icount == 0 {
                continue;
            }
            bodies += 1;
            assert!(inode.xattr_bytes() > 12, "{path:?}: a header alone");
            assert!(image.0[start + 5..start + 12].iter().all(|&byte| byte == 0));
            let mut at = start + 12 + 4 * usize::from(image.0[start + 4]);
            while at < end {
                assert!(at.is_multiple_of(4));
                let (name, index) = (usize::from(image.0[at]), image.0[at + 1]);
                // The ACLs' names are in their indexes.
                assert_eq!(name == 0, index == 2 || index == 3, "{path:?}");
                let used = at + 4 + name + usize::from(image.u16(at + 2));
                at = used.next_multiple_of(4);
                assert!(image.0[used..at].iter().all(|&byte| byte == 0));
            }
            assert_eq!(at, end, "{path:?}: the count is of the whole body");
        }
    }
    assert!(bodies >= 10, "{bodies}");
}

#[test]
fn compact_inodes_hold_what_fits() {
    for image in images(&sample()) {
        let epoch = image.epoch();
        let all = image.tree();
        for (path, is_extended) in [
            ("/uid", true),
            ("/gid", true),
            ("/time", true),
            ("/cap24-time", true),
            ("/exact", false),
            ("/none", false),
        ] {
            if let Some(inode) = all.get(path.as_bytes()) {
                assert_eq!(inode.extended, is_extended, "{path}");
            }
        }
        for (path, inode) in &all {
            match inode.mtime {
                // What it takes, it needs.
                Some(time) => assert!(
                    time != epoch || inode.uid > 65_535 || inode.gid > 65_535,
                    "{path:?}"
                ),
                // No time of its own, and nothing in what is reserved.
                None => assert_eq!((image.u32(inode.at + 12), image.u32(inode.at + 28)), (0, 0)),
            }
        }
    }
    let fsmeta = raw(&sample().fsmeta);
    assert_eq!(
        (fsmeta.at("/uid").uid, fsmeta.at("/gid").gid),
        (65_536, 65_536)
    );
    assert_eq!(
        (fsmeta.at("/exact").uid, fsmeta.at("/none").nlink),
        (65_535, 2)
    );
}

#[test]
fn a_file_of_4_gib_is_extended() {
    let disk = Disk::of_recipes(&[
        "dir .\nfile a size=4294967295 sparse=pax1.0 map=4294967295:0\nfile b size=4294967296 sparse=pax1.0 map=4294967296:0",
    ]);
    for image in images(&disk) {
        let (a, b) = (image.at("/a"), image.at("/b"));
        assert_eq!((a.extended, a.size), (false, 4_294_967_295));
        assert_eq!((b.extended, b.size), (true, 4_294_967_296));
    }
}

#[test]
fn device_slots_say_tag_length_and_place() {
    let disk = sample();
    let fsmeta = raw(&disk.fsmeta);
    let blocks = |bytes: usize| u32::try_from(bytes / BLOCK).unwrap();
    let mut next = blocks(fsmeta.0.len());
    assert_eq!(fsmeta.u32(SUPER + 36), next);
    let slots = fsmeta.slots();
    assert_eq!(slots.len(), 2);
    for (slot, image) in slots.iter().zip(disk.devices()) {
        let len = usize::try_from(fs::metadata(image).unwrap().len()).unwrap();
        assert!(len.is_multiple_of(BLOCK) && !slot.tag.is_empty());
        assert_eq!((slot.blocks, slot.uniaddr), (blocks(len), next));
        next += slot.blocks;
    }
    assert_ne!(slots[0].tag, slots[1].tag);
    assert!(raw(&disk.layers[0].image).slots().is_empty());
}

#[test]
fn device_ids_count_from_1() {
    let disk = sample();
    let fsmeta = raw(&disk.fsmeta);
    for (path, device, seed, size) in [
        ("/none", 1, 1, 5000),
        ("/top", 2, 11, 70_000),
        ("/more/of/it", 2, 12, 4097),
    ] {
        let (chunks, _) = fsmeta.chunks(&fsmeta.at(path));
        assert_eq!(chunks[0].0, device, "{path}");
        let layer = raw(&disk.layers[usize::from(device) - 1].image);
        let at = chunks[0].1 as usize * BLOCK;
        assert_eq!(&layer.0[at..at + size], contents(seed, size), "{path}");
    }
}

#[test]
fn more_layers_than_there_are_slots_are_refused_by_number() {
    let slots = vec![
        Slot {
            tag: "t".into(),
            image_bytes: 4096
        };
        65_536
    ];
    let error = Merge::new()
        .write_fsmeta(Cursor::new(Vec::new()), &slots, [0; 16])
        .unwrap_err();
    assert!(matches!(
        error,
        StitchError::TooManyLayers { limit: 65_535, .. }
    ));
    assert!(error.to_string().contains("65535"), "{error}");
}

#[test]
fn holes_are_all_ones() {
    for (image, device) in images(&sample()).iter().zip([1, 0]) {
        let sparse = image.at("/s");
        let (chunks, bytes) = image.chunks(&sparse);
        assert_eq!(bytes, 8192);
        for (index, (id, block)) in chunks.into_iter().enumerate() {
            let has_data = index == 1 || index == 9;
            assert_eq!(block == NONE, !has_data, "{index}");
            assert!(!has_data || id == device);
        }
        let (chunks, _) = image.chunks(&image.at("/hole"));
        assert!(chunks.iter().all(|(_, block)| *block == NONE));
    }
}

#[test]
fn only_an_empty_file_has_a_startblk_of_all_ones() {
    let (mut empty, mut addressed) = (0, 0);
    for image in images(&sample()) {
        for (path, inode) in image.tree() {
            if !matches!(inode.mode >> 12, 4 | 8 | 10) || inode.layout == CHUNKS {
                continue;
            }
            if inode.size == 0 {
                assert_eq!((inode.layout, inode.union), (PLAIN, NONE), "{path:?}");
                empty += 1;
            } else if inode.layout == PLAIN || inode.size >= BLOCK as u64 {
                assert_ne!(inode.union, NONE, "{path:?}");
                addressed += 1;
            } else {
                // All of it is behind the inode, and the field means nothing.
                assert_eq!(inode.layout, INLINE);
            }
        }
    }
    // Two in the layer and in fsmeta; a directory of many blocks in both.
    assert!(empty == 4 && addressed >= 2, "{empty} {addressed}");
}

#[test]
fn further_names_of_a_file_cost_no_data() {
    let of = |recipe: &str| images(&Disk::of_recipes(&[recipe]));
    let (one, three) = (
        of("file a size=200000 seed=1"),
        of("file a size=200000 seed=1\nlink b target=a\nlink c target=a"),
    );
    for (one, three) in one.iter().zip(&three) {
        assert_eq!(one.0.len(), three.0.len());
    }
    // Nor do those in an upper layer.
    let disk = Disk::of_recipes(&[
        "file a size=200000 seed=1",
        "link b target=a\nlink c target=a",
    ]);
    assert!(fs::metadata(&disk.layers[1].image).unwrap().len() < 20_000);
}

#[test]
fn a_merge_from_kept_layers_gives_the_same_fsmeta() {
    let disk = sample();
    let kept = tempfile::tempdir().unwrap();
    let mut merge = Merge::new();
    for (layer, device) in disk.layers.iter().zip(1..) {
        let copy = kept.path().join(format!("{device}"));
        fs::copy(&layer.sidecar, &copy).unwrap();
        // The image itself is not looked at.
        fs::write(&layer.image, b"").unwrap();
        let sidecar = Sidecar::open(File::open(copy).unwrap()).unwrap();
        merge.add(device, &sidecar).unwrap();
    }
    let (_, fsmeta) = merge
        .write_fsmeta(Cursor::new(Vec::new()), &disk.slots, [7; 16])
        .unwrap();
    assert!(fsmeta.into_inner() == fs::read(&disk.fsmeta).unwrap());
}

#[test]
fn a_path_of_5_000_directories_is_refused_by_name_or_whole() {
    let tar = tar::recipe(&format!(
        "file {}f size=1 seed=1\nfile a/b size=1",
        "d/".repeat(5000)
    ));
    match Disk::of(&[Blob::plain(tar)]) {
        Err(error) => {
            let mut told = error.to_string();
            let mut cause = error.source();
            while let Some(error) = cause {
                told += &format!(": {error}");
                cause = error.source();
            }
            assert!(told.contains("more than "), "{}", told.len());
        }
        Ok(disk) => {
            // Not by a listing: no reader of paths takes so long a one.
            msb_stitch::prove(&disk.vmdk, Some(disk.merge.tree())).unwrap();
            let image = reader::open(&disk).unwrap();
            let path = format!("/{}f", "d/".repeat(5000));
            assert!(image.lookup_path(path.as_bytes()).unwrap().is_some());
        }
    }
}

/// One frame of stored blocks whose header asks for a window of `2^log` bytes (RFC 8878).
fn zstd_with_window(plain: &[u8], log: u8) -> Vec<u8> {
    let mut frame = vec![0x28, 0xb5, 0x2f, 0xfd, 0, (log - 10) << 3];
    let blocks: Vec<&[u8]> = plain.chunks(65_536).collect();
    for (index, block) in blocks.iter().enumerate() {
        let is_last = u32::from(index + 1 == blocks.len());
        let header = u32::try_from(block.len()).unwrap() << 3 | is_last;
        frame.extend(&header.to_le_bytes()[..3]);
        frame.extend(*block);
    }
    frame
}

#[test]
fn a_zstd_window_of_128_mib_is_read_by_default() {
    let tar = tar::recipe("file a size=100000 seed=1");
    let blob = |log| {
        let bytes = zstd_with_window(&tar, log);
        Blob {
            piece: 4096,
            claimed_bytes: bytes.len() as u64,
            bytes,
            tar: tar.clone(),
        }
    };
    assert!(Disk::of(&[blob(27)]).is_ok());
    let error = Disk::of(&[blob(28)]).unwrap_err();
    assert!(format!("{error:?}").contains("WindowTooLarge"), "{error:?}");
}

#[tokio::test]
async fn zstd_windows_of_layers_side_by_side_share_a_budget() {
    let tar = tar::recipe("file a size=100000 seed=1");
    let bytes = zstd_with_window(&tar, 27);
    let blob = Blob {
        piece: bytes.len(),
        claimed_bytes: bytes.len() as u64,
        bytes: bytes.clone(),
        tar,
    };
    let folder = tempfile::tempdir().unwrap();
    let windows = WindowBudget::new((128 << 20) + (64 << 20));
    let start = |name: &str| {
        let mut job = blob.job(&folder.path().join(name));
        job.windows = windows.clone();
        job.start().unwrap()
    };
    // The first has its window, and its bytes stop.
    let (first, first_task) = start("first");
    assert!(first.send(bytes[..70_000].to_vec().into()).await);
    while first_task.processed().load(Ordering::Relaxed) < 70_000 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    // The second has all of its bytes, and waits.
    let (second, second_task) = start("second");
    assert!(second.send(bytes.clone().into()).await);
    second.finish().await;
    let mut second_task = Box::pin(second_task.wait());
    let early = tokio::time::timeout(Duration::from_millis(300), &mut second_task).await;
    assert!(early.is_err(), "there is no room for two windows");
    assert!(first.send(bytes[70_000..].to_vec().into()).await);
    first.finish().await;
    assert!(first_task.wait().await.is_ok());
    assert!(second_task.await.is_ok());
}

#[test]
fn no_layers_are_one_extent() {
    let disk = Disk::of_recipes(&[]);
    let text = fs::read_to_string(&disk.vmdk).unwrap();
    let extents: Vec<&str> = text
        .lines()
        .filter(|line| line.starts_with("RW "))
        .collect();
    let sectors = fs::metadata(&disk.fsmeta).unwrap().len() / 512;
    assert_eq!(extents, [format!("RW {sectors} FLAT \"fsmeta.erofs\" 0")]);
    assert!(raw(&disk.fsmeta).slots().is_empty());
}

#[test]
fn a_name_with_nul_is_refused_and_a_slash_makes_a_directory() {
    let error =
        Disk::of(&[Blob::plain(tar::recipe("file x size=1 pax.path=a\\x00b"))]).unwrap_err();
    assert!(format!("{error:?}").contains("Nul"), "{error:?}");
    let disk = Disk::of_recipes(&["file x size=1 pax.path=a/b"]);
    for image in images(&disk) {
        assert!(image.at("/a").is_directory() && image.at("/a/b").size == 1);
    }
}
