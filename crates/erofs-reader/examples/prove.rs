//! Proves that an EROFS image holds together: `cargo run -p erofs-reader --example prove -- IMAGE [LAYER]...`.
//!
//! Further files are the image's devices, in the order of its device table; the sizes of all but the last must be what the
//! table says, because they are read as the guest reads them: end to end, as one disk.
#![allow(clippy::print_stdout, reason = "an example that prints")]

use std::error::Error;
use std::fs::File;

use erofs_reader::{CheckOptions, FlatDisk, Image, check};

fn main() -> Result<(), Box<dyn Error>> {
    let mut parts = Vec::new();
    for path in std::env::args_os().skip(1) {
        let file = File::open(path)?;
        let bytes = file.metadata()?.len();
        parts.push((file, bytes));
    }
    let image = Image::open(FlatDisk::new(parts)?)?;
    println!("{:#?}", check(&image, &CheckOptions::default())?);
    Ok(())
}
