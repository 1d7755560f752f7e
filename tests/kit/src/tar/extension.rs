//! Entries that only say more about the next one: PAX records and GNU long names.

use std::io::{self, Read, Write};

use super::header::{BLOCK_BYTES, Format, Header};

/// A PAX header entry (`x` for the next entry, `g` for all that follow).
pub(super) fn write_records(
    out: &mut dyn Write,
    typeflag: u8,
    name: &[u8],
    records: &[(Vec<u8>, Vec<u8>)],
) -> io::Result<()> {
    let mut body = Vec::new();
    for (key, value) in records {
        // "<length> key=value\n", where the length counts its own digits.
        let bare = key.len() + value.len() + 3;
        let mut length = bare + 1;
        while length.to_string().len() + bare != length {
            length = length.to_string().len() + bare;
        }
        body.extend_from_slice(format!("{length} ").as_bytes());
        body.extend_from_slice(key);
        body.push(b'=');
        body.extend_from_slice(value);
        body.push(b'\n');
    }
    write_extension(out, Format::Pax, typeflag, name, &body)
}

pub(super) fn write_gnu_long(out: &mut dyn Write, typeflag: u8, name: &[u8]) -> io::Result<()> {
    if name.len() <= 100 {
        return Ok(());
    }
    let mut body = name.to_vec();
    body.push(0);
    write_extension(out, Format::Gnu, typeflag, b"././@LongLink", &body)
}

fn write_extension(
    out: &mut dyn Write,
    format: Format,
    typeflag: u8,
    name: &[u8],
    body: &[u8],
) -> io::Result<()> {
    let mut header = Header::new(format, typeflag);
    header.text(0, 100, name);
    for (at, width, value) in [
        (100, 8, 0o644),
        (108, 8, 0),
        (116, 8, 0),
        (124, 12, body.len() as u64),
        (136, 12, 0),
    ] {
        header.number(at, width, i128::from(value));
    }
    out.write_all(&header.finish())?;
    out.write_all(body)?;
    pad(out, body.len() as u64)
}

pub(super) fn pad(out: &mut dyn Write, written: u64) -> io::Result<()> {
    let short = written.next_multiple_of(BLOCK_BYTES as u64) - written;
    io::copy(&mut io::repeat(0).take(short), out).map(drop)
}
