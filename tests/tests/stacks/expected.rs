//! Converts the model's tree into the form of the oracles' trees.

use msb_testkit::tree::{Entry, Listing};
use msb_testkit::{content, digest};

use crate::model::{Model, Node, OwnedContent, OwnedNode, What, list_model, split};

/// Returns the exact expected tree of the disk.
pub(crate) fn expected(model: &Model) -> Listing {
    let mut listing = Listing::default();
    for (path, listed) in list_model(model).0 {
        let node = match &listed.what {
            What::Directory { .. } => &OwnedNode::Directory,
            What::Leaf(node) => node,
            What::Whiteout => unreachable!("a merged tree has no whiteouts"),
        };
        let kind = match node {
            OwnedNode::Directory => 'd',
            OwnedNode::Regular { .. } => 'f',
            OwnedNode::Symlink { .. } => 'l',
            OwnedNode::CharDevice(..) => 'c',
            OwnedNode::BlockDevice(..) => 'b',
            OwnedNode::Fifo => 'p',
        };
        let entry = if listed.names > 1 && listed.first_name != path {
            Entry {
                kind,
                link: Some(absolute(&listed.first_name)),
                ..Entry::default()
            }
        } else {
            let metadata = listed.metadata;
            let xattrs = listed.xattrs.into_iter();
            let mut entry = Entry {
                kind,
                mode: u32::from(metadata.mode),
                uid: metadata.uid,
                gid: metadata.gid,
                mtime: Some((metadata.mtime.secs, metadata.mtime.nanos)),
                nlink: (kind != 'd').then_some(listed.names as u64),
                xattrs: Some(
                    xattrs
                        .map(|(name, value)| (name.into_bytes(), value))
                        .collect(),
                ),
                ..Entry::default()
            };
            match node {
                OwnedNode::Regular { size, content, .. } => {
                    entry.size = Some(*size);
                    let bytes = bytes(metadata.uid, *size, content);
                    entry.sha256 = Some(digest::sha256(&bytes).replace("sha256:", ""));
                }
                OwnedNode::Symlink { target } => entry.target = Some(target.clone().into_bytes()),
                OwnedNode::CharDevice(major, minor) | OwnedNode::BlockDevice(major, minor) => {
                    entry.rdev = Some((*major, *minor));
                }
                OwnedNode::Directory | OwnedNode::Fifo => {}
            }
            entry
        };
        listing.entries.insert(absolute(&path), entry);
    }
    listing
}

/// Removes what umoci loses: the time of a directory that no layer describes, or in which a directory was implied after it was
/// described.
pub(crate) fn as_umoci_keeps_it(mut listing: Listing, model: &Model) -> Listing {
    for (path, entry) in &mut listing.entries {
        let path = std::str::from_utf8(path).expect("the names are ASCII");
        if let Some(Node::Directory(directory)) = model.at(&split(path))
            && (directory.implied || directory.has_new_implied)
        {
            entry.mtime = None;
        }
    }
    listing
}

/// Returns the contents of a recipe's file.
fn bytes(seed: u32, size: u64, content: &OwnedContent) -> Vec<u8> {
    let size = usize::try_from(size).expect("the files are small");
    let all = content::bytes(u64::from(seed), size);
    let OwnedContent::Mapped(extents) = content else {
        return all;
    };
    let mut bytes = vec![0; size];
    for extent in extents {
        let start = usize::try_from(extent.logical).expect("the files are small");
        let range = start..start + usize::try_from(extent.len).expect("the files are small");
        bytes[range.clone()].copy_from_slice(&all[range]);
    }
    bytes
}

fn absolute(path: &str) -> Vec<u8> {
    format!("/{path}").into_bytes()
}
