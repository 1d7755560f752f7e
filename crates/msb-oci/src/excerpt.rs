//! Text from outside, made fit for one line of a terminal or a log.

use std::fmt;

/// Longest excerpt, in characters.
const MAX_CHARS: usize = 160;

/// A short, printable piece of a text that someone else wrote.
///
/// Control characters, line and paragraph separators and those that turn the direction of text become `\u{fffd}`; what is longer than
/// 160 characters is cut and ends in `...`. Errors keep such excerpts instead of the text itself.
///
/// ```
/// assert_eq!(msb_oci::Excerpt::new("a\x1b[31m\nb").to_string(), "a\u{fffd}[31m\u{fffd}b");
/// ```
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Excerpt(Box<str>);

impl Excerpt {
    /// Takes the printable beginning of `text`. At most 160 characters of it are looked at.
    #[must_use]
    pub fn new(text: &str) -> Self {
        let mut out = String::new();
        for (count, c) in text.chars().enumerate() {
            if count == MAX_CHARS {
                out.push_str("...");
                break;
            }
            out.push(if is_printable(c) {
                c
            } else {
                char::REPLACEMENT_CHARACTER
            });
        }
        Self(out.into_boxed_str())
    }

    /// As [`Excerpt::new`], of bytes that may not be UTF-8.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Self {
        // Four bytes a character at most, and one more character so that the cut is seen.
        let head = &bytes[..bytes.len().min(4 * (MAX_CHARS + 1))];
        Self::new(&String::from_utf8_lossy(head))
    }

    /// The excerpt as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether nothing is left to show.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

fn is_printable(c: char) -> bool {
    let turns_direction = matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    let breaks_line = matches!(c, '\u{2028}' | '\u{2029}');
    !c.is_control() && !turns_direction && !breaks_line && c != '\u{feff}'
}

impl fmt::Display for Excerpt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Excerpt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
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
    fn long_text_is_cut_and_says_so() {
        let text = "x".repeat(10_000);
        let shown = Excerpt::new(&text).to_string();
        assert_eq!(shown.len(), MAX_CHARS + 3);
        assert!(shown.ends_with("..."));
        assert_eq!(Excerpt::from_bytes(text.as_bytes()).to_string(), shown);
    }

    #[test]
    fn direction_and_line_marks_do_not_reach_the_terminal() {
        assert_eq!(
            Excerpt::new("a\u{202e}b\u{2028}c\u{85}d").as_str(),
            "a\u{fffd}b\u{fffd}c\u{fffd}d"
        );
    }

    #[test]
    fn bytes_need_not_be_utf8() {
        assert_eq!(Excerpt::from_bytes(b"a\xffb").as_str(), "a\u{fffd}b");
    }
}
