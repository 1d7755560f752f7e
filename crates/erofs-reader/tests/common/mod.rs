//! Images for the tests: built by mkfs.erofs, and assembled byte for byte.
#![allow(dead_code, reason = "each test file uses its own part")]

pub(crate) mod mkfs;
pub(crate) mod raw;

use erofs_reader::{Error, Image, ReadAt, dump};

/// Returns the dump of an image as text.
pub(crate) fn text<D: ReadAt>(image: &Image<D>) -> Result<String, Error> {
    let mut out = Vec::new();
    dump(image, &mut out)?;
    Ok(String::from_utf8(out).expect("a dump is ASCII"))
}
