//! Headers of every dialect, and what a payload is.

use super::support::{Head, SeenKind, entries, only, parse, pax};
use crate::tar::{TarError, Timestamp};

#[test]
fn v7_trailing_slash_is_a_directory() {
    for kind in [0, b'0'] {
        let dir = only(&Head::v7(b"d/", kind, 0).alone());
        assert_eq!((dir.kind, dir.path), (SeenKind::Directory, b"d/".to_vec()));
    }
    let file = only(&Head::v7(b"f", 0, 3).with(b"abc"));
    assert_eq!(
        (file.kind.clone(), file.bytes()),
        (SeenKind::Regular, b"abc".to_vec())
    );
    // With data it stays a file, so that nothing is lost.
    let file = only(&Head::v7(b"f/", b'0', 3).with(b"abc"));
    assert_eq!(
        (file.kind.clone(), file.bytes()),
        (SeenKind::Regular, b"abc".to_vec())
    );
}

#[test]
fn v7_has_neither_prefix_nor_device_numbers() {
    let head = Head::v7(b"n", b'3', 0)
        .set(329, b"0000007\0")
        .set(345, b"prefix");
    let device = only(&head.alone());
    assert_eq!(
        (device.path, device.kind),
        (b"n".to_vec(), SeenKind::Char(0, 0))
    );
}

#[test]
fn ustar_prefix_and_nul_version() {
    for version in [&b"00"[..], b"\0\0", b"  "] {
        let head = Head::new(&[b'n'; 100], b'0', 0)
            .set(263, version)
            .set(345, &[b'p'; 155]);
        let entry = only(&head.alone());
        assert_eq!(entry.path, [&[b'p'; 155][..], b"/", &[b'n'; 100]].concat());
    }
}

#[test]
fn gnu_header_has_no_prefix() {
    let head = Head::gnu(b"n", b'0', 0).set(345, b"14000000000\x0014000000000\0");
    assert_eq!(only(&head.alone()).path, b"n");
}

#[test]
fn a_prefix_that_overwrites_only_one_time_is_recognized() {
    // Too short to reach the second time, which is then empty.
    let head = Head::gnu(b"n", b'0', 0).set(345, b"dir");
    assert_eq!(only(&head.alone()).path, b"dir/n");
}

#[test]
fn only_both_magic_and_version_make_a_gnu_header() {
    let device = |head: Head| only(&head.set(329, b"0000007\0").alone()).kind;
    let gnu = || Head::gnu(b"n", b'3', 0);
    assert_eq!(device(gnu()), SeenKind::Char(7, 0));
    // Else it is of V7, which has no device numbers.
    assert_eq!(device(gnu().set(257, b"ustaR ")), SeenKind::Char(0, 0));
    assert_eq!(device(gnu().set(263, b"00")), SeenKind::Char(0, 0));
}

#[test]
fn type_7_is_a_regular_file() {
    let entry = only(&Head::new(b"f", b'7', 2).with(b"hi"));
    assert_eq!(
        (entry.kind.clone(), entry.bytes()),
        (SeenKind::Regular, b"hi".to_vec())
    );
}

#[test]
fn an_unknown_type_is_delivered_with_its_payload() {
    for kind in [b'Z', b'V', b'8'] {
        let entry = only(&Head::new(b"f", kind, 2).with(b"hi"));
        assert_eq!(
            (entry.kind.clone(), entry.bytes()),
            (SeenKind::Other(kind), b"hi".to_vec())
        );
    }
}

#[test]
fn hard_link_with_a_size_has_no_data() {
    let archive = [
        Head::new(b"a", b'0', 3).with(b"abc"),
        Head::new(b"b", b'1', 3).link(b"a").alone(),
        Head::new(b"s", b'2', 3).link(b"a").alone(),
        Head::new(b"d", b'5', 3).alone(),
        Head::new(b"c", b'0', 1).with(b"c"),
    ];
    let seen = entries(&archive.concat());
    assert_eq!(seen[1].kind, SeenKind::HardLink(b"a".to_vec()));
    assert_eq!((seen[1].size, seen[1].bytes()), (0, vec![]));
    assert_eq!(seen[2].kind, SeenKind::Symlink(b"a".to_vec()));
    assert_eq!(seen[3].kind, SeenKind::Directory);
    assert_eq!(seen[4].bytes(), b"c");
}

#[test]
fn gnu_dump_directory_has_its_list_skipped() {
    let archive = [
        Head::gnu(b"d", b'D', 5).with(b"Yf\0\0\0"),
        Head::gnu(b"f", b'0', 0).alone(),
    ];
    let seen = entries(&archive.concat());
    assert_eq!((&seen[0].kind, seen[0].size), (&SeenKind::Directory, 0));
    assert_eq!(seen[1].path, b"f");
}

