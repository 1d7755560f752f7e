//! Builds an image from a directory: `from_directory DIRECTORY IMAGE`.
#![allow(clippy::print_stderr, reason = "an example that reports on stderr")]

use std::error::Error;
use std::fs::File;
use std::path::Path;

use erofs_writer::{Builder, HostTree};

fn main() -> Result<(), Box<dyn Error>> {
    let mut args = std::env::args_os().skip(1);
    let (Some(from), Some(to)) = (args.next(), args.next()) else {
        return Err("usage: from_directory DIRECTORY IMAGE".into());
    };
    build(Path::new(&from), Path::new(&to))
}

/// Writes an image of the directory tree `from` to the new file `to`.
pub(crate) fn build(from: &Path, to: &Path) -> Result<(), Box<dyn Error>> {
    let mut image = Builder::new(File::create(to)?)?;
    for omitted in HostTree::new(from).exclude(to)?.add_to(&mut image, "")? {
        eprintln!("{omitted}");
    }
    let (_, file) = image.finish()?;
    Ok(file.sync_all()?)
}
