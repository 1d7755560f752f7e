//! Sparse files: old GNU and all three PAX forms, right and wrong.

use super::support::{Head, Seen, entries, only, parse, parse_with, pax};
use crate::tar::{EntryName, Limit, Limits, Part, SparseFault, TarError};

const MIB: u64 = 1 << 20;

/// Checks an entry of 4 MiB with extents of 600 bytes at 1 MiB and 3 bytes at 3 MiB.
fn check(entry: &Seen, path: &[u8]) {
    assert_eq!((&entry.path[..], entry.size), (path, 4 * MIB));
    assert_eq!(entry.sparse, Some(vec![(MIB, 600), (3 * MIB, 3)]));
    assert_eq!(
        entry.data,
        [(MIB, vec![b'a'; 600]), (3 * MIB, b"end".to_vec())]
    );
}

fn payload() -> Vec<u8> {
    [&[b'a'; 600][..], b"end"].concat()
}

fn after() -> Vec<u8> {
    Head::new(b"after", b'5', 0).alone()
}

fn slot(offset: u64, len: u64) -> Vec<u8> {
    format!("{offset:011o}\0{len:011o}\0").into_bytes()
}

fn old_gnu(slots: &[(u64, u64)], size: u64, stored: u64, extended: bool) -> Head {
    let slots: Vec<u8> = slots
        .iter()
        .flat_map(|(offset, len)| slot(*offset, *len))
        .collect();
    Head::gnu(b"sparse", b'S', stored)
        .set(386, &slots)
        .set(482, &[u8::from(extended)])
        .set(483, format!("{size:011o}\0").as_bytes())
}

#[test]
fn old_gnu_sparse() {
    let head = old_gnu(
        &[(MIB, 600), (3 * MIB, 3), (4 * MIB, 0)],
        4 * MIB,
        603,
        false,
    );
    let seen = entries(&[head.with(&payload()), after()].concat());
    check(&seen[0], b"sparse");
    assert_eq!(seen[1].path, b"after");
}

#[test]
fn old_gnu_sparse_with_extension_blocks() {
    let map: Vec<(u64, u64)> = (0..30).map(|index| (index * 10_000, 5)).collect();
    let block = |slots: &[(u64, u64)], more: bool| {
        let mut block: Vec<u8> = slots
            .iter()
            .flat_map(|(offset, len)| slot(*offset, *len))
            .collect();
        block.resize(512, 0);
        block[504] = u8::from(more);
        block
    };
    let data: Vec<u8> = (0..150).collect();
    let archive = [
        old_gnu(&map[..4], MIB, 150, true).alone(),
        block(&map[4..25], true),
        block(&map[25..], false),
        [&data[..], &[0; 362]].concat(),
        after(),
    ];
    let archive = archive.concat();
    let seen = entries(&archive);
    assert_eq!(seen[0].sparse.as_ref(), Some(&map));
    assert_eq!(seen[0].bytes(), data);
    assert_eq!(seen[0].data[29].0, 290_000);
    assert_eq!(seen[1].path, b"after");
    let limited = |sparse_extents| {
        let limits = Limits {
            sparse_extents,
            ..Limits::default()
        };
        parse_with(&archive, limits)
    };
    // Slots count, whether they are filled or not.
    assert!(limited(46).is_ok());
    assert!(matches!(
        limited(45),
        Err(TarError::TooLarge {
            limit: Limit::SparseExtents,
            allowed: 45,
            actual: 46,
            ..
        })
    ));
}

#[test]
fn pax_sparse_0_0() {
    let records: [(&str, &[u8]); 8] = [
        ("GNU.sparse.size", b"4194304"),
        ("GNU.sparse.numblocks", b"3"),
        ("GNU.sparse.offset", b"1048576"),
        ("GNU.sparse.numbytes", b"600"),
        ("GNU.sparse.offset", b"3145728"),
        ("GNU.sparse.numbytes", b"3"),
        ("GNU.sparse.offset", b"4194304"),
        ("GNU.sparse.numbytes", b"0"),
    ];
    let archive = [
        pax(b'x', &records),
        Head::new(b"f", b'0', 603).with(&payload()),
        after(),
    ];
    check(&entries(&archive.concat())[0], b"f");
}

