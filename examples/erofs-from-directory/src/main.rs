//! Writes an EROFS image of a directory, with extended attributes: `erofs-from-directory DIRECTORY IMAGE`.
use std::error::Error;
use std::fs::File;

use erofs_writer::{Builder, HostTree};

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<_> = std::env::args_os().skip(1).collect();
    let [directory, image] = &arguments[..] else {
        return Err("usage: erofs-from-directory DIRECTORY IMAGE".into());
    };
    let mut builder = Builder::new(File::create(image)?)?;
    for omitted in HostTree::new(directory).exclude(image)?.add_to(&mut builder, "")? {
        eprintln!("{omitted}");
    }
    let (written, file) = builder.finish()?;
    file.sync_all()?;
    println!(
        "{} inodes in {} blocks, for Linux {}",
        written.inodes, written.blocks, written.minimum_kernel
    );
    Ok(())
}
