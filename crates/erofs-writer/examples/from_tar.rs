//! Builds an image from a tar file, or from one on standard input: `from_tar ARCHIVE|- IMAGE`.
//!
//! Each entry becomes one of the image, and its bytes pass through once. This example does not handle the whiteouts of container
//! layers, nor archives that the `tar` crate does not understand.

use std::error::Error;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use erofs_writer::{Attributes, Builder, NewNode};
use tar::{Archive, Entry, EntryType, Header};

type Outcome = Result<(), Box<dyn Error>>;

fn main() -> Outcome {
    let mut args = std::env::args_os().skip(1);
    let (Some(from), Some(to)) = (args.next(), args.next()) else {
        return Err("usage: from_tar ARCHIVE|- IMAGE".into());
    };
    if from == "-" {
        return build(io::stdin().lock(), Path::new(&to));
    }
    build(File::open(from)?, Path::new(&to))
}

/// Writes an image of the archive to the new file `to`.
pub(crate) fn build(from: impl Read, to: &Path) -> Outcome {
    let mut image = Builder::new(File::create(to)?)?;
    for entry in Archive::new(from).entries()? {
        add(&mut image, entry?)?;
    }
    let (_, file) = image.finish()?;
    Ok(file.sync_all()?)
}

fn add(image: &mut Builder<File>, mut entry: Entry<'_, impl Read>) -> Outcome {
    let attributes = attributes(&mut entry)?;
    let path = entry.path_bytes().into_owned();
    let target = entry.link_name_bytes().map(|name| name.into_owned());
    match entry.header().entry_type() {
        EntryType::Directory => image.directory(path, attributes)?,
        EntryType::Symlink => image.symlink(path, attributes, target.ok_or("link to nothing")?)?,
        EntryType::Link => image.hard_link(path, target.ok_or("link to nothing")?)?,
        EntryType::Char => {
            let (major, minor) = device(entry.header())?;
            image.node(path, attributes, NewNode::CharDevice { major, minor })?;
        }
        EntryType::Block => {
            let (major, minor) = device(entry.header())?;
            image.node(path, attributes, NewNode::BlockDevice { major, minor })?;
        }
        EntryType::Fifo => image.node(path, attributes, NewNode::Fifo)?,
        EntryType::XGlobalHeader => {}
        _ => image.file(path, attributes, entry)?,
    }
    Ok(())
}

/// Reads the numbers of a device. In the headers of other entries GNU tar leaves these fields blank.
fn device(header: &Header) -> io::Result<(u32, u32)> {
    let (major, minor) = (header.device_major()?, header.device_minor()?);
    Ok((major.unwrap_or_default(), minor.unwrap_or_default()))
}

/// Reads the attributes of an entry from its header and its PAX records, which take precedence.
fn attributes(entry: &mut Entry<'_, impl Read>) -> Result<Attributes, Box<dyn Error>> {
    let header = entry.header();
    let (uid, gid) = (header.uid()?, header.gid()?);
    let mut attributes = Attributes::new(u16::try_from(header.mode()? & 0o7777)?)
        .owner(u32::try_from(uid)?, u32::try_from(gid)?)
        // A time before 1970 is in two's complement, which the crate returns as it is.
        .mtime(header.mtime()?.cast_signed(), 0);
    for record in entry.pax_extensions()?.into_iter().flatten() {
        let record = record?;
        let key = record.key()?;
        if let Some(name) = key.strip_prefix("SCHILY.xattr.") {
            attributes = attributes.xattr(name, record.value_bytes());
        } else if key == "mtime" {
            let value = record.value()?;
            let (secs, rest) = value.split_once('.').unwrap_or((value, ""));
            let (secs, nanos): (i64, u32) = (secs.parse()?, format!("{rest:0<9.9}").parse()?);
            // Nanoseconds count forward, also before 1970.
            attributes = match nanos {
                1.. if value.starts_with('-') => attributes.mtime(secs - 1, 1_000_000_000 - nanos),
                _ => attributes.mtime(secs, nanos),
            };
        }
    }
    Ok(attributes)
}