#[test]
fn devices_fifo_and_mode_bits() {
    let device = |kind| {
        Head::new(b"d", kind, 0)
            .set(329, b"0000010\0")
            .set(337, b"0000377\0")
    };
    assert_eq!(only(&device(b'3').alone()).kind, SeenKind::Char(8, 255));
    assert_eq!(only(&device(b'4').alone()).kind, SeenKind::Block(8, 255));
    assert_eq!(only(&device(b'6').alone()).kind, SeenKind::Fifo);
    // setuid, setgid, sticky; the file type bits that some writers add are cut.
    let head = Head::new(b"f", b'0', 0).set(100, b"0107755\0");
    assert_eq!(only(&head.alone()).mode, 0o7755);
}

#[test]
fn base256_numbers() {
    let head = Head::gnu(b"f", b'5', 0)
        .set(108, &[0x80, 0, 0, 0, 0, 1, 0x11, 0x70])
        .set(116, &[0x80, 0, 0, 0, 0xff, 0xff, 0xff, 0xff])
        .set(
            136,
            &[
                0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xfe,
            ],
        );
    let entry = only(&head.alone());
    assert_eq!((entry.uid, entry.gid), (70_000, u32::MAX));
    assert_eq!(entry.mtime, Timestamp { secs: -2, nanos: 0 });
    let after_2106 = Head::gnu(b"f", b'5', 0).set(136, &[0x80, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 1]);
    assert_eq!(only(&after_2106.alone()).mtime.secs, (2 << 32) + 1);
}

#[test]
fn ids_and_sizes_out_of_range_name_their_field() {
    let field = |head: Head| match parse(&head.alone()) {
        Err(TarError::Number {
            field, offset: 0, ..
        }) => field,
        other => panic!("{other:?}"),
    };
    let head = Head::gnu(b"f", b'0', 0);
    assert_eq!(
        field(head.clone().set(108, &[0x80, 0, 0, 1, 0, 0, 0, 0])),
        "uid"
    );
    assert_eq!(field(head.clone().set(116, &[0xff; 8])), "gid");
    assert_eq!(field(head.clone().set(124, &[0xff; 12])), "size");
    assert_eq!(field(head.clone().set(124, b"00000000009\0")), "size");
    assert_eq!(field(head.set(136, b"yesterday")), "mtime");
}

#[test]
fn gnu_long_names_win_and_last_for_one_entry() {
    let long = vec![b'n'; 5000];
    let target = vec![b't'; 4095];
    let extension = |kind, body: &[u8]| {
        Head::gnu(b"././@LongLink", kind, body.len() as u64 + 1).with(&[body, b"\0"].concat())
    };
    let archive = [
        extension(b'L', &long),
        extension(b'K', &target),
        Head::gnu(b"short", b'2', 0).link(b"short").alone(),
        Head::gnu(b"next", b'2', 0).link(b"other").alone(),
    ];
    let seen = entries(&archive.concat());
    assert_eq!(
        (&seen[0].path, &seen[0].kind),
        (&long, &SeenKind::Symlink(target))
    );
    assert_eq!(seen[1].path, b"next");
    assert_eq!(seen[1].kind, SeenKind::Symlink(b"other".to_vec()));
}

#[test]
fn names_that_are_not_utf8_stay_bytes() {
    let entry = only(&Head::new(b"caf\xe9/\xff\n", b'0', 0).alone());
    assert_eq!(entry.path, b"caf\xe9/\xff\n");
}

#[test]
fn an_empty_name_field_is_no_end_of_the_archive() {
    let archive = [
        pax(b'x', &[("path", b"long")]),
        Head::new(b"", b'0', 2).with(b"hi"),
        Head::new(b"", b'5', 0).set(345, b"prefix").alone(),
    ];
    let seen = entries(&archive.concat());
    assert_eq!(
        (&seen[0].path[..], seen[0].bytes()),
        (&b"long"[..], b"hi".to_vec())
    );
    assert_eq!(seen[1].path, b"prefix/");
}

#[test]
fn sizes_around_a_block() {
    for size in [0, 1, 511, 512, 513, 1024, 4096, 4097] {
        let payload = vec![7; size];
        let archive = [
            Head::new(b"f", b'0', size as u64).with(&payload),
            Head::new(b"g", b'5', 0).alone(),
        ];
        let seen = entries(&archive.concat());
        assert_eq!((seen[0].bytes(), seen[0].size), (payload, size as u64));
        assert_eq!(seen[1].path, b"g");
        assert_eq!(
            seen[1].header_offset,
            512 + (size as u64).next_multiple_of(512)
        );
    }
}