#[test]
fn pax_sparse_0_1() {
    let records: [(&str, &[u8]); 5] = [
        ("GNU.sparse.name", b"real"),
        ("path", b"GNUSparseFile.1/real"),
        ("GNU.sparse.size", b"4194304"),
        ("GNU.sparse.numblocks", b"2"),
        ("GNU.sparse.map", b"1048576,600,3145728,3"),
    ];
    let archive = [
        pax(b'x', &records),
        Head::new(b"f", b'0', 603).with(&payload()),
        after(),
    ];
    check(&entries(&archive.concat())[0], b"real");
}

fn pax_1_0(map: &[u8], payload: &[u8], real_size: &[u8]) -> Vec<u8> {
    let mut stored = map.to_vec();
    stored.resize(stored.len().next_multiple_of(512), 0);
    stored.extend_from_slice(payload);
    let records: [(&str, &[u8]); 4] = [
        ("GNU.sparse.major", b"1"),
        ("GNU.sparse.minor", b"0"),
        ("GNU.sparse.name", b"real"),
        ("GNU.sparse.realsize", real_size),
    ];
    [
        pax(b'x', &records),
        Head::new(b"f", b'0', stored.len() as u64).with(&stored),
        after(),
    ]
    .concat()
}

#[test]
fn pax_sparse_1_0() {
    let seen = entries(&pax_1_0(
        b"3\n1048576\n600\n3145728\n3\n4194304\n0\n",
        &payload(),
        b"4194304",
    ));
    check(&seen[0], b"real");
    assert_eq!(seen[1].path, b"after");
    // A map that takes more than a block.
    let mut map = b"100\n".to_vec();
    for index in 0..100 {
        map.extend_from_slice(format!("{}\n1\n", index * 100_000).as_bytes());
    }
    let seen = entries(&pax_1_0(&map, &[9; 100], b"10000000"));
    assert_eq!(seen[0].data.len(), 100);
    assert_eq!(seen[0].data[99], (9_900_000, vec![9]));
}

#[test]
fn file_that_is_one_hole() {
    let seen = entries(&pax_1_0(b"1\n1073741824\n0\n", b"", b"1073741824"));
    assert_eq!((seen[0].size, &seen[0].sparse), (1 << 30, &Some(vec![])));
    assert_eq!(seen[0].data, []);
    let seen = entries(&pax_1_0(b"0\n", b"", b"5"));
    assert_eq!((seen[0].size, &seen[0].sparse), (5, &Some(vec![])));
    let entry = only(&old_gnu(&[(MIB, 0)], MIB, 0, false).alone());
    assert_eq!((entry.size, entry.sparse), (MIB, Some(vec![])));
}

fn fault(archive: &[u8]) -> SparseFault {
    match parse(archive) {
        Err(TarError::Sparse { fault, .. }) => fault,
        other => panic!("{other:?}"),
    }
}

