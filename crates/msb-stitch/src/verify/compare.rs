use std::collections::HashMap;
use std::ops::Range;

use erofs_format::{Crc32c, FileType};
use erofs_reader::{FlatDisk, Image, Inode, Limits, Place};
use fs_tree::{Content, InodeId, Node, Tree, Walk};

use super::VerifyError;
use super::disk::Part;
use crate::DeviceId;

/// The length of a read of file data, in bytes.
const READ_BYTES: usize = 1 << 20;

/// The number of damaged files that are listed.
const MAX_DAMAGED: usize = 100;

/// What a comparison found.
#[derive(Debug, Default)]
pub(super) struct Compared {
    /// Bytes of file data whose checksums were compared.
    pub(super) verified_bytes: u64,
    /// [`VerifyError::Contents`] of the first files whose bytes are damaged.
    pub(super) damaged: Vec<VerifyError>,
}

/// Walks the disk and the tree side by side. Damaged bytes of a file do not end the walk; every other difference does.
pub(super) fn compare(image: &Image<FlatDisk<Part>>, tree: &Tree) -> Result<Compared, VerifyError> {
    let limits = Limits::default();
    let mut there = image.walk(&limits)?;
    let mut expected = Walk::new(tree);
    let mut pairs: HashMap<u64, InodeId> = HashMap::new();
    let mut comparison = Comparison {
        image,
        tree,
        buffer: vec![0; READ_BYTES],
        found: Compared::default(),
    };
    loop {
        let actual = there.next_entry().transpose()?;
        let (visit, entry) = match (expected.next(), actual) {
            (None, None) => return Ok(comparison.found),
            (Some(visit), Some(entry)) if entry.path.strip_prefix(b"/") == Some(visit.path) => {
                (visit, entry)
            }
            (Some(visit), _) => {
                return Err(VerifyError::Differs {
                    path: visit.path.to_vec(),
                    what: "presence",
                });
            }
            (None, Some(entry)) => {
                return Err(VerifyError::Differs {
                    path: entry.path.to_vec(),
                    what: "presence",
                });
            }
        };
        match pairs.insert(entry.inode.nid, visit.inode) {
            Some(other) if other != visit.inode => {
                return Err(VerifyError::Differs {
                    path: visit.path.to_vec(),
                    what: "group of hard links",
                });
            }
            Some(_) => {}
            None => comparison.inode(visit.path, visit.inode, &entry.inode)?,
        }
    }
}

struct Comparison<'a> {
    image: &'a Image<FlatDisk<Part>>,
    tree: &'a Tree,
    buffer: Vec<u8>,
    found: Compared,
}

impl Comparison<'_> {
    fn inode(&mut self, path: &[u8], id: InodeId, actual: &Inode) -> Result<(), VerifyError> {
        let expected = self.tree.inode(id);
        let metadata = &expected.metadata;
        let same = |what, same: bool| {
            if same {
                Ok(())
            } else {
                Err(VerifyError::Differs {
                    path: path.to_vec(),
                    what,
                })
            }
        };
        same("mode", actual.mode & 0o7777 == metadata.mode)?;
        same(
            "owner",
            (actual.uid, actual.gid) == (metadata.uid, metadata.gid),
        )?;
        same(
            "time",
            (actual.mtime_secs, actual.mtime_nanos) == (metadata.mtime.secs, metadata.mtime.nanos),
        )?;
        let mut xattrs: Vec<_> = self
            .image
            .xattrs(actual)?
            .into_iter()
            .map(|x| (x.name, x.value))
            .collect();
        xattrs.sort();
        let wanted = self.tree.xattrs(expected.xattrs);
        same(
            "xattrs",
            xattrs
                .iter()
                .map(|(name, value)| (&name[..], &value[..]))
                .eq(wanted),
        )?;
        let (file_type, rdev) = match expected.node {
            Node::Directory(_) => (FileType::Directory, None),
            Node::Regular { .. } => (FileType::Regular, None),
            Node::Symlink(_) => (FileType::Symlink, None),
            Node::CharDevice { major, minor } => (FileType::CharDevice, Some((major, minor))),
            Node::BlockDevice { major, minor } => (FileType::BlockDevice, Some((major, minor))),
            Node::Fifo => (FileType::Fifo, actual.rdev),
            Node::Socket => (FileType::Socket, actual.rdev),
            Node::Whiteout => return same("absence", false),
        };
        same("type", file_type == actual.file_type)?;
        same("device number", rdev == actual.rdev)?;
        match expected.node {
            Node::Directory(_) => Ok(()),
            Node::Symlink(target) => same(
                "target",
                self.image.read_link(actual)? == self.tree.symlink_target(target),
            ),
            Node::Regular {
                size,
                crc32c,
                content,
            } => {
                same("link count", actual.nlink == expected.link_count())?;
                same("size", actual.size == size)?;
                let device = device_of(self.tree, content);
                let pieces = self.contents(path, device, crc32c, actual)?;
                // The checksum covers the bytes, and not their places between the holes.
                same("holes", pieces == pieces_of(self.tree, size, content))
            }
            _ => same("link count", actual.nlink == expected.link_count()),
        }
    }

    /// Compares the bytes with their checksum, and returns their ranges in the file.
    fn contents(
        &mut self,
        path: &[u8],
        device: Option<DeviceId>,
        expected: u32,
        actual: &Inode,
    ) -> Result<Vec<Range<u64>>, VerifyError> {
        let mut checksum = Crc32c::new();
        let mut pieces = Vec::new();
        for extent in self.image.extents(actual)? {
            let extent = extent?;
            if matches!(extent.place, Place::Hole) {
                continue;
            }
            let mut at = extent.logical;
            let end = extent.logical + extent.len;
            join(&mut pieces, at..end);
            while at < end {
                let len = usize::try_from(end - at)
                    .unwrap_or(usize::MAX)
                    .min(READ_BYTES);
                let read = self.image.read_at(actual, at, &mut self.buffer[..len])?;
                if read == 0 {
                    break;
                }
                checksum = checksum.update(&self.buffer[..read]);
                at += read as u64;
            }
            self.found.verified_bytes += extent.len;
        }
        let actual = checksum.get();
        if expected != actual && self.found.damaged.len() < MAX_DAMAGED {
            self.found.damaged.push(VerifyError::Contents {
                path: path.to_vec(),
                device,
                expected,
                actual,
            });
        }
        Ok(pieces)
    }
}

/// Returns the layer that holds the bytes of a file; `None` for fsmeta. All extents of a file are in one layer.
fn device_of(tree: &Tree, content: Content) -> Option<DeviceId> {
    match content {
        Content::Absent | Content::Inline { .. } => None,
        Content::Contiguous { device, .. } => DeviceId::new(device),
        Content::Mapped { .. } => DeviceId::new(tree.extents(content).first()?.device),
    }
}

/// Returns the ranges in which a file of the tree has bytes. Adjoining ranges are joined.
fn pieces_of(tree: &Tree, size: u64, content: Content) -> Vec<Range<u64>> {
    let mut pieces = Vec::new();
    match content {
        Content::Absent => {}
        Content::Contiguous { .. } | Content::Inline { .. } => join(&mut pieces, 0..size),
        Content::Mapped { .. } => tree.extents(content).iter().for_each(|extent| {
            join(&mut pieces, extent.logical..extent.logical + extent.len);
        }),
    }
    pieces
}

fn join(pieces: &mut Vec<Range<u64>>, next: Range<u64>) {
    match pieces.last_mut() {
        Some(last) if last.end == next.start => last.end = next.end,
        _ => pieces.push(next),
    }
}
