//! Images that the format allows and mkfs.erofs 1.5 does not build: several devices on a flat disk, long names, long prefixes.
#![allow(
    clippy::unwrap_used,
    clippy::cast_possible_truncation,
    reason = "a test fails where its numbers do not fit"
)]

mod common;

use common::raw::{ROOT, Raw, dir_block, inode};
use common::text;
use erofs_format::{DataLayout, Features, HOLE, XATTR_ENTRY_ALIGN};
use erofs_reader::FileType::{CharDevice, Directory, Regular, Symlink};
use erofs_reader::{
    CheckOptions, DumpOptions, Error, Extent, FlatDisk, Image, InodeProblem, Place, check,
    dump_with,
};

const BLOCK: usize = 4096;

/// Assembles a primary of 3 blocks and two devices of 2 and 3 blocks, all bytes different, and a file with blocks on
/// all three.
fn devices() -> (Vec<u8>, Vec<u8>, Vec<u8>) {
    let mut raw = Raw::new(3);
    raw.sb.inos = 2.into();
    raw.devices(&[(2, 3), (3, 5)])
        .dir(
            ROOT,
            2,
            &[
                (".", ROOT, Directory),
                ("..", ROOT, Directory),
                ("f", 20, Regular),
            ],
        )
        .chunked(
            20,
            7 * 4096 - 100,
            &[(2, 0), (2, 1), (1, 1), (0, HOLE), (0, 2), (0, 4), (2, 2)],
        )
        .put(2 * BLOCK, &[0x20; BLOCK]);
    let block = |byte| vec![byte; BLOCK];
    (
        raw.build(),
        [block(0x10), block(0x11)].concat(),
        [block(0xa0), block(0xa1), block(0xa2)].concat(),
    )
}

#[test]
fn a_flat_disk_and_separate_devices_have_the_same_tree() {
    let (primary, one, two) = devices();
    let separate =
        Image::open_with_devices(primary.clone(), vec![one.clone(), two.clone()]).unwrap();
    let parts = [(primary, 3), (one, 2), (two, 3)].map(|(part, blocks)| (part, blocks * 4096));
    let flat = Image::open(FlatDisk::new(parts).unwrap()).unwrap();
    assert_eq!(text(&flat).unwrap(), text(&separate).unwrap());
    check(&flat, &CheckOptions::default()).unwrap();
    check(&separate, &CheckOptions::default()).unwrap();

    let file = flat.lookup_path(b"f").unwrap().unwrap();
    let mut data = vec![0xff; 8 * BLOCK];
    assert_eq!(flat.read_at(&file, 0, &mut data).unwrap(), 7 * BLOCK - 100);
    // Block 4 of device 0 is block 1 of the first device, as for the kernel.
    let firsts: Vec<u8> = data.chunks(BLOCK).map(|block| block[0]).collect();
    assert_eq!(firsts, [0xa0, 0xa1, 0x11, 0, 0x20, 0x11, 0xa2, 0xff]);
}

#[test]
fn neighbouring_chunks_are_one_extent_and_holes_are_extents() {
    let (primary, ..) = devices();
    let image = Image::open_metadata(primary).unwrap();
    let file = image.lookup_path(b"f").unwrap().unwrap();
    let extents: Vec<Extent> = image.extents(&file).unwrap().map(Result::unwrap).collect();
    let on = |device_id, block: u64| Place::Device {
        device_id,
        offset: block * 4096,
    };
    let got: Vec<_> = extents
        .iter()
        .map(|e| (e.logical, e.len, e.place))
        .collect();
    assert_eq!(
        got,
        [
            (0, 8192, on(2, 0)),
            (8192, 4096, on(1, 1)),
            (12288, 4096, Place::Hole),
            (16384, 4096, on(0, 2)),
            (20480, 4096, on(1, 1)),
            (24576, 4096 - 100, on(2, 2)),
        ]
    );
    assert!(matches!(
        image.read_at(&file, 0, &mut [0]),
        Err(Error::DeviceAbsent {
            nid: 20,
            device_id: 2
        })
    ));
    // Data on the primary can be read.
    assert_eq!(image.read_at(&file, 16384, &mut [0; 100]).unwrap(), 100);
}

