//! Archives that are cut, damaged or greedy.

use super::support::{Head, Seen, entries, parse, parse_with, pax, record};
use crate::tar::{
    Entry, EntryName, Limit, Limits, Part, PaxFault, PushError, TarEnd, TarError, TarParser,
    TarSink,
};
use proptest::prelude::*;

fn file(name: &[u8], data: &[u8]) -> Vec<u8> {
    Head::new(name, b'0', data.len() as u64).with(data)
}

fn end(archive: &[u8]) -> TarEnd {
    parse(archive).expect("the archive is right").1
}

#[test]
fn archive_may_lack_its_end_and_its_last_padding() {
    let whole = file(b"f", b"abc");
    assert!(!end(&whole).marked);
    assert_eq!(entries(&whole[..515])[0].bytes(), b"abc");
    assert_eq!(end(b""), end(&[]));
    assert!(end(&[&whole[..], &[0; 512]].concat()).marked);
    assert!(end(&[&whole[..], &[0; 1024]].concat()).marked);
}

#[test]
fn bytes_after_the_end_are_counted_not_read() {
    let archive = [
        &file(b"f", b"abc")[..],
        &[0; 1024],
        b"anything",
        &file(b"g", b""),
    ]
    .concat();
    let end = end(&archive);
    assert_eq!(
        (end.entries, end.marked, end.trailing_bytes),
        (1, true, 520)
    );
}

#[test]
fn lone_zero_block_is_an_error() {
    let archive = [&file(b"f", b"")[..], &[0; 512], &file(b"g", b"")].concat();
    assert_eq!(
        parse(&archive),
        Err(TarError::LoneZeroBlock { offset: 512 })
    );
}

fn cut(archive: &[u8], len: usize) -> (u64, Part) {
    match parse(&archive[..len]) {
        Err(TarError::Truncated { offset, part, .. }) => (offset, part),
        other => panic!("{other:?}"),
    }
}

#[test]
fn truncated_archives_name_the_part_and_where() {
    let archive = [
        file(b"a", b"x"),
        pax(b'x', &[("path", b"b")]),
        file(b"f", &[1; 600]),
    ]
    .concat();
    assert_eq!(cut(&archive, 100), (0, Part::Header));
    assert_eq!(cut(&archive, 512), (0, Part::Data));
    assert_eq!(cut(&archive, 1024 + 512), (1024, Part::Extension));
    assert_eq!(cut(&archive, 1024 + 512 + 100), (1024, Part::Extension));
    assert_eq!(cut(&archive, 2048 + 5), (2048, Part::Header));
    assert_eq!(cut(&archive, 2048 + 512 + 599), (2048, Part::Data));
    assert_eq!(
        cut(&[&file(b"f", b"")[..], &[0; 600]].concat(), 1100),
        (1024, Part::Header)
    );
    assert_eq!(
        parse(&archive[..2048]),
        Err(TarError::DanglingExtension { offset: 1024 })
    );
    // A payload that is skipped is one too; its padding may lack.
    let dump = Head::gnu(b"d", b'D', 5).with(b"Yf\0\0\0");
    assert_eq!(cut(&dump, 512 + 4), (0, Part::Data));
    assert!(parse(&dump[..512 + 5]).is_ok());
}

#[test]
fn a_cut_global_header_is_named_by_its_own_place() {
    let global = pax(b'g', &[("uid", b"1")]);
    // In the body, at the end of the body, in the padding.
    for len in [512 + 3, 512 + 8, 512 + 100] {
        assert_eq!(cut(&global, len), (0, Part::Extension));
        let after_local = [pax(b'x', &[("path", b"b")]), global.clone()].concat();
        assert_eq!(cut(&after_local, 1024 + len), (1024, Part::Extension));
    }
}

#[test]
fn a_checksum_mismatch_names_both_checksums() {
    let mut archive = file(b"f", b"");
    archive[0] = b'g';
    let Err(TarError::Checksum {
        offset,
        expected,
        actual,
    }) = parse(&archive)
    else {
        panic!("the checksum is wrong");
    };
    assert_eq!((offset, actual), (0, expected + 1));
    assert!(matches!(
        parse(&[b'x'; 512]),
        Err(TarError::Checksum { .. })
    ));
}

