//! Lays one image over another: `merge_two LOWER UPPER IMAGE`.
//!
//! The result has metadata alone, and points into the two images, which become its devices: no file data is copied, but
//! for what the two hold inside of their own metadata. A character device 0:0 of the upper image removes what lies there.

use std::collections::HashMap;
use std::error::Error;
use std::fs::File;
use std::path::Path;

use erofs_reader::{FileType, Image, Limits, Place};
use erofs_writer::{Attributes, Builder, Device, Extent, NewNode, Options};

type Outcome = Result<(), Box<dyn Error>>;

fn main() -> Outcome {
    let args: Vec<_> = std::env::args_os().skip(1).collect();
    let [lower, upper, to] = &args[..] else {
        return Err("usage: merge_two LOWER UPPER IMAGE".into());
    };
    build(Path::new(lower), Path::new(upper), Path::new(to))
}

/// Writes `upper` over `lower` to the new file `to`, whose devices 1 and 2 they are.
pub(crate) fn build(lower: &Path, upper: &Path, to: &Path) -> Outcome {
    let images = [
        Image::open(File::open(lower)?)?,
        Image::open(File::open(upper)?)?,
    ];
    let devices = images
        .iter()
        .zip(["lower", "upper"])
        .map(|(image, tag)| Device::new(tag, image.superblock().blocks.get()));
    let options = Options::default().with_devices(devices);
    let mut merged = Builder::with_options(File::create(to)?, options)?;
    for (image, device) in images.iter().zip(1..) {
        add(&mut merged, image, device)?;
    }
    let (_, file) = merged.finish()?;
    Ok(file.sync_all()?)
}

fn add(merged: &mut Builder<File>, image: &Image<File>, device: u16) -> Outcome {
    let mut names: HashMap<u64, Vec<u8>> = HashMap::new();
    let mut walk = image.walk(&Limits::default())?;
    while let Some(entry) = walk.next_entry() {
        let entry = entry?;
        let (path, inode) = (entry.path, entry.inode);
        if let Some(first) = names.get(&inode.nid) {
            merged.hard_link(path, first)?;
            continue;
        }
        if inode.nlink > 1 && inode.file_type != FileType::Directory {
            names.insert(inode.nid, path.to_vec());
        }
        let attributes = image.xattrs(&inode)?.iter().fold(
            Attributes::new(inode.mode)
                .owner(inode.uid, inode.gid)
                .mtime(inode.mtime_secs, inode.mtime_nanos),
            |sum, xattr| sum.xattr(&xattr.name, &xattr.value),
        );
        let (major, minor) = inode.rdev.unwrap_or_default();
        match inode.file_type {
            FileType::Directory => merged.directory(path, attributes)?,
            FileType::Symlink => merged.symlink(path, attributes, image.read_link(&inode)?)?,
            FileType::CharDevice if (major, minor) == (0, 0) => merged.remove(path)?,
            FileType::CharDevice => {
                merged.node(path, attributes, NewNode::CharDevice { major, minor })?
            }
            FileType::BlockDevice => {
                merged.node(path, attributes, NewNode::BlockDevice { major, minor })?
            }
            FileType::Fifo => merged.node(path, attributes, NewNode::Fifo)?,
            FileType::Socket => {}
            FileType::Regular => {
                let (mut extents, mut is_inline) = (Vec::new(), false);
                for extent in image.extents(&inode)? {
                    let extent = extent?;
                    match extent.place {
                        Place::Device {
                            device_id: 0,
                            offset,
                        } => extents.push(Extent {
                            logical: extent.logical,
                            len: extent.len,
                            device,
                            offset,
                        }),
                        Place::Device { .. } => {
                            return Err("an image with devices of its own".into());
                        }
                        Place::Inline { .. } => is_inline = true,
                        Place::Hole => {}
                    }
                }
                if is_inline {
                    merged.file(path, attributes, image.open_file(&inode)?)?;
                } else {
                    merged.mapped_file(path, attributes, inode.size, &extents)?;
                }
            }
        }
    }
    Ok(())
}
