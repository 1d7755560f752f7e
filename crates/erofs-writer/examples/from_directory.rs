//! Builds an image from a directory: `from_directory DIRECTORY IMAGE`.

use std::collections::HashMap;
use std::error::Error;
use std::fs::{self, File};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::Path;

use erofs_writer::{Attributes, Builder, NewNode};
use rustix::fs::{lgetxattr, llistxattr, major, minor};

type Outcome = Result<(), Box<dyn Error>>;

fn main() -> Outcome {
    let mut args = std::env::args_os().skip(1);
    let (Some(from), Some(to)) = (args.next(), args.next()) else {
        return Err("usage: from_directory DIRECTORY IMAGE".into());
    };
    build(Path::new(&from), Path::new(&to))
}

/// Writes an image of the tree at `from` to the new file `to`.
pub(crate) fn build(from: &Path, to: &Path) -> Outcome {
    let mut image = Builder::new(File::create(to)?)?;
    add(&mut image, from, from, &mut HashMap::new())?;
    let (_, file) = image.finish()?;
    Ok(file.sync_all()?)
}

/// Adds one path and what is below it. `seen` has the files with several names.
fn add(
    image: &mut Builder<File>,
    root: &Path,
    at: &Path,
    seen: &mut HashMap<(u64, u64), Vec<u8>>,
) -> Outcome {
    let stat = fs::symlink_metadata(at)?;
    let (kind, path) = (stat.file_type(), at.strip_prefix(root)?);
    let path = path.as_os_str().as_bytes();
    if !kind.is_dir() && stat.nlink() > 1 {
        if let Some(first) = seen.get(&(stat.dev(), stat.ino())) {
            return Ok(image.hard_link(path, first)?);
        }
        seen.insert((stat.dev(), stat.ino()), path.to_vec());
    }
    let attributes = attributes(at, &stat)?;
    let (major, minor) = (major(stat.rdev()), minor(stat.rdev()));
    if kind.is_dir() {
        image.directory(path, attributes)?;
        for entry in fs::read_dir(at)? {
            add(image, root, &entry?.path(), seen)?;
        }
    } else if kind.is_file() {
        image.file(path, attributes, File::open(at)?)?;
    } else if kind.is_symlink() {
        image.symlink(path, attributes, fs::read_link(at)?.as_os_str().as_bytes())?;
    } else if kind.is_char_device() {
        image.node(path, attributes, NewNode::CharDevice { major, minor })?;
    } else if kind.is_block_device() {
        image.node(path, attributes, NewNode::BlockDevice { major, minor })?;
    } else if kind.is_fifo() {
        image.node(path, attributes, NewNode::Fifo)?;
    }
    // A socket is of no use without the program that listens on it.
    Ok(())
}

fn attributes(at: &Path, stat: &fs::Metadata) -> Result<Attributes, Box<dyn Error>> {
    let mut attributes = Attributes::new(u16::try_from(stat.mode() & 0o7777)?)
        .owner(stat.uid(), stat.gid())
        .mtime(stat.mtime(), u32::try_from(stat.mtime_nsec())?);
    let (mut names, mut value) = (vec![0; 64 << 10], vec![0; 64 << 10]);
    let len = llistxattr(at, &mut names[..])?;
    for name in names[..len].split(|&byte| byte == 0) {
        if !name.is_empty() {
            let len = lgetxattr(at, name, &mut value[..])?;
            attributes = attributes.xattr(name, &value[..len]);
        }
    }
    Ok(attributes)
}