#[test]
fn a_checksum_of_a_terabyte_of_hole_takes_no_time() {
    let mut raw = Raw::new(2);
    raw.sb.inos = 2.into();
    let mut file = inode(Regular, DataLayout::ChunkBased, 1 << 43);
    file.i_u = (0x20u32 | 31).into();
    raw.dir(
        ROOT,
        2,
        &[
            (".", ROOT, Directory),
            ("..", ROOT, Directory),
            ("f", 20, Regular),
        ],
    )
    .inode(20, file, &[0xff; 8]);
    let image = Image::open(raw.build()).unwrap();
    let summary = check(&image, &CheckOptions::default()).unwrap();
    assert_eq!((summary.hole_bytes, summary.data_bytes), (1 << 43, 0));
    assert!(text(&image).unwrap().contains("size=8796093022208 crc32c="));
}

#[test]
fn names_of_255_bytes_and_names_before_dot_are_read() {
    let long = "n".repeat(255);
    let mut raw = Raw::new(3);
    raw.sb.inos = 3.into();
    // The entries fill a whole block.
    let names = [
        ("!x", 20, Regular),
        (".", ROOT, Directory),
        ("..", ROOT, Directory),
        (long.as_str(), 22, Regular),
    ];
    let block = dir_block(&names);
    let mut root = inode(Directory, DataLayout::FlatPlain, block.len() as u64);
    root.i_u = 2.into();
    root.i_nlink = 2.into();
    raw.inode(ROOT, root, &[])
        .put(2 * BLOCK, &block)
        .empty(20)
        .empty(22);
    let image = Image::open(raw.build()).unwrap();
    check(&image, &CheckOptions::default()).unwrap();
    for name in ["!x", &long] {
        assert!(image.lookup_path(name.as_bytes()).unwrap().is_some());
    }
}

#[test]
fn own_shared_and_long_prefixed_xattrs_are_read() {
    let mut raw = Raw::new(3);
    raw.sb.inos = 2.into();
    raw.sb.xattr_blkaddr = 2.into();
    raw.sb.feature_incompat = Features::INCOMPAT_XATTR_PREFIXES.into();
    raw.sb.xattr_prefix_count = 1;
    // In the last block, after the shared xattr: `trusted.` and more.
    raw.sb.xattr_prefix_start = (3 * 1024 - 16u32).into();
    raw.put(3 * BLOCK - 64, b"\x09\x00\x04overlay.");
    // One shared entry, `security.s`, at 8 bytes of the shared area.
    raw.put(2 * BLOCK + 8, b"\x01\x06\x03\x00sabc");
    let mut body = vec![0; 12];
    body[4] = 1;
    body.extend_from_slice(&2u32.to_le_bytes());
    for (index, suffix, value) in [
        (1, "a", "1"),
        (0x80, "opaque", "y"),
        (2, "", "acl"),
        (1, "empty", ""),
    ] {
        body.extend_from_slice(&[suffix.len() as u8, index, value.len() as u8, 0]);
        body.extend_from_slice(suffix.as_bytes());
        body.extend_from_slice(value.as_bytes());
        body.resize(body.len().next_multiple_of(XATTR_ENTRY_ALIGN), 0);
    }
    let mut file = inode(Regular, DataLayout::FlatPlain, 0);
    file.i_xattr_icount = ((body.len() - 12) as u16 / 4 + 1).into();
    raw.dir(
        ROOT,
        2,
        &[
            (".", ROOT, Directory),
            ("..", ROOT, Directory),
            ("f", 20, Regular),
        ],
    )
    .inode(20, file, &body);
    let image = Image::open(raw.build()).unwrap();
    check(&image, &CheckOptions::default()).unwrap();
    let file = image.lookup_path(b"f").unwrap().unwrap();
    let xattrs = image.xattrs(&file).unwrap();
    let got: Vec<_> = xattrs
        .iter()
        .map(|x| (x.name.as_slice(), x.value.as_slice()))
        .collect();
    assert_eq!(
        got,
        [
            (b"user.a".as_slice(), b"1".as_slice()),
            (b"trusted.overlay.opaque", b"y"),
            (b"system.posix_acl_access", b"acl"),
            (b"user.empty", b""),
            (b"security.s", b"abc"),
        ]
    );
}

