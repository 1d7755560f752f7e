use std::fmt::{self, Write as _};
use std::path::Path;

use crate::is_printable;

/// Returns a value that prints `text` on one line, with everything unprintable escaped.
///
/// ```
/// use escape_text::escape;
///
/// assert_eq!(escape("usr/bin/\u{200b}env").to_string(), r"usr/bin/\u{200b}env");
/// ```
#[must_use]
pub fn escape<T: AsRef<[u8]> + ?Sized>(text: &T) -> Escaped<'_> {
    Escaped(text.as_ref())
}

/// Returns a value that prints a path on one line, escaped as [`escape`] does.
#[must_use]
pub fn escape_path(path: &Path) -> Escaped<'_> {
    escape(path.as_os_str().as_encoded_bytes())
}

/// Prints untrusted bytes on one line; created by [`escape`].
#[derive(Clone, Copy)]
pub struct Escaped<'a>(&'a [u8]);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for chunk in self.0.utf8_chunks() {
            escape_str(chunk.valid(), f)?;
            for byte in chunk.invalid() {
                write!(f, "\\x{byte:02x}")?;
            }
        }
        Ok(())
    }
}

impl fmt::Debug for Escaped<'_> {
    /// Prints the same as `Display`, in double quotes.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{self}\"")
    }
}

fn escape_str(text: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    // Printable runs are written at once: nearly all text is one run.
    let mut rest = text;
    while let Some((at, c)) = rest.char_indices().find(|(_, c)| !is_printable(*c)) {
        let (run, tail) = rest.split_at(at);
        f.write_str(run)?;
        c.escape_default().try_for_each(|c| f.write_char(c))?;
        rest = &tail[c.len_utf8()..];
    }
    f.write_str(rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_hostile_text_is_escaped() {
        let cases: &[(&[u8], &str)] = &[
            (b"plain text", "plain text"),
            ("é 漢字 🦀".as_bytes(), "é 漢字 🦀"),
            (b"", ""),
            // ESC, BEL, DEL and the one-byte CSI of C1.
            (b"\x1b[2J\x07\x7f", r"\u{1b}[2J\u{7}\u{7f}"),
            ("\u{9b}2J\u{85}".as_bytes(), r"\u{9b}2J\u{85}"),
            (b"a\r\n\tb\0", r"a\r\n\tb\u{0}"),
            // Line and paragraph separators.
            ("a\u{2028}b\u{2029}".as_bytes(), r"a\u{2028}b\u{2029}"),
            // Bidirectional controls: marks, embeddings, overrides and isolates.
            (
                "\u{200f}\u{61c}\u{202e}\u{2066}".as_bytes(),
                r"\u{200f}\u{61c}\u{202e}\u{2066}",
            ),
            // Invisible: zero-width, soft hyphen, joiner, tag, variation selector, Hangul filler, no-break space.
            (
                "\u{200b}\u{ad}\u{200d}\u{feff}".as_bytes(),
                r"\u{200b}\u{ad}\u{200d}\u{feff}",
            ),
            (
                "\u{e0041}\u{fe0f}\u{3164}\u{a0}".as_bytes(),
                r"\u{e0041}\u{fe0f}\u{3164}\u{a0}",
            ),
            // Invalid, truncated, overlong and surrogate UTF-8.
            (b"a\xff\xc3", r"a\xff\xc3"),
            (b"\xc0\x9b\xed\xa0\x80", r"\xc0\x9b\xed\xa0\x80"),
        ];
        for (text, expected) in cases {
            assert_eq!(escape(text).to_string(), *expected);
        }
        assert_eq!(format!("{:?}", escape("a\n")), r#""a\n""#);
    }
}
