//! A sidecar comes from a cache that may be damaged or hostile: reading it returns a value or a typed error, and never panics.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use erofs_format::Crc32c;
use fs_tree::{Change, ChangeKind, Extent, Metadata, NewContent, NewNode, Timestamp};
use msb_sidecar::{Error, ImageSummary, Note, Section, Sidecar, SidecarWriter};

const TRAILER_BYTES: usize = 104;

const XATTRS: &[(&[u8], &[u8])] = &[
    (b"security.capability", b"\x01\x00\x00\x02"),
    (b"user.e", b""),
];

fn node<'a>(path: &'a [u8], node: NewNode<'a>) -> Change<'a> {
    let metadata = Metadata {
        mode: 0o4755,
        uid: 70_000,
        gid: 4_000_000_000,
        mtime: Timestamp {
            secs: -3,
            nanos: 999_999_999,
        },
    };
    Change {
        path,
        kind: ChangeKind::Node {
            metadata,
            xattrs: XATTRS,
            node,
        },
    }
}

/// A sidecar with a record of every kind, its bytes.
fn sample() -> Vec<u8> {
    let mut writer = SidecarWriter::new(Vec::new());
    let extents = [
        Extent {
            logical: 0,
            len: 4096,
            device: 0,
            offset: 8192,
        },
        Extent {
            logical: 1 << 40,
            len: 1,
            device: 0,
            offset: 12_288,
        },
    ];
    let file = |size, content| NewNode::Regular {
        size,
        crc32c: 0xdead_beef,
        content,
    };
    let mut write = |change: &Change<'_>, inline: Option<&[u8]>| {
        writer.change(change, inline).unwrap();
    };
    write(&node(b"", NewNode::Directory), None);
    write(&node(b"dir/a", file(0, NewContent::Absent)), None);
    write(
        &node(
            b"dir/b",
            file(
                5000,
                NewContent::Contiguous {
                    device: 0,
                    offset: 4096,
                },
            ),
        ),
        None,
    );
    write(
        &node(b"dir/c", file((1 << 40) + 1, NewContent::Mapped(&extents))),
        None,
    );
    write(
        &node(b"dir/d", file(5, NewContent::Inline { key: 0 })),
        Some(b"hello"),
    );
    write(
        &Change {
            path: b"dir/link",
            kind: ChangeKind::HardLink { target: b"dir/b" },
        },
        None,
    );
    write(
        &Change {
            path: b"dir/gone",
            kind: ChangeKind::Whiteout,
        },
        None,
    );
    write(&node(b"l\xff", NewNode::Symlink { target: b"../x" }), None);
    write(
        &node(
            b"null",
            NewNode::CharDevice {
                major: 4095,
                minor: 1_048_575,
            },
        ),
        None,
    );
    write(
        &node(b"sda", NewNode::BlockDevice { major: 8, minor: 0 }),
        None,
    );
    write(
        &Change {
            path: b"dir",
            kind: ChangeKind::Opaque,
        },
        None,
    );
    write(&node(b"p", NewNode::Fifo), None);
    let notes = [Note::AufsFile { path: "x".into() }];
    writer
        .finish(
            ImageSummary {
                bytes: 8192,
                crc32c: 7,
            },
            &notes,
        )
        .unwrap()
}

/// Returns everything that a sidecar states, as text.
fn read(bytes: Vec<u8>) -> Result<String, Error> {
    let sidecar = Sidecar::open(bytes)?;
    let mut text = format!("{:?} {:?}\n", sidecar.image(), sidecar.notes()?);
    sidecar
        .changes()
        .for_each_whiteout(|whiteout| text += &format!("{whiteout:?}\n"))?;
    sidecar.changes().for_each_change::<Error>(3, |change| {
        text += &format!("{change:?}\n");
        Ok(())
    })?;
    Ok(text)
}

