//! PAX records, local and global.

use super::support::{Head, SeenKind, entries, only, parse, pax};
use crate::tar::{Lost, TarError, Timestamp};

fn file() -> Vec<u8> {
    Head::new(b"short", b'0', 0).alone()
}

fn with(records: &[(&str, &[u8])]) -> super::support::Seen {
    only(&[pax(b'x', records), file()].concat())
}

#[test]
fn path_linkpath_ids_and_time() {
    let archive = [
        pax(
            b'x',
            &[
                ("path", b"d/caf\xc3\xa9=x\ny"),
                ("linkpath", &[b'l'; 4095]),
                ("uid", b"4294967295"),
                ("gid", b"70000"),
                ("mtime", b"-1.5"),
            ],
        ),
        // The header's own fields do not count, even where they are no numbers.
        Head::new(b"s", b'2', 0)
            .set(108, b"what?")
            .set(136, b"when?")
            .link(b"x")
            .alone(),
    ];
    let entry = only(&archive.concat());
    assert_eq!(entry.path, b"d/caf\xc3\xa9=x\ny");
    assert_eq!(entry.kind, SeenKind::Symlink(vec![b'l'; 4095]));
    assert_eq!((entry.uid, entry.gid), (u32::MAX, 70_000));
    let half_before = Timestamp {
        secs: -2,
        nanos: 500_000_000,
    };
    assert_eq!(entry.mtime, half_before);
}

#[test]
fn size_over_8_gib_is_taken_from_the_record() {
    let archive = [pax(b'x', &[("size", b"9000000000")]), file()].concat();
    let error = parse(&archive).expect_err("the data is missing");
    assert!(matches!(error, TarError::Truncated { .. }));
    assert_eq!(
        error.to_string(),
        "tar entry \"short\" at byte 1024: archive ends inside its data"
    );
    let archive = [
        pax(b'x', &[("size", b"3")]),
        Head::new(b"f", b'0', 0).with(b"abc"),
    ]
    .concat();
    assert_eq!(only(&archive).bytes(), b"abc");
}

#[test]
fn records_hold_for_one_entry() {
    let archive = [
        pax(b'x', &[("path", b"long"), ("SCHILY.xattr.user.a", b"1")]),
        file(),
        file(),
    ];
    let seen = entries(&archive.concat());
    assert_eq!((&seen[0].path[..], seen[0].xattrs.len()), (&b"long"[..], 1));
    assert_eq!(
        (&seen[1].path[..], seen[1].xattrs.len()),
        (&b"short"[..], 0)
    );
}

#[test]
fn empty_value_deletes_the_record_but_an_empty_xattr_is_one() {
    let entry = with(&[
        ("path", b"long"),
        ("path", b""),
        ("uid", b"5"),
        ("uid", b""),
        ("mtime", b""),
        ("SCHILY.xattr.user.empty", b""),
    ]);
    assert_eq!(
        (entry.path, entry.uid, entry.mtime.secs),
        (b"short".to_vec(), 0, 0)
    );
    assert_eq!(entry.xattrs, [(b"user.empty".to_vec(), vec![])]);
}

#[test]
fn global_records_apply_until_overridden_or_deleted() {
    let archive = [
        pax(
            b'g',
            &[
                ("uid", b"7"),
                ("mtime", b"9.25"),
                ("comment", b"c"),
                ("SCHILY.xattr.user.g", b"global"),
            ],
        ),
        file(),
        pax(
            b'x',
            &[
                ("uid", b"8"),
                ("mtime", b""),
                ("SCHILY.xattr.user.a", b"local"),
                ("SCHILY.xattr.user.g", b""),
            ],
        ),
        file(),
        pax(b'g', &[("uid", b""), ("gid", b"3")]),
        file(),
    ];
    let seen = entries(&archive.concat());
    let global = (b"user.g".to_vec(), b"global".to_vec());
    let quarter = Timestamp {
        secs: 9,
        nanos: 250_000_000,
    };
    assert_eq!((seen[0].uid, seen[0].gid, seen[0].mtime), (7, 0, quarter));
    assert_eq!(seen[0].xattrs, std::slice::from_ref(&global));
    assert_eq!((seen[1].uid, seen[1].mtime), (8, Timestamp::default()));
    assert_eq!(
        seen[1].xattrs,
        [
            (b"user.a".to_vec(), b"local".to_vec()),
            (b"user.g".to_vec(), vec![])
        ]
    );
    assert_eq!((seen[2].uid, seen[2].gid, seen[2].mtime), (0, 3, quarter));
    assert_eq!(seen[2].xattrs, [global]);
}

