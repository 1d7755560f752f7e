use std::fmt;

use crate::escape;

/// Longest excerpt, in characters of output.
const MAX_CHARS: usize = 160;
/// Appended to an excerpt of a longer text.
const CUT: &str = "...";

/// An owned, bounded, printable beginning of an untrusted text.
///
/// Contains at most 160 characters, with everything unprintable escaped as [`escape()`] does; a longer text ends in `...`. Errors
/// store excerpts instead of whole texts.
///
/// ```
/// use escape_text::Excerpt;
///
/// assert_eq!(Excerpt::new("a\x1b[31m\nb").as_str(), r"a\u{1b}[31m\nb");
/// assert_eq!(Excerpt::new(&"x".repeat(1000)).as_str().len(), 160 + 3);
/// ```
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Excerpt(Box<str>);

impl Excerpt {
    /// Creates an excerpt of a text.
    #[must_use]
    pub fn new(text: &str) -> Self {
        Self::from_bytes(text.as_bytes())
    }

    /// Creates an excerpt of bytes that may not be UTF-8.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Self {
        // A character takes at most four bytes. One more character shows that something was cut.
        let limit = 4 * (MAX_CHARS + 1);
        let mut cut = bytes.len() > limit;
        let mut out = String::new();
        let mut chars = 0;
        let mut rest = &bytes[..bytes.len().min(limit)];
        while !rest.is_empty() {
            let (unit, tail) = rest.split_at(first_unit(rest));
            let shown = escape(unit).to_string();
            chars += shown.chars().count();
            if chars > MAX_CHARS {
                cut = true;
                break;
            }
            out.push_str(&shown);
            rest = tail;
        }
        if cut {
            out.push_str(CUT);
        }
        Self(out.into_boxed_str())
    }

    /// Returns the excerpt as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns whether the text was empty.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// Returns the length of the first character, or 1 for a byte that is not UTF-8. `bytes` is not empty.
fn first_unit(bytes: &[u8]) -> usize {
    let head = &bytes[..bytes.len().min(4)];
    let valid = head.utf8_chunks().next().map_or("", |chunk| chunk.valid());
    valid.chars().next().map_or(1, char::len_utf8)
}

impl fmt::Display for Excerpt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Excerpt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\"", self.0)
    }
}

impl From<&str> for Excerpt {
    fn from(text: &str) -> Self {
        Self::new(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_text_is_cut_with_a_mark() {
        for text in ["x".repeat(10_000), "x".repeat(MAX_CHARS + 1)] {
            let shown = Excerpt::new(&text).to_string();
            assert_eq!(shown.len(), MAX_CHARS + CUT.len());
            assert!(shown.ends_with(CUT));
        }
        let whole = "é".repeat(MAX_CHARS);
        assert_eq!(Excerpt::new(&whole).as_str(), whole);
    }

    #[test]
    fn an_escape_counts_as_printed_and_is_never_cut_in_two() {
        let shown = Excerpt::new(&"\u{e0041}".repeat(1000)).to_string();
        assert_eq!(
            shown,
            format!("{}{CUT}", r"\u{e0041}".repeat(MAX_CHARS / 9))
        );
        let shown = Excerpt::from_bytes(&[0xff; 1000]).to_string();
        assert_eq!(shown, format!("{}{CUT}", r"\xff".repeat(MAX_CHARS / 4)));
    }

    #[test]
    fn bytes_that_are_not_utf8_are_escaped() {
        assert_eq!(
            Excerpt::from_bytes(b"a\xffb\xe2\x80").as_str(),
            r"a\xffb\xe2\x80"
        );
    }
}