#[test]
fn malformed_pax_record_names_its_place() {
    let body = [record("path", b"ok"), b"nonsense".to_vec()].concat();
    let archive = [
        Head::new(b"x", b'x', body.len() as u64).with(&body),
        file(b"f", b""),
    ]
    .concat();
    let expected = TarError::Pax {
        offset: 0,
        position: 11,
        fault: PaxFault::Length,
    };
    assert_eq!(parse(&archive), Err(expected));
    let fault = |kind, records: &[(&str, &[u8])]| match parse(&pax(kind, records)) {
        Err(TarError::Pax { fault, .. }) => fault,
        other => panic!("{other:?}"),
    };
    assert_eq!(fault(b'x', &[("path", b"a\0b")]), PaxFault::Nul);
    assert_eq!(
        fault(b'x', &[("LIBARCHIVE.xattr.user.a", b"!")]),
        PaxFault::Encoding
    );
    assert_eq!(
        fault(b'x', &[("LIBARCHIVE.xattr.user.%0", b"")]),
        PaxFault::Encoding
    );
    assert_eq!(
        fault(b'x', &[("GNU.sparse.numbytes", b"1")]),
        PaxFault::Sparse
    );
    assert_eq!(
        fault(b'x', &[("GNU.sparse.offset", b"1")]),
        PaxFault::Sparse
    );
    assert_eq!(
        fault(b'x', &[("GNU.sparse.map", b"1,2,3")]),
        PaxFault::Number
    );
    assert_eq!(fault(b'g', &[("GNU.sparse.map", b"1,2")]), PaxFault::Sparse);
}

#[test]
fn claims_beyond_a_limit_are_refused_by_name() {
    let limit = |archive: &[u8], limits: Limits| match parse_with(archive, limits) {
        Err(TarError::TooLarge { limit, .. }) => limit,
        other => panic!("{other:?}"),
    };
    let default = Limits::default();
    // Refused by its header alone: there is no body.
    assert_eq!(
        limit(&Head::new(b"x", b'x', 100 << 20).alone(), default),
        Limit::PaxBytes
    );
    assert_eq!(
        limit(&Head::new(b"x", b'g', 100 << 20).alone(), default),
        Limit::GlobalPaxBytes
    );
    assert_eq!(
        limit(&Head::gnu(b"x", b'L', 100 << 20).alone(), default),
        Limit::LongNameBytes
    );
    assert_eq!(
        limit(&Head::gnu(b"x", b'K', 100 << 20).alone(), default),
        Limit::LongNameBytes
    );
    let global = pax(b'g', &[("comment", &[b'c'; 400])]).repeat(3);
    let small = Limits {
        pax_bytes: 1000,
        ..default
    };
    assert_eq!(limit(&global, small), Limit::GlobalPaxBytes);
    let xattrs = [
        pax(b'x', &[("SCHILY.xattr.user.a", &[1; 300_000])]),
        file(b"f", b""),
    ]
    .concat();
    assert_eq!(limit(&xattrs, default), Limit::XattrBytes);
    let symlink = [
        pax(b'x', &[("linkpath", &[b'l'; 4096])]),
        Head::new(b"s", b'2', 0).alone(),
    ]
    .concat();
    assert_eq!(limit(&symlink, default), Limit::SymlinkBytes);
}

#[test]
fn an_entry_at_a_limit_is_read() {
    let refused = |archive: &[u8], limits: Limits| match parse_with(archive, limits) {
        Err(TarError::TooLarge {
            limit,
            allowed,
            actual,
            ..
        }) => (limit, allowed, actual),
        other => panic!("{other:?}"),
    };
    let default = Limits::default();
    let record_bytes = record("SCHILY.xattr.user.a", b"1234").len() as u64;
    let local = [
        pax(b'x', &[("SCHILY.xattr.user.a", b"1234")]),
        file(b"f", b""),
    ]
    .concat();
    let pax_bytes = |pax_bytes| Limits {
        pax_bytes,
        ..default
    };
    assert!(parse_with(&local, pax_bytes(record_bytes)).is_ok());
    assert_eq!(
        refused(&local, pax_bytes(record_bytes - 1)),
        (Limit::PaxBytes, record_bytes - 1, record_bytes)
    );
    // Name and value count.
    let xattr_bytes = |xattr_bytes| Limits {
        xattr_bytes,
        ..default
    };
    assert!(parse_with(&local, xattr_bytes(10)).is_ok());
    assert_eq!(refused(&local, xattr_bytes(9)), (Limit::XattrBytes, 9, 10));
    let global = [
        pax(b'g', &[("comment", &[b'c'; 87])]).repeat(3),
        file(b"f", b""),
    ]
    .concat();
    let all = 3 * record("comment", &[b'c'; 87]).len() as u64;
    assert!(parse_with(&global, pax_bytes(all)).is_ok());
    assert_eq!(
        refused(&global, pax_bytes(all - 1)),
        (Limit::GlobalPaxBytes, all - 1, all)
    );
    let long_name = [
        Head::gnu(b"x", b'L', 300).with(&[b'n'; 300]),
        file(b"f", b""),
    ]
    .concat();
    let long_name_bytes = |long_name_bytes| Limits {
        long_name_bytes,
        ..default
    };
    assert!(parse_with(&long_name, long_name_bytes(300)).is_ok());
    assert_eq!(
        refused(&long_name, long_name_bytes(299)),
        (Limit::LongNameBytes, 299, 300)
    );
}

