//! Blobs that were encoded, and blobs that lie.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use msb_oci::Digest;
use msb_ranges::{DecodeError, RANGE_BYTES, Table, encode};

/// Bytes that compress to about a half.
fn content(bytes: usize) -> Vec<u8> {
    let mut state = 1_u32;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        u8::try_from(state >> 28).unwrap()
    };
    (0..bytes).map(|_| next()).collect()
}

fn encoded(file: &[u8]) -> Vec<u8> {
    let mut blob = Vec::new();
    let encoded = encode(file, &mut blob).unwrap();
    assert_eq!(encoded.digest, Digest::sha256_of(&blob));
    assert_eq!(encoded.content_digest, Digest::sha256_of(file));
    assert_eq!(encoded.bytes, blob.len() as u64);
    let start = usize::try_from(encoded.table.offset).unwrap();
    assert_eq!(encoded.table.digest, Digest::sha256_of(&blob[start..]));
    blob
}

#[test]
fn a_file_of_any_length_is_read_back_as_a_whole_and_range_by_range() {
    let range = usize::try_from(RANGE_BYTES).unwrap();
    for bytes in [0, 1, range - 1, range, range + 1, 3 * range + 5] {
        let file = content(bytes);
        let blob = encoded(&file);
        assert_eq!(zstd::stream::decode_all(&blob[..]).unwrap(), file);
        let table = Table::read(&blob).unwrap();
        assert_eq!(table.len(), bytes.div_ceil(range));
        let ranges = (0..table.len()).map(|index| table.range(index, &blob).unwrap());
        assert_eq!(ranges.collect::<Vec<_>>().concat(), file);
        assert_eq!(encoded(&file), blob, "equal files result in equal blobs");
        let missing = table.range(table.len(), &blob);
        assert!(matches!(missing, Err(DecodeError::NoRange { .. })));
    }
}

#[test]
fn zeros_cost_next_to_nothing() {
    let blob = encoded(&vec![0; 64 << 20]);
    assert!(blob.len() < 8 << 10, "{}", blob.len());
}

#[test]
fn a_damaged_frame_is_found_and_others_are_read() {
    let file = content(9 << 20);
    let mut blob = encoded(&file);
    let table = Table::read(&blob).unwrap();
    let (offset, bytes) = table.frame(1).unwrap();
    blob[usize::try_from(offset + bytes / 2).unwrap()] ^= 1;
    assert!(matches!(
        table.range(1, &blob),
        Err(DecodeError::Digest { index: 1, .. })
    ));
    assert_eq!(table.range(0, &blob).unwrap(), file[..4 << 20]);
}

#[test]
fn a_frame_that_decompresses_to_another_length_is_an_error() {
    let file = content(5 << 20);
    let mut blob = encoded(&file);
    let table = Table::read(&blob).unwrap();
    let start = usize::try_from(table.frame(1).unwrap().0).unwrap();
    for frame in [
        zstd::bulk::compress(&[0; 2 << 20], 1).unwrap(),
        zstd::bulk::compress(&vec![0; 300 << 20], 1).unwrap(),
        b"no frame".to_vec(),
    ] {
        // A table that names the frame with its own digest.
        let mut lying = blob[..start].to_vec();
        lying.extend_from_slice(&frame);
        let offset = lying.len() as u64;
        let mut bytes = blob.split_off(usize::try_from(table_start(&blob)).unwrap());
        blob.extend_from_slice(&bytes);
        let entry = 32 + 36;
        bytes[entry..entry + 4].copy_from_slice(&u32::try_from(frame.len()).unwrap().to_le_bytes());
        bytes[entry + 4..entry + 36].copy_from_slice(Digest::sha256_of(&frame).as_bytes());
        let table = Table::parse(&bytes, offset).unwrap();
        let read = table.decode(1, &frame);
        assert!(matches!(read, Err(DecodeError::Frame { index: 1, .. })));
    }
}

/// Returns where the table of a blob begins.
fn table_start(blob: &[u8]) -> u64 {
    let footer = &blob[blob.len() - 8..][..4];
    blob.len() as u64 - u64::from(u32::from_le_bytes(footer.try_into().unwrap()))
}

#[test]
fn no_mutation_of_a_table_reads_other_bytes() {
    let file = content(5 << 20);
    let blob = encoded(&file);
    let start = usize::try_from(table_start(&blob)).unwrap();
    for at in start..blob.len() {
        for flip in [1, 0x80] {
            let mut blob = blob.clone();
            blob[at] ^= flip;
            let Ok(table) = Table::read(&blob) else {
                continue;
            };
            for index in 0..table.len() {
                if let Ok(range) = table.range(index, &blob) {
                    let start = index * (4 << 20);
                    assert_eq!(range, file[start..][..range.len()], "byte {at}");
                }
            }
        }
    }
    for end in start..blob.len() {
        assert!(Table::read(&blob[..end].to_vec()).is_err());
    }
}
