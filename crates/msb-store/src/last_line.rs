//! The checksum that ends records and pins.
//!
//! ```text
//! <text without a line end>
//! <CRC-32C of the text, 8 hex digits>
//! ```

/// The line end before the checksum, its digits, and the last line end.
const LAST_LINE_BYTES: usize = 10;

/// Returns what follows a text, with the line end before it.
pub(crate) fn last_line(text: &[u8]) -> String {
    format!("\n{:08x}\n", crc32c::crc32c(text))
}

/// Returns the text without its checksum, and whether it has one; `None` if that is wrong.
pub(crate) fn without_checksum(bytes: &[u8]) -> Option<(&[u8], bool)> {
    let Some((text, line)) = bytes.split_last_chunk::<LAST_LINE_BYTES>() else {
        return Some((bytes, false));
    };
    let is_like_one = line.starts_with(b"\n")
        && line.ends_with(b"\n")
        && line[1..LAST_LINE_BYTES - 1]
            .iter()
            .all(u8::is_ascii_hexdigit);
    if !is_like_one {
        return Some((bytes, false));
    }
    (line == last_line(text).as_bytes()).then_some((text, true))
}
