//! Images with arbitrary bytes: no panic, no endless loop, no memory out of proportion.
#![allow(
    clippy::unwrap_used,
    clippy::cast_possible_truncation,
    reason = "a test fails where its numbers do not fit"
)]

mod common;

use std::fs;
use std::os::unix::fs::symlink;
use std::time::{Duration, Instant};

use common::mkfs::mkfs;
use common::raw::{ROOT, Raw, seal};
use common::text;
use erofs_format::HOLE;
use erofs_reader::FileType::{Directory, Regular, Symlink};
use erofs_reader::{CheckOptions, Image, Limits, ReadAt, check};

/// Calls every function on an image and ignores the results.
fn exercise(bytes: &[u8]) {
    let start = Instant::now();
    let opened = [
        Image::open(bytes),
        // With its devices opened one by one, if it has any.
        Image::open_with_devices(bytes, vec![bytes, bytes]),
    ];
    for image in opened.into_iter().flatten() {
        let _ = check(&image, &CheckOptions::default());
        let _ = text(&image);
        read_all(&image);
        let _ = image.resolve_path(b"dir/link/x");
    }
    let took = start.elapsed();
    assert!(took < Duration::from_secs(2), "took {took:?}");
}

/// Reads all inodes that can be reached, ignoring errors elsewhere.
fn read_all<D: ReadAt>(image: &Image<D>) {
    let Ok(mut walk) = image.walk(&Limits::default()) else {
        return;
    };
    let mut buf = [0; 9000];
    while let Some(Ok(entry)) = walk.next_entry() {
        let inode = entry.inode;
        for offset in [0, 4095, inode.size.saturating_sub(1), u64::MAX] {
            let _ = image.read_at(&inode, offset, &mut buf);
        }
        let _ = image.read_link(&inode);
        let _ = image.xattrs(&inode);
        let _ = image.lookup(&inode, b"file-3");
        if let Ok(extents) = image.extents(&inode) {
            assert!(extents.count() <= 1 << 20);
        }
    }
}

/// Builds a small image with every feature of mkfs.erofs.
fn small(flags: &[&str]) -> Vec<u8> {
    let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let source = dir.path().join("source");
    fs::create_dir_all(source.join("dir/sub")).unwrap();
    for i in 0..5 {
        let path = source.join(format!("dir/file-{i}"));
        fs::write(&path, vec![b'x'; i * 1300]).unwrap();
        let flags = rustix::fs::XattrFlags::empty();
        rustix::fs::setxattr(&path, "user.shared", b"value", flags).unwrap();
        rustix::fs::setxattr(&path, "user.own", &[b'a'; 9][..i], flags).unwrap();
    }
    fs::hard_link(source.join("dir/file-3"), source.join("hard")).unwrap();
    symlink("sub", source.join("dir/link")).unwrap();
    let image = dir.path().join("image");
    mkfs(
        &[&["-T1", "-Eforce-inode-extended"], flags].concat(),
        &image,
        &source,
    );
    fs::read(image).unwrap()
}

/// Assembles a small image with two devices, chunks and a cycle of links.
fn by_hand() -> Vec<u8> {
    let mut raw = Raw::new(4);
    raw.sb.inos = 4.into();
    raw.devices(&[(1, 4), (1, 5)])
        .dir(
            ROOT,
            3,
            &[
                (".", ROOT, Directory),
                ("..", ROOT, Directory),
                ("dir", 20, Directory),
                ("f", 40, Regular),
            ],
        )
        .dir(
            20,
            2,
            &[
                (".", 20, Directory),
                ("..", ROOT, Directory),
                ("link", 30, Symlink),
            ],
        )
        .link(30, "/dir/link")
        .chunked(40, 5 * 4096, &[(1, 0), (2, 0), (0, HOLE), (0, 3), (0, 5)]);
    let mut image = raw.build();
    image.resize(6 * 4096, 7);
    let opened = Image::open(image.as_slice()).unwrap();
    check(&opened, &CheckOptions::default()).unwrap();
    image
}

fn seeds() -> Vec<Vec<u8>> {
    vec![small(&[]), small(&["--chunksize=4096"]), by_hand()]
}

/// Returns the offsets of the bytes that are not zero, and of a few around them: the others are padding.
fn places(image: &[u8]) -> Vec<usize> {
    (1024..image.len())
        .filter(|at| {
            image[at.saturating_sub(4)..image.len().min(at + 4)]
                .iter()
                .any(|b| *b != 0)
        })
        // File data is not checked.
        .filter(|at| image[*at] != b'x' && image[*at] != 7)
        .collect()
}

#[test]
fn every_byte_of_metadata_may_be_wrong() {
    let mut tried = 0;
    for seed in seeds() {
        for at in places(&seed) {
            for change in [0x01, 0xff] {
                let mut image = seed.clone();
                image[at] ^= change;
                seal(&mut image);
                exercise(&image);
                tried += 1;
            }
        }
    }
    assert!(tried > 2_000, "{tried}");
}

#[test]
fn many_bytes_of_metadata_may_be_wrong_at_once() {
    let mut state = 0x1234_5678_9abc_def0_u64;
    let mut random = move || {
        // xorshift64
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    for seed in seeds() {
        let places = places(&seed);
        for _ in 0..800 {
            let mut image = seed.clone();
            for _ in 0..random() % 8 + 1 {
                let at = places[(random() % places.len() as u64) as usize];
                let value = [0, 1, 0x7f, 0x80, 0xff, random() as u8][(random() % 6) as usize];
                image[at] = value;
            }
            seal(&mut image);
            exercise(&image);
        }
    }
}

#[test]
fn a_truncated_image_is_refused_or_read_safely() {
    for seed in seeds() {
        for len in (0..seed.len()).step_by(509) {
            exercise(&seed[..len]);
        }
    }
}

/// Assembles many directories over the same blocks: the work is bounded by what the image can legitimately hold.
#[test]
fn repeated_chunks_are_bounded() {
    let mut raw = Raw::new(64);
    raw.sb.inos = 101.into();
    let names: Vec<_> = (100..200).map(|i| format!("f{i}")).collect();
    let mut entries = vec![(".", ROOT, Directory), ("..", ROOT, Directory)];
    for (index, name) in names.iter().enumerate() {
        entries.push((name, 200 + index as u64 * 2, Regular));
    }
    raw.dir(ROOT, 2, &entries);
    for index in 0..100u64 {
        // The addresses of each are the bytes after it, the same for all, and many.
        raw.chunked(200 + index * 2, 20_000 * 4096, &[]);
    }
    let bytes = raw.build();
    let start = Instant::now();
    let image = Image::open(bytes).unwrap();
    let error = check(&image, &CheckOptions::default()).unwrap_err();
    assert!(!error.to_string().is_empty());
    assert!(text(&image).is_err());
    assert!(start.elapsed() < Duration::from_secs(5));
}