#[test]
fn errors_print_names_without_control_characters() {
    assert_eq!(
        EntryName::new(b"a\x1b[2J\n\xff\"\xc3\xa9").to_string(),
        r#""a\u{1b}[2J\n\xff"é""#
    );
    let long = EntryName::new(&[b'x'; 10_000]);
    assert!(long.to_string().ends_with("x\"..."));
    // Only one byte beyond the printed length is kept, which shows that the name was cut.
    assert_eq!(long, EntryName::new(&[b'x'; 257]));
}

/// Refuses the first call of one kind.
struct Refuses(&'static str);

impl Refuses {
    fn call(&self, name: &str) -> Result<(), &'static str> {
        if name == self.0 { Err(self.0) } else { Ok(()) }
    }
}

impl TarSink for Refuses {
    type Error = &'static str;
    fn entry(&mut self, _: &Entry<'_>) -> Result<(), &'static str> {
        self.call("entry")
    }
    fn data(&mut self, _: u64, _: &[u8]) -> Result<(), &'static str> {
        self.call("data")
    }
    fn end_entry(&mut self) -> Result<(), &'static str> {
        self.call("end")
    }
}

#[test]
fn a_sink_that_refuses_is_final() {
    for call in ["entry", "data", "end"] {
        let mut parser = TarParser::new(Limits::default());
        let mut sink = Refuses(call);
        let result = parser.push(&file(b"f", b"abc"), &mut sink);
        assert!(matches!(result, Err(PushError::Sink(refused)) if refused == call));
        let again = parser.push(&[0; 512], &mut sink);
        assert!(matches!(again, Err(PushError::Tar(TarError::Failed))));
        assert!(parser.finish::<()>().is_err());
    }
}

/// Returns an archive with every kind of entry and extension.
fn rich() -> Vec<u8> {
    [
        pax(b'g', &[("uid", b"1"), ("SCHILY.xattr.user.g", b"g")]),
        file(b"a", &[b'a'; 700]),
        pax(
            b'x',
            &[
                ("path", b"long"),
                ("mtime", b"-1.5"),
                ("SCHILY.xattr.user.a", b"1"),
            ],
        ),
        file(b"b", b"b"),
        Head::gnu(b"././@LongLink", b'L', 300).with(&[b'n'; 300]),
        Head::gnu(b"c", b'2', 0).link(b"target").alone(),
        pax(
            b'x',
            &[
                ("GNU.sparse.major", b"1"),
                ("GNU.sparse.minor", b"0"),
                ("GNU.sparse.realsize", b"9000"),
            ],
        ),
        Head::new(b"s", b'0', 517).with(&[&b"1\n100\n5\n"[..], &[0; 504], b"hello"].concat()),
        vec![0; 1024],
    ]
    .concat()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn cut_anywhere_is_no_panic_and_a_prefix(len in 0..8000_usize) {
        let whole = rich();
        let all = entries(&whole);
        if let Ok((seen, _)) = parse(&whole[..len.min(whole.len())]) {
            let names = |seen: &[Seen]| seen.iter().map(|seen| seen.path.clone()).collect::<Vec<_>>();
            prop_assert!(names(&all).starts_with(&names(&seen)));
        }
    }

    #[test]
    fn damaged_anywhere_is_no_panic(damage in prop::collection::vec((0..8000_usize, any::<u8>()), 1..4), summed: bool) {
        let mut archive = rich();
        for (at, byte) in damage {
            let at = at % archive.len();
            let block = at - at % 512;
            let is_header = archive[block + 257..].starts_with(b"ustar");
            archive[at] = byte;
            if summed && is_header {
                // With its checksum made right again, damage gets past the first check.
                let head = archive[block..block + 512].try_into().expect("a block is 512 bytes");
                archive[block..block + 512].copy_from_slice(&Head(head).alone());
            }
        }
        let _ = parse(&archive);
    }

    #[test]
    fn damaged_pax_bodies_are_no_panic(body in "[0-9]{1,3} (path|size|mtime|GNU.sparse.(map|offset|numbytes|size|major)|SCHILY.xattr.a|LIBARCHIVE.xattr.%41)=[-0-9a,.%=]{0,9}\n") {
        let body = record(body.split_once(' ').map_or("", |(_, rest)| rest).trim_end().split_once('=').map_or("k", |(key, _)| key),
            body.trim_end().rsplit_once('=').map_or(b"", |(_, value)| value.as_bytes()));
        let archive = [Head::new(b"x", b'x', body.len() as u64).with(&body), file(b"f", b"123")].concat();
        let _ = parse(&archive);
    }
}
