use std::fmt;

/// How many bytes of a name are printed.
const SHOWN_BYTES: usize = 256;

/// A name from an archive, kept as bytes and printed on one line.
///
/// Bytes that are not UTF-8, control characters and whatever else could steer a terminal are printed as escapes, and a
/// long name is cut.
#[derive(Clone, PartialEq, Eq)]
pub struct EntryName(Box<[u8]>);

impl EntryName {
    /// Keeps `name`, up to the length that is printed.
    pub fn new(name: &[u8]) -> Self {
        Self(name[..name.len().min(SHOWN_BYTES + 1)].into())
    }
}

impl fmt::Display for EntryName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = &self.0[..self.0.len().min(SHOWN_BYTES)];
        f.write_str("\"")?;
        for chunk in shown.utf8_chunks() {
            write!(f, "{}", chunk.valid().escape_debug())?;
            write!(f, "{}", chunk.invalid().escape_ascii())?;
        }
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
