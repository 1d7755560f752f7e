//! A sidecar of 3 GiB that takes two blocks of disk takes no memory either. One test a process, because it reads the process's
//! peak.
#![cfg(target_os = "linux")]
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test fails by panicking, and prints what it measured"
)]

use std::fs::File;
use std::os::unix::fs::FileExt;

use erofs_format::Crc32c;
use msb_sidecar::{Error, Sidecar, VERSION};

const GIB: u64 = 1 << 30;

/// Returns the process's peak in bytes.
fn peak() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:"));
    let kib: u64 = line
        .unwrap()
        .split_whitespace()
        .nth(1)
        .unwrap()
        .parse()
        .unwrap();
    kib << 10
}

/// Creates a file of zeros that begins with `head` and ends with a valid trailer over sections of these lengths.
fn sparse(head: &[u8], sections: [u64; 3]) -> File {
    let file = tempfile::tempfile().unwrap();
    file.write_all_at(head, 0).unwrap();
    let mut trailer = Vec::new();
    for bytes in sections {
        trailer.extend(bytes.to_le_bytes());
        trailer.extend([0; 8]);
        // The checksum of nothing.
        trailer.extend([0xff; 4]);
    }
    trailer.extend([0; 28]);
    let checksum = Crc32c::of(&trailer).get();
    trailer.extend(checksum.to_le_bytes());
    trailer.extend(VERSION.to_le_bytes());
    trailer.extend(b"MSBLAYER");
    file.write_all_at(&trailer, sections.iter().sum()).unwrap();
    file
}

/// A number as LEB128 in ten bytes.
fn number(number: u64) -> Vec<u8> {
    let byte = |shift: u32| u8::try_from(number >> shift & 0x7f).unwrap_or_default();
    let mut bytes: Vec<u8> = (0..63).step_by(7).map(|shift| byte(shift) | 0x80).collect();
    bytes.push(u8::try_from(number >> 63).unwrap());
    bytes
}

#[test]
fn a_sparse_sidecar_takes_no_memory() {
    let mut record = number(3 * GIB - 10);
    record.extend([2, 0, 1, b'a', 0, 0, 0, 0, 0]);
    let mut xattrs = record.clone();
    xattrs.extend(number(GIB));
    let mut extents = record.clone();
    extents.extend([0, 0, 0, 0, 0, 0, 2]);
    extents.extend(number(GIB));
    let mut inline = record;
    inline.push(0);
    inline.extend(number(GIB));
    inline.extend([0, 0, 0, 0, 3]);
    // 30 MiB of record, so that the limit on a record is not what ends it.
    let small = |mut record: Vec<u8>| {
        record.splice(..10, number(30 << 20));
        record
    };
    let before = peak();
    for (name, head, sections) in [
        ("records of nothing", vec![], [3 * GIB, 0, 0]),
        ("one record with xattrs", xattrs.clone(), [3 * GIB, 0, 0]),
        ("one record with extents", extents.clone(), [3 * GIB, 0, 0]),
        (
            "one record with inline data",
            inline.clone(),
            [3 * GIB, 0, 0],
        ),
        ("xattrs", small(xattrs), [3 * GIB, 0, 0]),
        ("extents", small(extents), [3 * GIB, 0, 0]),
        ("inline data", small(inline), [3 * GIB, 0, 0]),
        ("whiteouts of nothing", vec![], [0, 3 * GIB, 0]),
        (
            "one whiteout",
            [vec![0, 0], number(2 * GIB)].concat(),
            [0, 3 * GIB, 0],
        ),
        ("one opaque marker", vec![1], [0, 3 * GIB, 0]),
        ("notes", vec![], [0, 0, 3 * GIB]),
    ] {
        let sidecar = Sidecar::open(sparse(&head, sections)).unwrap();
        let changes = sidecar.changes();
        let mut whiteouts = 0_u64;
        let error = changes
            .for_each_whiteout(|_| whiteouts += 1)
            .and_then(|()| changes.for_each_change(1, |_| Ok::<_, Error>(())))
            .and_then(|()| sidecar.notes().map(drop))
            .unwrap_err();
        println!(
            "{name}: {error}, {whiteouts} whiteouts, peak {} MiB",
            peak() >> 20
        );
        assert!(error.is_corrupt() && whiteouts <= 1, "{name}: {error}");
    }
    let grown = peak() - before;
    assert!(grown < 150 << 20, "the peak grew by {} MiB", grown >> 20);
}