/// Corrects the checksums and the trailer, so that readers accept the contents of the sections.
fn resealed(mut bytes: Vec<u8>, records: usize, whiteouts: usize) -> Vec<u8> {
    let trailer = bytes.len() - TRAILER_BYTES;
    let notes = trailer - records - whiteouts;
    let mut start = 0;
    for (index, len) in [records, whiteouts, notes].into_iter().enumerate() {
        let checksum = Crc32c::of(&bytes[start..start + len]).get();
        let at = trailer + index * 20;
        bytes[at..at + 8].copy_from_slice(&(len as u64).to_le_bytes());
        bytes[at + 16..at + 20].copy_from_slice(&checksum.to_le_bytes());
        start += len;
    }
    let checksum = Crc32c::of(&bytes[trailer..trailer + TRAILER_BYTES - 16]).get();
    bytes[trailer + TRAILER_BYTES - 16..][..4].copy_from_slice(&checksum.to_le_bytes());
    bytes
}

fn section_bytes(bytes: &[u8], index: usize) -> usize {
    let at = bytes.len() - TRAILER_BYTES + index * 20;
    usize::try_from(u64::from_le_bytes(bytes[at..at + 8].try_into().unwrap())).unwrap()
}

#[test]
fn what_is_written_is_read() {
    let text = read(sample()).unwrap();
    for part in [
        "opaque: true",
        "offset: 12288",
        "device: 3",
        "secs: -3, nanos: 999999999",
        "uid: 70000, gid: 4000000000",
        "mode: 2541",
        "major: 4095, minor: 1048575",
        "crc32c: 3735928559",
        "AufsFile",
    ] {
        assert!(text.contains(part), "{part} not in {text}");
    }
    // The same again is the same bytes.
    assert_eq!(sample(), sample());
}

#[test]
fn an_inline_files_key_is_where_its_bytes_lie() {
    let bytes = sample();
    let sidecar = Sidecar::open(bytes.clone()).unwrap();
    let mut found = Vec::new();
    sidecar
        .changes()
        .for_each_change::<Error>(1, |change| {
            if let ChangeKind::Node {
                node:
                    NewNode::Regular {
                        content: NewContent::Inline { key },
                        size,
                        ..
                    },
                ..
            } = change.kind
            {
                let at = usize::try_from(key).unwrap();
                found = bytes[at..][..usize::try_from(size).unwrap()].to_vec();
            }
            Ok(())
        })
        .unwrap();
    assert_eq!(found, b"hello");
}

#[test]
fn every_flipped_bit_is_a_typed_error() {
    let good = sample();
    for at in 0..good.len() {
        for bit in 0..8 {
            let mut bad = good.clone();
            bad[at] ^= 1 << bit;
            let error = read(bad).expect_err("no bit of it is without meaning");
            assert!(error.is_corrupt(), "{at}.{bit}: {error}");
        }
    }
}

#[test]
fn every_truncation_and_every_extension_is_a_typed_error() {
    let good = sample();
    for len in 0..good.len() {
        let error = read(good[..len].to_vec()).expect_err("it is cut off");
        assert!(
            matches!(error, Error::NoTrailer { bytes } if bytes == len as u64),
            "{len}: {error}"
        );
        read(good[len + 1..].to_vec()).expect_err("its beginning is missing");
    }
    read([&good[..], b"x"].concat()).expect_err("there is something behind it");
    read([b"x", &good[..]].concat()).expect_err("there is something before it");
}

#[test]
fn another_version_is_named_and_not_read() {
    let mut bytes = sample();
    let at = bytes.len() - 12;
    bytes[at] = 99;
    assert!(matches!(
        read(bytes),
        Err(Error::Version { actual: 99, .. })
    ));
}

#[test]
fn bytes_that_are_believed_are_still_no_panic() {
    let good = sample();
    let (records, whiteouts) = (section_bytes(&good, 0), section_bytes(&good, 1));
    assert!(read(resealed(good.clone(), records, whiteouts)).is_ok());
    let mut malformed = 0;
    for at in 0..records + whiteouts {
        for byte in [0, 1, 0x7f, 0x80, 0xff, good[at] ^ 1, good[at] ^ 0x80] {
            let mut bad = good.clone();
            bad[at] = byte;
            match read(resealed(bad, records, whiteouts)) {
                Ok(_) => {}
                Err(Error::Malformed { section, offset }) => {
                    assert!(offset <= (records + whiteouts) as u64, "{section} {offset}");
                    malformed += 1;
                }
                Err(other) => panic!("{at}: {other}"),
            }
        }
    }
    assert!(malformed > 300, "{malformed}");
}

