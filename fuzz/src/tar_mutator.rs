//! Mutates archives and keeps them valid: after a random change, checksums, sizes and lengths are corrected.
//!
//! One mutation in eight is not corrected, so that wrong checksums occur too.

use crate::Mutate;

const BLOCK: usize = 512;

/// Records that change the meaning of an entry.
const KEYWORDS: &[&str] = &[
    "path",
    "linkpath",
    "size",
    "uid",
    "gid",
    "mtime",
    "comment",
    "hdrcharset",
    "SCHILY.fflags",
    "SCHILY.acl.access",
    "RHT.security.selinux",
    "SCHILY.xattr.user.a",
    "SCHILY.xattr.security.capability",
    "SCHILY.xattr.trusted.overlay.opaque",
    "LIBARCHIVE.xattr.user.b",
    "LIBARCHIVE.xattr.user.%63",
    "GNU.sparse.major",
    "GNU.sparse.minor",
    "GNU.sparse.name",
    "GNU.sparse.realsize",
    "GNU.sparse.size",
    "GNU.sparse.map",
    "GNU.sparse.offset",
    "GNU.sparse.numbytes",
    "GNU.sparse.numblocks",
];
const VALUES: &[&str] = &[
    "",
    "0",
    "1",
    "2",
    "10",
    "511",
    "512",
    "513",
    "4096",
    "4097",
    "8192",
    "4294967295",
    "4294967296",
    "9223372036854775807",
    "18446744073709551616",
    "-1",
    "-1.5",
    "123.5",
    "1.0000000019",
    "a",
    "d/a",
    "d/",
    "a/../b",
    "/abs//x/./y",
    ".wh.a",
    "d/.wh..wh..opq",
    ".wh..wh.plnk",
    ".wh.",
    "0,1",
    "0,512,4096,100",
    "1,0",
    "YQ",
    "YQ==",
    "+/8",
    "%41",
    "x=y",
    "\u{e4}",
];
/// Type flags with a meaning.
const TYPES: &[u8] = b"\x000123456789DKLSXVxg7AZ";
const NAMES: &[&str] = &[
    "a",
    "b",
    "d/",
    "d/a",
    "d/e/f",
    "./",
    ".",
    "/",
    "..",
    "d/../a",
    "d//b",
    ".wh.a",
    "d/.wh..wh..opq",
    ".wh..wh..opq",
    ".wh.",
    ".wh..wh.plnk/1.2",
    "d/.wh.e/x",
    "!x",
    "d/.wh.a",
    "lib/x",
    "lib",
];

/// Mutates the first `size` bytes of `data` and returns their new length.
pub fn mutate(
    data: &mut [u8],
    size: usize,
    max_size: usize,
    seed: u32,
    other: Mutate<'_>,
) -> usize {
    // The bytes of the seed are not independent of each other.
    let [how, which, what, with] =
        [0, 8, 16, 24].map(|bits| (seed.wrapping_mul(0x9e37_79b9).rotate_left(bits) >> 16) as u8);
    let is_archive =
        size >= BLOCK && !data.starts_with(&[0x1f, 0x8b]) && !data.starts_with(&[0x28, 0xb5]);
    if !is_archive || how < 32 {
        let size = other(data, size, max_size);
        if size >= BLOCK && how >= 16 {
            return put(data, &repaired(&data[..size]), max_size);
        }
        return size;
    }
    let mut entries = split(&data[..size]);
    let index = usize::from(which) % entries.len();
    match how {
        32..96 => field(&mut entries[index], what, with),
        96..136 => {
            let record = record(what, with);
            let entry = &mut entries[index];
            if matches!(entry.header[156], b'x' | b'g' | b'X') {
                let at = usize::from(with) % (lines(&entry.payload).len() + 1);
                let at = lines(&entry.payload)[..at].concat().len();
                entry.payload.splice(at..at, record);
            } else {
                let mut header = entry.header;
                header[156] = if what & 64 == 0 { b'x' } else { b'g' };
                let size = record.len();
                set_size(&mut header, size);
                entries.insert(
                    index,
                    Item {
                        header,
                        payload: record,
                        size,
                    },
                );
            }
        }
        136..152 => {
            let copy = entries[usize::from(what) % entries.len()].clone();
            entries.insert(index, copy);
        }
        152..164 => {
            entries.remove(index);
        }
        164..172 => {
            let with = usize::from(what) % entries.len();
            entries.swap(index, with);
        }
        172..212 => {
            // The mutation of libFuzzer, within one payload.
            let payload = &mut entries[index].payload;
            let before = payload.len();
            let room = max_size.saturating_sub(size).min(1024);
            payload.resize(before + room, 0);
            if before + room > 0 {
                let len = other(payload, before, before + room);
                payload.truncate(len);
            }
        }
        _ => {
            let header = &mut entries[index].header;
            let (start, len) = [
                (0, 100),
                (100, 8),
                (108, 8),
                (116, 8),
                (124, 12),
                (136, 12),
                (157, 100),
                (257, 8),
                (329, 16),
                (345, 155),
                (386, 126),
            ][usize::from(what) % 11];
            other(&mut header[start..start + len], len, len);
        }
    }
    let mut bytes = Vec::with_capacity(size + BLOCK);
    for entry in &mut entries {
        if with >= 24 {
            lengths_right(entry);
        }
        if with >= 16 {
            size_right(entry);
        }
        if how & 7 != 7 {
            sum_right(&mut entry.header);
        }
        bytes.extend_from_slice(&entry.header);
        bytes.extend_from_slice(&entry.payload);
        bytes.resize(bytes.len().next_multiple_of(BLOCK), 0);
    }
    put(data, &bytes, max_size)
}

