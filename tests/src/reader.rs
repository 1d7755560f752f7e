//! Reads a disk with our own reader, into the form of the oracles' trees.

use std::collections::HashMap;
use std::fs::File;
use std::io;

use erofs_reader::{FileType, Image, Inode, Limits, Place, ReadAt};
use msb_testkit::digest;
use msb_testkit::tree::{Entry, Listing};

use crate::Failure;
use crate::disk::Disk;

/// Length above which the digest of a file is not computed: most of it is a hole, and tests read around the data.
pub const MAX_SUMMED_BYTES: u64 = 64 << 20;

/// Opens fsmeta with the layers as its devices.
///
/// # Errors
/// When a file is missing or damaged.
pub fn open(disk: &Disk) -> Result<Image<File>, Failure> {
    let devices: Result<Vec<File>, io::Error> =
        disk.devices().into_iter().map(File::open).collect();
    Ok(Image::open_with_devices(
        File::open(&disk.fsmeta)?,
        devices?,
    )?)
}

/// Returns the whole tree.
///
/// # Errors
/// When the image is damaged.
pub fn listing<D: ReadAt>(image: &Image<D>) -> Result<Listing, Failure> {
    let mut names: HashMap<u64, Vec<Vec<u8>>> = HashMap::new();
    let mut listing = Listing::default();
    let mut walk = image.walk(&Limits::default())?;
    while let Some(entry) = walk.next_entry() {
        let entry = entry?;
        let (path, inode) = (entry.path.to_vec(), entry.inode);
        if inode.file_type != FileType::Directory {
            names.entry(inode.nid).or_default().push(path.clone());
        }
        listing.entries.insert(path, self::entry(image, &inode)?);
    }
    // The first path of an inode has the full entry; the others are links to it.
    for mut paths in names.into_values() {
        paths.sort_unstable();
        for path in &paths[1..] {
            let entry = listing.entries.get_mut(path).unwrap();
            *entry = Entry {
                kind: entry.kind,
                link: Some(paths[0].clone()),
                ..Entry::default()
            };
        }
    }
    Ok(listing)
}

/// Returns the holes of a regular file: offset and length.
///
/// # Errors
/// When the image is damaged.
pub fn holes<D: ReadAt>(image: &Image<D>, path: &[u8]) -> Result<Vec<(u64, u64)>, Failure> {
    let inode = image.lookup_path(path)?.ok_or("no such path")?;
    let mut holes: Vec<(u64, u64)> = Vec::new();
    for extent in image.extents(&inode)? {
        let extent = extent?;
        if !matches!(extent.place, Place::Hole) {
            continue;
        }
        match holes.last_mut() {
            Some((at, len)) if *at + *len == extent.logical => *len += extent.len,
            _ => holes.push((extent.logical, extent.len)),
        }
    }
    Ok(holes)
}

fn entry<D: ReadAt>(image: &Image<D>, inode: &Inode) -> Result<Entry, Failure> {
    let kind = match inode.file_type {
        FileType::Regular => 'f',
        FileType::Directory => 'd',
        FileType::CharDevice => 'c',
        FileType::BlockDevice => 'b',
        FileType::Fifo => 'p',
        FileType::Socket => 's',
        FileType::Symlink => 'l',
    };
    let sha256 = if kind == 'f' && inode.size <= MAX_SUMMED_BYTES {
        let mut bytes = Vec::new();
        io::copy(&mut image.open_file(inode)?, &mut bytes)?;
        Some(digest::sha256(&bytes).replace("sha256:", ""))
    } else {
        None
    };
    let xattrs = image.xattrs(inode)?.into_iter();
    Ok(Entry {
        kind,
        mode: u32::from(inode.mode & 0o7777),
        uid: inode.uid,
        gid: inode.gid,
        mtime: Some((inode.mtime_secs, inode.mtime_nanos)),
        nlink: (kind != 'd').then_some(u64::from(inode.nlink)),
        size: (kind == 'f').then_some(inode.size),
        sha256,
        target: if kind == 'l' {
            Some(image.read_link(inode)?)
        } else {
            None
        },
        rdev: inode.rdev,
        xattrs: Some(xattrs.map(|xattr| (xattr.name, xattr.value)).collect()),
        link: None,
    })
}