#[test]
fn sections_that_are_cut_elsewhere_are_still_no_panic() {
    let good = sample();
    let (records, whiteouts) = (section_bytes(&good, 0), section_bytes(&good, 1));
    for cut in 0..records + whiteouts {
        let _ = read(resealed(good.clone(), cut, records + whiteouts - cut));
        let _ = read(resealed(good.clone(), cut, 0));
    }
}

#[test]
fn lengths_that_overflow_are_a_typed_error() {
    let good = sample();
    let trailer = good.len() - TRAILER_BYTES;
    for index in 0..3 {
        for len in [u64::MAX, u64::MAX - 100, 1 << 63, good.len() as u64] {
            let mut bad = good.clone();
            bad[trailer + index * 20..][..8].copy_from_slice(&len.to_le_bytes());
            let checksum = Crc32c::of(&bad[trailer..trailer + TRAILER_BYTES - 16]).get();
            bad[trailer + TRAILER_BYTES - 16..][..4].copy_from_slice(&checksum.to_le_bytes());
            assert!(matches!(read(bad), Err(Error::NoTrailer { .. })));
        }
    }
}

#[test]
fn a_record_that_claims_more_than_the_file_has_takes_no_memory() {
    // A count of xattrs, a length of a path, a length of a record: 2^63 each.
    let huge = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f];
    for head in [
        &[][..],
        &[20, 1, 0][..],
        &[20, 1, 0, 1, b'a', 0, 0, 0, 0, 0][..],
    ] {
        let mut record = head.to_vec();
        record.extend(huge);
        record.resize(record.len().max(21), 0);
        let len = record.len();
        record.extend([0; TRAILER_BYTES]);
        let end = record.len();
        record[end - 12..end - 8].copy_from_slice(&msb_sidecar::VERSION.to_le_bytes());
        record[end - 8..].copy_from_slice(b"MSBLAYER");
        let sidecar = Sidecar::open(resealed(record, len, 0)).unwrap();
        let result = sidecar.changes().for_each_change::<Error>(1, |_| Ok(()));
        assert!(
            matches!(
                result,
                Err(Error::Malformed {
                    section: Section::Records,
                    ..
                })
            ),
            "{result:?}"
        );
    }
}

#[test]
fn long_whiteouts_that_share_their_beginning_stay_small() {
    let long = "d/".repeat(30_000);
    let mut writer = SidecarWriter::new(Vec::new());
    for index in 0..1000 {
        let path = format!("{long}{index}");
        writer
            .change(
                &Change {
                    path: path.as_bytes(),
                    kind: ChangeKind::Whiteout,
                },
                None,
            )
            .unwrap();
    }
    let bytes = writer
        .finish(
            ImageSummary {
                bytes: 4096,
                crc32c: 0,
            },
            &[],
        )
        .unwrap();
    assert!(bytes.len() < 80_000);
    let mut count = 0;
    Sidecar::open(bytes)
        .unwrap()
        .changes()
        .for_each_whiteout(|whiteout| {
            assert_eq!(whiteout.path, format!("{long}{count}").as_bytes());
            count += 1;
        })
        .unwrap();
    assert_eq!(count, 1000);
}

/// Found by the fuzz target `merge`: such a link became an image that no reader takes.
#[test]
fn a_symlink_that_no_system_can_make_is_malformed() {
    for target in [&b""[..], b"a\0b", &[b't'; 4096]] {
        let mut writer = SidecarWriter::new(Vec::new());
        writer
            .change(&node(b"l", NewNode::Symlink { target }), None)
            .unwrap();
        let image = ImageSummary {
            bytes: 4096,
            crc32c: 0,
        };
        let bytes = writer.finish(image, &[]).unwrap();
        assert!(matches!(
            read(bytes),
            Err(Error::Malformed {
                section: Section::Records,
                offset: 0
            })
        ));
    }
}

#[test]
fn a_flipped_bit_in_any_section_fails_verification() {
    let sound = sample();
    Sidecar::open(sound.as_slice()).unwrap().verify().unwrap();
    for at in 0..sound.len() - TRAILER_BYTES {
        let mut damaged = sound.clone();
        damaged[at] ^= 1 << (at % 8);
        let error = Sidecar::open(damaged.as_slice()).unwrap().verify();
        assert!(matches!(error, Err(Error::Checksum { .. })), "byte {at}");
    }
}
