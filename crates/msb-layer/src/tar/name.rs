use std::fmt;

use escape_text::escape;

/// Longest printed part of a name, in bytes.
const SHOWN_BYTES: usize = 256;

/// A name from an archive, stored as bytes and printed on one line.
///
/// Everything unprintable is escaped as [`escape_text::escape`] does, and a long name is cut.
#[derive(Clone, PartialEq, Eq)]
pub struct EntryName(Box<[u8]>);

impl EntryName {
    /// Creates a name, cut to the length that is printed.
    #[must_use]
    pub fn new(name: &[u8]) -> Self {
        Self(name[..name.len().min(SHOWN_BYTES + 1)].into())
    }
}

impl fmt::Display for EntryName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = &self.0[..self.0.len().min(SHOWN_BYTES)];
        f.write_str("\"")?;
        escape(shown).fmt(f)?;
        f.write_str(if shown.len() < self.0.len() {
            "\"..."
        } else {
            "\""
        })
    }
}

impl fmt::Debug for EntryName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
