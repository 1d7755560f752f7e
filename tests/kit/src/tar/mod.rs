//! Tar archives from text recipes, covering all special cases of the formats.
//!
//! One line is one entry: a verb, a path, and `key=value` words in any order. `#` starts a comment.
//!
//! ```text
//! dir usr mode=0755 uid=0 mtime=123.5          directory (a slash is added; slash=no omits it)
//! file a/b size=4097 seed=7 xattr.user.x=hex:00ff   contents from a seed (also fill=random|text|mixed|zero)
//! file a/c data=hello\n                        literal contents
//! link new target=old        symlink s target=../x        char c dev=1:3      block b dev=8:0      fifo f
//! contiguous f size=3                          type 7
//! whiteout a/x                                 a/.wh.x          opaque d       d/.wh..wh..opq (`.`: that of the root)
//! global comment=x mtime=5                     global PAX header
//! raw p type=\x00 header-size=99               any type flag, a wrong size field (also checksum=bad, version=\x00\x00)
//! bytes hex:0000                               literal bytes outside any entry
//! noend                                        omits the two blocks of zeros at the end
//! ```
//!
//! `format=pax` (the default), `gnu`, `ustar` or `v7` selects the form of long names and large numbers;
//! `numbers=base256` or `numbers=pax` forces one form for all numbers. `pax.KEY=VALUE` adds a record to the extended
//! header, `xattr.NAME` writes `SCHILY.xattr.NAME`, `libarchive.NAME` writes `LIBARCHIVE.xattr.NAME` in base64.
//! `sparse=gnu`, `pax0.0`, `pax0.1` or `pax1.0` with `map=0:512,8192:100 size=10000` creates a sparse file, whose bytes
//! at each offset are those of the same file without holes. Values are text with `\n`, `\s`, `\\` and `\xNN`, or `hex:`
//! and digits. Times default to [`DEFAULT_MTIME_SECONDS`], owners to root, modes to 0644, 0755 for a directory and 0777
//! for a symlink.

mod entry;
mod extension;
mod header;
mod parse;

use std::io::{self, Write};

use self::entry::Item;

/// Parses a value of a recipe: `hex:` and digits, or text with the escapes `\n`, `\s` (a space), `\\` and `\xNN`.
///
/// # Errors
///
/// A description of the problem.
pub fn value(text: &str) -> Result<Vec<u8>, String> {
    parse::value(text)
}

/// The modification time of an entry without one, in seconds since 1970.
pub const DEFAULT_MTIME_SECONDS: i64 = 1_700_000_000;

/// Builds the archive that `text` describes, in memory.
///
/// # Panics
///
/// On an error in the recipe, with the line.
#[track_caller]
#[must_use]
pub fn recipe(text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    Recipe::new(text)
        .write(&mut bytes)
        .expect("writing to memory does not fail");
    bytes
}

/// A parsed recipe, for archives that are too large for memory.
#[derive(Debug, Clone)]
pub struct Recipe {
    items: Vec<Item>,
}

impl Recipe {
    /// Parses a recipe.
    ///
    /// # Panics
    ///
    /// On an error in the recipe, with the line.
    #[track_caller]
    #[must_use]
    pub fn new(text: &str) -> Self {
        match parse::items(text) {
            Ok(items) => Recipe { items },
            Err((line, problem)) => panic!("recipe, line {line}: {problem}"),
        }
    }

    /// Writes the archive.
    ///
    /// # Errors
    /// Those of `out`.
    pub fn write(&self, out: &mut dyn Write) -> io::Result<()> {
        let mut end = true;
        for item in &self.items {
            match item {
                Item::Entry(entry) => entry.write(out)?,
                Item::Global(records) => {
                    extension::write_records(out, b'g', b"pax_global_header", records)?
                }
                Item::Bytes(bytes) => out.write_all(bytes)?,
                Item::NoEnd => end = false,
            }
        }
        if end {
            out.write_all(&[0; 2 * header::BLOCK_BYTES])?;
        }
        Ok(())
    }
}
