//! What our own reader sees, in the form in which the oracles' trees come.

use std::collections::HashMap;
use std::error::Error;

use erofs_reader::{FileType, Image, Inode, Limits, ReadAt};
use msb_testkit::digest;
use msb_testkit::tree::{Entry, Listing};

/// The whole tree of an image. The contents of one file at a time are in memory.
pub(crate) fn read<D: ReadAt>(image: &Image<D>) -> Result<Listing, Box<dyn Error>> {
    let mut names: HashMap<u64, Vec<Vec<u8>>> = HashMap::new();
    let mut listing = Listing::default();
    let mut walk = image.walk(&Limits::default())?;
    while let Some(entry) = walk.next_entry() {
        let entry = entry?;
        let path = entry.path.to_vec();
        let inode = entry.inode;
        if inode.file_type != FileType::Directory && inode.nlink > 1 {
            names.entry(inode.nid).or_default().push(path.clone());
        }
        listing.entries.insert(path, read_entry(image, &inode)?);
    }
    // An inode is named in full under the first of its paths, and as a link under the others.
    for mut paths in names.into_values() {
        paths.sort_unstable();
        let (first, others) = paths.split_first().ok_or("an inode without a path")?;
        for path in others {
            if let Some(entry) = listing.entries.get_mut(path) {
                *entry = Entry {
                    kind: entry.kind,
                    link: Some(first.clone()),
                    ..Entry::default()
                };
            }
        }
    }
    Ok(listing)
}

fn read_entry<D: ReadAt>(image: &Image<D>, inode: &Inode) -> Result<Entry, Box<dyn Error>> {
    let is_regular = inode.file_type == FileType::Regular;
    let sha256 = if is_regular {
        let mut bytes = Vec::new();
        std::io::copy(&mut image.open_file(inode)?, &mut bytes)?;
        Some(digest::sha256(&bytes).replace("sha256:", ""))
    } else {
        None
    };
    let target = match inode.file_type {
        FileType::Symlink => Some(image.read_link(inode)?),
        _ => None,
    };
    let xattrs = image
        .xattrs(inode)?
        .into_iter()
        .map(|xattr| (xattr.name, xattr.value))
        .collect();
    Ok(Entry {
        kind: match inode.file_type {
            FileType::Regular => 'f',
            FileType::Directory => 'd',
            FileType::CharDevice => 'c',
            FileType::BlockDevice => 'b',
            FileType::Fifo => 'p',
            FileType::Socket => 's',
            FileType::Symlink => 'l',
        },
        mode: u32::from(inode.mode & 0o7777),
        uid: inode.uid,
        gid: inode.gid,
        mtime: Some((inode.mtime_secs, inode.mtime_nanos)),
        nlink: (inode.file_type != FileType::Directory).then_some(u64::from(inode.nlink)),
        size: is_regular.then_some(inode.size),
        sha256,
        target,
        rdev: inode.rdev,
        xattrs: Some(xattrs),
        link: None,
    })
}