#[derive(Clone)]
struct Item {
    header: [u8; BLOCK],
    payload: Vec<u8>,
    /// The value of the size field.
    size: usize,
}

/// Splits an archive into headers with their payloads. Bytes behind the last whole block are dropped.
fn split(bytes: &[u8]) -> Vec<Item> {
    let mut items = Vec::new();
    let mut rest = bytes;
    while let Some((header, others)) = rest.split_first_chunk::<BLOCK>() {
        let size = size(header);
        let has_payload = !matches!(header[156], b'1'..=b'6') && header[0] != 0
            || matches!(header[156], b'x' | b'g');
        let len = if has_payload {
            size.min(others.len())
        } else {
            0
        };
        items.push(Item {
            header: *header,
            payload: others[..len].to_vec(),
            size,
        });
        rest = &others[len.next_multiple_of(BLOCK).min(others.len())..];
    }
    items
}

fn size(header: &[u8; BLOCK]) -> usize {
    let digits = header[124..136].iter().skip_while(|byte| **byte == b' ');
    digits
        .take_while(|byte| byte.is_ascii_digit())
        .fold(0_usize, |size, byte| {
            size.saturating_mul(8) + usize::from(byte - b'0')
        })
}

fn set_size(header: &mut [u8; BLOCK], size: usize) {
    header[124..136].copy_from_slice(format!("{size:011o}\0").as_bytes());
}

/// Updates the size field if the length of the payload changed.
fn size_right(item: &mut Item) {
    let stated = size(&item.header);
    if stated == item.size && item.payload.len() != stated && item.size < 1 << 20 {
        set_size(&mut item.header, item.payload.len());
    }
}

fn sum_right(header: &mut [u8; BLOCK]) {
    if header.iter().all(|byte| *byte == 0) {
        return;
    }
    header[148..156].fill(b' ');
    let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
    header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
}

fn lines(payload: &[u8]) -> Vec<&[u8]> {
    payload.split_inclusive(|byte| *byte == b'\n').collect()
}

/// Corrects the length of each record of a PAX header.
fn lengths_right(item: &mut Item) {
    if !matches!(item.header[156], b'x' | b'g' | b'X') {
        return;
    }
    let mut payload = Vec::with_capacity(item.payload.len() + 8);
    for line in lines(&item.payload) {
        match line.iter().position(|byte| *byte == b' ') {
            Some(blank)
                if line[..blank].iter().all(u8::is_ascii_digit) && line.ends_with(b"\n") =>
            {
                payload.extend_from_slice(&with_length(&line[blank..]));
            }
            _ => payload.extend_from_slice(line),
        }
    }
    item.payload = payload;
}

fn with_length(rest: &[u8]) -> Vec<u8> {
    let mut len = rest.len() + 1;
    while len != rest.len() + len.to_string().len() {
        len = rest.len() + len.to_string().len();
    }
    [len.to_string().as_bytes(), rest].concat()
}

fn record(what: u8, with: u8) -> Vec<u8> {
    let keyword = KEYWORDS[usize::from(what) % KEYWORDS.len()];
    let value = VALUES[usize::from(with) % VALUES.len()];
    with_length(format!(" {keyword}={value}\n").as_bytes())
}

/// Sets one field to a meaningful value.
fn field(item: &mut Item, what: u8, with: u8) {
    let number = [
        0_u64,
        1,
        4,
        511,
        512,
        4095,
        4096,
        4097,
        65_536,
        1 << 21,
        1 << 31,
        (1 << 32) - 1,
        1 << 32,
        (1 << 33) - 1,
    ][usize::from(with) % 14];
    let name = NAMES[usize::from(with) % NAMES.len()].as_bytes();
    let header = &mut item.header;
    let mut text = |at: usize, len: usize, value: &[u8]| {
        header[at..at + len].fill(0);
        header[at..at + value.len().min(len)].copy_from_slice(&value[..value.len().min(len)]);
    };
    let octal = |width: usize| format!("{number:0width$o}");
    let mut base256 = [0; 12];
    base256[4..].copy_from_slice(&number.to_be_bytes());
    base256[0] = if what & 128 == 0 { 0x80 } else { 0xff };
    match what % 16 {
        0..3 => text(156, 1, &TYPES[usize::from(with) % TYPES.len()..][..1]),
        3 | 4 => text(0, 100, name),
        5 | 6 => text(157, 100, name),
        7 => text(100, 8, octal(7).as_bytes()),
        8 => text(108, 8, octal(7).as_bytes()),
        9 => text(124, 12, octal(11).as_bytes()),
        10 => text(124, 12, &base256),
        11 => text(136, 12, &base256),
        12 => text(329, 8, octal(7).as_bytes()),
        13 => text(337, 8, octal(7).as_bytes()),
        14 => text(
            257,
            8,
            [
                &b"ustar\x0000"[..],
                b"ustar  \0",
                b"ustar\0\0\0",
                b"\0\0\0\0\0\0\0\0",
            ][usize::from(with) % 4],
        ),
        _ => text(345, 155, name),
    }
}

/// Returns an archive with valid checksums and record lengths.
fn repaired(bytes: &[u8]) -> Vec<u8> {
    let mut repaired = Vec::with_capacity(bytes.len());
    for mut item in split(bytes) {
        sum_right(&mut item.header);
        repaired.extend_from_slice(&item.header);
        repaired.extend_from_slice(&item.payload);
        repaired.resize(repaired.len().next_multiple_of(BLOCK).min(bytes.len()), 0);
    }
    repaired
}

fn put(data: &mut [u8], bytes: &[u8], max_size: usize) -> usize {
    let len = bytes.len().min(max_size).min(data.len());
    data[..len].copy_from_slice(&bytes[..len]);
    len
}
