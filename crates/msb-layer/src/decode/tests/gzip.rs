use super::support::{CHUNK, compression, decode, member, member_with, sample};
use crate::decode::{Compression, Corruption, DecodeError, Decoder, Limits, Pool, PushError};
use std::{
    io::Write,
    process::{Command, Stdio},
};

fn good(stream: &[u8]) -> Vec<u8> {
    decode(stream).expect("the stream is right")
}

#[test]
fn one_member_of_every_size() {
    for len in [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 10 * CHUNK, 70_000] {
        let plain = sample(len);
        assert_eq!(good(&member(&plain)), plain);
    }
    assert_eq!(compression(&member(b"x")), Some(Compression::Gzip));
}

#[test]
fn several_members_as_estargz_writes_them() {
    let (a, b) = (sample(5000), sample(3000));
    let stream = [member(&a), member(b""), member(&b)].concat();
    assert_eq!(good(&stream), [a, b].concat());
}

#[test]
fn every_header_field() {
    let header =
        |flags: u8, fields: &[u8]| [&[0x1f, 0x8b, 8, flags, 1, 2, 3, 4, 0, 255], fields].concat();
    let extra = [3, 0, b'e', b'x', b't'];
    let mut fields = [&extra[..], b"name\0", b"comment\0"].concat();
    let crc = crc32fast::hash(&header(0x1e, &fields)) & 0xffff;
    let crc = u16::try_from(crc).expect("16 bits").to_le_bytes();
    fields.extend_from_slice(&crc);
    assert_eq!(good(&member_with(b"plain", 0x1e, &fields)), b"plain");
    assert_eq!(good(&member_with(b"plain", 0x04, &[0, 0])), b"plain");
    assert_eq!(
        good(&member_with(b"plain", 0x0c, &[0, 0, b'n', 0])),
        b"plain"
    );
    assert_eq!(good(&member_with(b"plain", 0x10, b"\0")), b"plain");
    assert_eq!(good(&member_with(b"plain", 0x01, b"")), b"plain");
    *fields.last_mut().expect("not empty") ^= 1;
    assert_eq!(
        fault(&member_with(b"plain", 0x1e, &fields)),
        Corruption::HeaderChecksum
    );
}

fn fault(stream: &[u8]) -> Corruption {
    match decode(stream) {
        Err(DecodeError::Corrupt { fault, .. }) => fault,
        other => panic!("{other:?}"),
    }
}

#[test]
fn malformed_headers_and_data_are_different_errors() {
    let mut stream = member(&sample(5000));
    stream[2] = 7;
    assert_eq!(fault(&stream), Corruption::Method);
    stream[2] = 8;
    stream[3] = 0x80;
    assert_eq!(fault(&stream), Corruption::Flags);
    stream[3] = 0;
    // A block type that does not exist.
    stream[10] = 0x07;
    assert_eq!(fault(&stream), Corruption::Deflate);
}

#[test]
fn wrong_trailers_name_both_values() {
    let stream = member(b"plain");
    let with = |from_end: usize| {
        let mut stream = stream.clone();
        let at = stream.len() - from_end;
        stream[at] ^= 1;
        decode(&stream).expect_err("the trailer is wrong")
    };
    assert!(
        matches!(with(8), DecodeError::Checksum { expected, actual, .. } if expected == actual ^ 1)
    );
    assert!(matches!(
        with(4),
        DecodeError::Length {
            expected: 4,
            actual: 5,
            ..
        }
    ));
}

#[test]
fn trailing_zeros_are_accepted_and_other_bytes_are_not() {
    let stream = member(b"plain");
    let len = stream.len() as u64;
    assert_eq!(good(&[&stream[..], &[0; 2000]].concat()), b"plain");
    for (tail, at) in [
        (&b"x"[..], 0),
        (b"\x1f", 0),
        (b"\x1f\x8c", 0),
        (b"\0\0x", 2),
        (b"\0\x1f\x8b\x08", 1),
        (b"\x28\xb5\x2f\xfd", 0),
    ] {
        match decode(&[&stream[..], tail].concat()) {
            Err(DecodeError::TrailingData { offset, .. }) => assert_eq!(offset, len + at),
            other => panic!("{tail:?}: {other:?}"),
        }
    }
}

#[test]
fn cut_anywhere_is_truncated() {
    let stream = [member_with(&sample(300), 8, b"name\0"), member(b"b")].concat();
    let first = member_with(&sample(300), 8, b"name\0").len();
    for len in 2..stream.len() {
        match decode(&stream[..len]) {
            Ok(plain) => assert!(len == first && plain == sample(300)),
            Err(DecodeError::Truncated { offset, .. }) => assert_eq!(offset, len as u64),
            Err(DecodeError::TrailingData { .. }) => assert_eq!(len, first + 1),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn a_bomb_comes_out_in_chunks_and_the_output_may_stop_it() {
    let stream = member(&vec![0; 50_000_000]);
    let mut decoder = Decoder::new(Pool::new(65_536, 2), Limits::default());
    let mut seen = 0;
    let result = decoder.push(&stream, &mut |chunk| {
        seen += chunk.len();
        if seen > 1_000_000 {
            Err("enough")
        } else {
            Ok(())
        }
    });
    assert!(matches!(result, Err(PushError::Output("enough"))));
    assert!(seen < 1_100_000);
    let again = decoder.push(&stream, &mut |_| Ok::<_, ()>(()));
    assert!(matches!(again, Err(PushError::Decode(DecodeError::Failed))));
}

#[test]
fn neither_magic_is_passed_through() {
    for plain in [&b""[..], b"x", b"\x1f", b"\x28\xb5\x2f", b"ustar"] {
        assert_eq!(good(plain), plain);
    }
    let plain = sample(5 * CHUNK + 1);
    assert_eq!(good(&plain), plain);
    assert_eq!(compression(&plain), Some(Compression::None));
    assert_eq!(Compression::detect(b"\x1f\x8b"), Compression::Gzip);
}

#[test]
fn output_of_gzip_itself() {
    let plain = sample(300_000);
    for level in ["-1", "-6", "-9"] {
        let child = Command::new("gzip")
            .args([level, "-c"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn();
        let mut child = match child {
            Ok(child) => child,
            Err(error) => {
                assert!(std::env::var_os("CI").is_none(), "gzip: {error}");
                return;
            }
        };
        let mut stdin = child.stdin.take().expect("piped");
        let input = plain.clone();
        let writer = std::thread::spawn(move || stdin.write_all(&input));
        let output = child.wait_with_output().expect("gzip runs");
        writer.join().expect("no panic").expect("gzip reads all");
        assert!(good(&output.stdout) == plain);
    }
}
