//! Verifies the structure of an EROFS image: `cargo run -p erofs-reader --example verify -- IMAGE [LAYER]...`.
//!
//! Further files are the devices of the image, in the order of its device table. They are read as one disk, one after the
//! other, so each but the last must have exactly the length in the table.
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
