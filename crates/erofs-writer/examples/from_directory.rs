//! Builds an image from a directory: `from_directory DIRECTORY IMAGE`.

use std::error::Error;
use std::fs::{self, File};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use erofs_writer::{Builder, Metadata, Options, Timestamp};

fn main() -> Result<(), Box<dyn Error>> {
    let mut args = std::env::args_os().skip(1);
    let (Some(from), Some(to)) = (args.next(), args.next()) else {
        return Err("usage: from_directory DIRECTORY IMAGE".into());
    };
    let mut image = Builder::new(File::create(to)?, Options::default())?;
    add(&mut image, Path::new(&from), Path::new(&from))?;
    let (_, file) = image.finish()?;
    Ok(file.sync_all()?)
}

fn add(image: &mut Builder<File>, root: &Path, at: &Path) -> Result<(), Box<dyn Error>> {
    let stat = fs::symlink_metadata(at)?;
    let metadata = Metadata {
        mode: u16::try_from(stat.mode() & 0o7777)?,
        uid: stat.uid(),
        gid: stat.gid(),
        mtime: Timestamp {
            secs: stat.mtime(),
            nanos: u32::try_from(stat.mtime_nsec())?,
        },
    };
    let path = at.strip_prefix(root)?.as_os_str().as_bytes();
    if stat.is_dir() {
        image.directory(path, metadata, &[])?;
        for entry in fs::read_dir(at)? {
            add(image, root, &entry?.path())?;
        }
    } else if stat.is_symlink() {
        image.symlink(
            path,
            metadata,
            &[],
            fs::read_link(at)?.as_os_str().as_bytes(),
        )?;
    } else if stat.is_file() {
        image.file(path, metadata, &[], &mut File::open(at)?)?;
    } else {
        return Err(io::Error::other(format!(
            "{}: neither file, directory nor link",
            at.display()
        ))
        .into());
    }
    Ok(())
}
