//! Builds an image in a folder, lists it, and reads a file back: `stranger FOLDER`.
use std::io::{Read, read_to_string, repeat};
use std::{error::Error, fs, fs::File};

use erofs_reader::{Image, Limits};
use erofs_writer::{Attributes, Builder, Device, Extent, NewNode, Options};

fn main() -> Result<(), Box<dyn Error>> {
    std::env::set_current_dir(std::env::args_os().nth(1).ok_or("stranger FOLDER")?)?;
    fs::write("blob", [b'b'; 8192])?;
    let (tag, blocks) = (b"blob".to_vec(), 2);
    let options = Options::default().with_devices(vec![Device::new(tag, blocks)]);
    let mut image = Builder::with_options(File::create("image.erofs")?, options)?;
    image.hard_link("etc/issue", "etc/motd")?; // In any order.
    image.file("var/log/big", 0o600, repeat(b'x').take(50_000_000))?;
    image.sparse_file("var/disk", 0o600, 1 << 24, [(1 << 20, &b"island"[..])])?;
    let (logical, len, device, offset) = (0, 8192, 1, 0);
    image.mapped_file("opt/blob", 0o644, len, &[Extent { logical, len, device, offset }])?;
    image.symlink("motd", 0o777, "etc/motd")?;
    image.node("dev/null", 0o666, NewNode::CharDevice { major: 1, minor: 3 })?;
    let attributes = Attributes::new(0o644).owner(0, 4).xattr("user.by", "a stranger");
    image.file("etc/motd", attributes, "welcome".as_bytes())?;
    image.directory("etc", Attributes::new(0o750).mtime(1_700_000_000, 0))?;
    let (written, _) = image.finish()?;
    println!("{} inodes, for Linux {} or newer", written.inodes, written.minimum_kernel);

    let image = Image::open_with_devices(File::open("image.erofs")?, vec![File::open("blob")?])?;
    let mut walk = image.walk(&Limits::default())?;
    while let Some(entry) = walk.next_entry() {
        let (path, inode) =
            entry.map(|entry| (entry.path.escape_ascii().to_string(), entry.inode))?;
        println!("{:06o} {:>8} {path}", inode.mode, inode.size);
    }
    let motd = image.resolve_path("motd")?.ok_or("no motd")?;
    let by = image.xattrs(&motd)?.remove(0).value;
    println!("{} by {}", read_to_string(image.open_file(&motd)?)?, by.escape_ascii());
    Ok(())
}