#[test]
fn global_path_and_link_target_hold_until_a_local_record() {
    let link = || Head::new(b"short", b'2', 0).link(b"to").alone();
    let archive = [
        pax(b'g', &[("path", b"everywhere"), ("linkpath", b"target")]),
        link(),
        pax(b'x', &[("path", b"here"), ("linkpath", b"there")]),
        link(),
        pax(b'x', &[("path", b""), ("linkpath", b"")]),
        link(),
    ];
    let seen: Vec<_> = entries(&archive.concat())
        .into_iter()
        .map(|seen| (seen.path, seen.kind))
        .collect();
    let expected: [(&[u8], &[u8]); 3] = [
        (b"everywhere", b"target"),
        (b"here", b"there"),
        (b"short", b"to"),
    ];
    let expected = expected.map(|(path, to)| (path.to_vec(), SeenKind::Symlink(to.to_vec())));
    assert_eq!(seen, expected);
}

#[test]
fn global_header_between_a_local_one_and_its_entry() {
    let archive = [
        pax(b'x', &[("path", b"long")]),
        pax(b'g', &[("uid", b"1")]),
        file(),
    ];
    let entry = only(&archive.concat());
    assert_eq!((entry.path, entry.uid), (b"long".to_vec(), 1));
}

#[test]
fn xattrs_of_both_families_are_binary_and_sorted() {
    let capability = b"\x01\0\0\x02\0\x20=\n\0\0\0\0\0\0\0\0\0\0\0\0";
    let entry = with(&[
        ("SCHILY.xattr.user.z", b"1"),
        ("LIBARCHIVE.xattr.user.a%20b", b"AAH/"),
        ("SCHILY.xattr.security.capability", capability),
        ("LIBARCHIVE.xattr.user.z", b"MQ"),
    ]);
    let expected: [(&[u8], &[u8]); 3] = [
        (b"security.capability", capability),
        (b"user.a b", b"\0\x01\xff"),
        (b"user.z", b"1"),
    ];
    let expected = expected.map(|(name, value)| (name.to_vec(), value.to_vec()));
    assert_eq!(entry.xattrs, expected);
}

#[test]
fn records_that_are_not_decoded_are_reported() {
    assert_eq!(
        with(&[
            ("atime", b"1"),
            ("uname", b"root"),
            ("hdrcharset", b"BINARY")
        ])
        .lost,
        Lost::default()
    );
    assert!(with(&[("SCHILY.acl.access", b"user::rwx")]).lost.text_acl);
    assert!(with(&[("SCHILY.fflags", b"nodump")]).lost.file_flags);
    assert!(with(&[("RHT.security.selinux", b"x")]).lost.selinux);
}

#[test]
fn global_records_that_are_not_decoded_are_reported_for_each_entry() {
    let none = Lost::default();
    for (keyword, lost) in [
        (
            "SCHILY.acl.default",
            Lost {
                text_acl: true,
                ..none
            },
        ),
        (
            "SCHILY.fflags",
            Lost {
                file_flags: true,
                ..none
            },
        ),
        (
            "RHT.security.selinux",
            Lost {
                selinux: true,
                ..none
            },
        ),
    ] {
        let archive = [pax(b'g', &[(keyword, b"x")]), file(), file()];
        let seen: Vec<_> = entries(&archive.concat())
            .iter()
            .map(|seen| seen.lost)
            .collect();
        assert_eq!(seen, [lost, lost], "{keyword}");
    }
}

#[test]
fn an_empty_local_record_hides_what_a_global_one_states() {
    for keyword in ["SCHILY.fflags", "RHT.security.selinux"] {
        let archive = [
            pax(b'g', &[(keyword, b"x")]),
            pax(b'x', &[(keyword, b"")]),
            file(),
            file(),
        ];
        let seen = entries(&archive.concat());
        assert_eq!(seen[0].lost, Lost::default(), "{keyword}");
        assert_ne!(seen[1].lost, Lost::default(), "{keyword}");
    }
}

#[test]
fn solaris_extended_header_is_a_pax_header() {
    assert_eq!(
        only(&[pax(b'X', &[("path", b"long")]), file()].concat()).path,
        b"long"
    );
}

#[test]
fn names_of_255_bytes() {
    let name = [&b"d/"[..], &[b'n'; 255]].concat();
    assert_eq!(with(&[("path", &name)]).path, name);
}