#[test]
fn data_of_other_types_is_refused() {
    let (primary, ..) = devices();
    let image = Image::open_metadata(primary).unwrap();
    let root = image.root().unwrap();
    let error = image.open_file(&root).unwrap_err();
    assert!(matches!(
        error,
        Error::Inode {
            problem: InodeProblem::Type {
                expected: Regular,
                actual: Directory
            },
            ..
        }
    ));
    assert!(!error.is_corrupt());
}

#[test]
fn the_dump_is_one_escaped_line_for_each_path() {
    let mut raw = Raw::new(3);
    raw.sb.inos = 5.into();
    let names = [
        (".", ROOT, Directory),
        ("..", ROOT, Directory),
        ("a b", 20, Regular),
        ("d", 30, Directory),
        ("null", 50, CharDevice),
    ];
    let mut file = inode(Regular, DataLayout::FlatInline, 9);
    file.i_nlink = 2.into();
    file.i_mtime = u64::MAX.into();
    file.i_mtime_nsec = 500_000_000.into();
    file.i_uid = 70_000.into();
    // One xattr, `user.a` with the value NUL and `=`, and the data after it.
    let xattr = *b"\0\0\0\0\0\0\0\0\0\0\0\0\x01\x01\x02\0a\0=\0";
    file.i_xattr_icount = 3.into();
    let mut null = inode(CharDevice, DataLayout::FlatPlain, 0);
    null.i_u = erofs_format::encode_rdev(1, 3).unwrap().into();
    null.i_mode = 0o020_666.into();
    let below = [
        (".", 30, Directory),
        ("..", ROOT, Directory),
        ("l", 40, Symlink),
        ("same", 20, Regular),
    ];
    raw.dir(ROOT, 3, &names)
        .inode(20, file, &[&xattr[..], b"123456789"].concat())
        .dir(30, 2, &below)
        .link(40, "../\x1b[")
        .inode(50, null, &[]);
    let image = Image::open(raw.build()).unwrap();
    check(&image, &CheckOptions::default()).unwrap();
    let expected = "\
/ d 0644 0:0 nlink=3 mtime=0.000000000
/a\\x20b f 0644 70000:0 nlink=2 mtime=-1.500000000 size=9 crc32c=1cf96d7c user.a=\\x00\\x3d
/d d 0644 0:0 nlink=2 mtime=0.000000000
/d/l l 0644 0:0 nlink=1 mtime=0.000000000 size=5 target=../\\x1b[
/d/same f 0644 70000:0 nlink=2 mtime=-1.500000000 same=/a\\x20b
/null c 0666 0:0 nlink=1 mtime=0.000000000 dev=1:3
";
    assert_eq!(text(&image).unwrap(), expected);

    let mut options = DumpOptions::default();
    options.limits.link_path_bytes = Some(3);
    let walk = image.walk(&options.limits).unwrap();
    let error = dump_with(walk, &options, &mut Vec::new()).unwrap_err();
    assert_eq!(
        error.to_string(),
        "limit exceeded: at most 3 bytes of paths of hard links"
    );

    let dir = image.lookup_path(b"/d").unwrap().unwrap();
    let options = DumpOptions::default();
    let mut out = Vec::new();
    let walk = image.walk_from(&dir, b"d/", &options.limits).unwrap();
    dump_with(walk, &options, &mut out).unwrap();
    let out = String::from_utf8(out).unwrap();
    let paths: Vec<_> = out
        .lines()
        .map(|line| line.split(' ').next().unwrap())
        .collect();
    assert_eq!(paths, ["/d", "/d/l", "/d/same"]);
    // Its first name is outside the directory.
    assert!(out.contains("/d/same f 0644 70000:0 nlink=2 mtime=-1.500000000 size=9 "));
}

#[test]
fn an_image_can_be_read_from_several_threads() {
    fn shared<T: Send + Sync>(_: &T) {}
    let (primary, one, two) = devices();
    let image = Image::open_with_devices(primary, vec![one, two]).unwrap();
    shared(&image);
    let whole = text(&image).unwrap();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| assert_eq!(text(&image).unwrap(), whole));
        }
    });
}