#[test]
fn malformed_sparse_maps_are_different_errors() {
    let old = |slots: &[(u64, u64)], stored| old_gnu(slots, 1000, stored, false).with(&[0; 100]);
    assert_eq!(fault(&old(&[(100, 10), (50, 10)], 20)), SparseFault::Order);
    assert_eq!(fault(&old(&[(100, 10), (105, 10)], 20)), SparseFault::Order);
    assert_eq!(fault(&old(&[(995, 10)], 10)), SparseFault::PastEnd);
    assert_eq!(fault(&old(&[(100, 10)], 20)), SparseFault::StoredSize);
    assert_eq!(fault(&old(&[(100, 30)], 20)), SparseFault::StoredSize);
    let not_gnu = Head::new(b"f", b'S', 0).alone();
    assert_eq!(fault(&not_gnu), SparseFault::NotGnu);
    assert_eq!(fault(&pax_1_0(b"x\n", b"", b"5")), SparseFault::Number);
    assert_eq!(fault(&pax_1_0(b"\n", b"", b"5")), SparseFault::Number);
    // The neighbours of the digits in ASCII are none, in a map that is whole but for them.
    for map in [b"1\n0\n/\n", b"1\n0\n:\n"] {
        assert_eq!(fault(&pax_1_0(map, b"", b"5")), SparseFault::Number);
    }
    assert_eq!(
        fault(&pax_1_0(b"1\n99999999999999999999\n", b"", b"5")),
        SparseFault::Number
    );
    assert_eq!(
        fault(&pax_1_0(b"1\n18446744073709551615\n9\n", b"", b"5")),
        SparseFault::PastEnd
    );
    // The map never ends within the payload: NUL padding is no number.
    assert_eq!(
        fault(&pax_1_0(b"2\n0\n1\n", b"", b"5")),
        SparseFault::Number
    );
    assert_eq!(
        fault(&pax_1_0(
            &[&b"2"[..], &[b'\n'; 0], &[b'0'; 511]].concat(),
            b"",
            b"5"
        )),
        SparseFault::Number
    );
    assert_eq!(fault(&pax_1_0(b"", b"", b"5")), SparseFault::StoredSize);
    let sparse = |records: &[(&str, &[u8])], kind| {
        [pax(b'x', records), Head::new(b"f", kind, 0).alone()].concat()
    };
    assert_eq!(
        fault(&sparse(
            &[("GNU.sparse.major", b"2"), ("GNU.sparse.minor", b"0")],
            b'0'
        )),
        SparseFault::Version
    );
    assert_eq!(
        fault(&sparse(
            &[("GNU.sparse.map", b"0,0"), ("GNU.sparse.size", b"1")],
            b'5'
        )),
        SparseFault::NoData
    );
    assert_eq!(
        fault(&sparse(&[("GNU.sparse.map", b"0,0")], b'0')),
        SparseFault::NoSize
    );
}

#[test]
fn a_map_in_front_of_the_data_is_limited_by_its_count() {
    let error = parse(&pax_1_0(b"1048577\n", b"", b"5")).expect_err("more than the limit");
    assert!(matches!(error, TarError::TooLarge { .. }));
}

#[test]
fn a_map_that_fills_the_payload_without_an_end_is_malformed() {
    let mut map = b"200\n".to_vec();
    map.extend_from_slice(&b"0\n".repeat(254));
    assert_eq!(map.len(), 512);
    let archive = pax_1_0(&map, b"", b"5");
    // Also where the archive ends with it: nothing is cut off.
    for archive in [&archive[..], &archive[..archive.len() - 512]] {
        assert_eq!(fault(archive), SparseFault::StoredSize);
    }
}

#[test]
fn a_cut_map_names_its_entry() {
    let truncated = |archive: &[u8], offset, name: &[u8]| {
        let expected = TarError::Truncated {
            offset,
            entry: EntryName::new(name),
            part: Part::SparseMap,
        };
        assert_eq!(parse(archive), Err(expected));
    };
    let old = old_gnu(&[(0, 1)], MIB, 1, true).alone();
    truncated(&old, 0, b"sparse");
    truncated(&[&old[..], &[0; 100]].concat(), 0, b"sparse");
    // Records, the header at 1024, the map behind it.
    let payload = pax_1_0(b"1\n0\n3\n", b"abc", b"5");
    truncated(&payload[..1536], 1024, b"real");
    truncated(&payload[..1536 + 100], 1024, b"real");
}

#[test]
fn as_many_extents_as_the_limit_allows() {
    let records: [(&str, &[u8]); 2] = [
        ("GNU.sparse.size", b"9"),
        ("GNU.sparse.map", b"0,1,2,1,9,0"),
    ];
    let in_records = [
        pax(b'x', &records),
        Head::new(b"f", b'0', 2).with(b"ab"),
        after(),
    ]
    .concat();
    let in_front = pax_1_0(b"3\n0\n1\n2\n1\n9\n0\n", b"ab", b"9");
    for archive in [in_records, in_front] {
        let limited = |sparse_extents| {
            let limits = Limits {
                sparse_extents,
                ..Limits::default()
            };
            parse_with(&archive, limits)
        };
        let (seen, _) = limited(3).expect("three are allowed");
        assert_eq!(seen[0].sparse, Some(vec![(0, 1), (2, 1)]));
        assert!(matches!(
            limited(2),
            Err(TarError::TooLarge {
                limit: Limit::SparseExtents,
                allowed: 2,
                actual: 3,
                ..
            })
        ));
    }
}
