//! Lists an EROFS image: `cargo run -p erofs-reader --example list -- IMAGE`.
#![allow(clippy::print_stdout, reason = "an example that prints")]

use std::error::Error;
use std::fs::File;

use erofs_reader::{Image, Limits};

fn main() -> Result<(), Box<dyn Error>> {
    let path = std::env::args_os().nth(1).ok_or("usage: list IMAGE")?;
    let image = Image::open(File::open(path)?)?;
    let mut walk = image.walk(&Limits::default())?;
    while let Some(entry) = walk.next_entry() {
        let entry = entry?;
        let inode = &entry.inode;
        // Names are bytes of the image. They are escaped, so that no control character reaches the terminal.
        let (mode, path) = (inode.mode, entry.path.escape_ascii());
        println!(
            "{mode:06o} {:>5}:{:<5} {:>12} {path}",
            inode.uid, inode.gid, inode.size
        );
    }
    Ok(())
}
