use std::collections::HashMap;
use std::fs::File;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::{fs, io};

use erofs_format::{BLOCK_SIZE, Crc32c, FileType};
use erofs_reader::{CheckOptions, FlatDisk, Image, Inode, Limits, Place, check};
use fs_tree::{Content, InodeId, Node, Tree, Walk, show_path};

use crate::vmdk::{Descriptor, SECTOR_SIZE, VmdkError};

/// File data read at a time.
const READ_BYTES: usize = 1 << 20;

/// What a proof went through.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Proof {
    /// Files of the disk.
    pub extents: usize,
    /// Paths of the tree.
    pub paths: u64,
    /// Bytes of file data that were compared with their sums.
    pub verified_bytes: u64,
}

/// Why a disk is not what it should be.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ProofError {
    /// The descriptor, or a file that it names, cannot be read.
    #[error("{}: reading it", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The descriptor is malformed.
    #[error("{}: parsing it", path.display())]
    Vmdk {
        /// The descriptor.
        path: PathBuf,
        /// Why.
        source: VmdkError,
    },
    /// A file of the disk is longer or shorter than the descriptor says.
    #[error("{}: {actual} bytes; the disk descriptor says {expected}", path.display())]
    Length {
        /// The file.
        path: PathBuf,
        /// What the descriptor says.
        expected: u64,
        /// What there is.
        actual: u64,
    },
    /// A file of the disk does not end with a block.
    #[error("{}: {actual} bytes, which are not whole blocks of 4096", path.display())]
    Blocks {
        /// The file.
        path: PathBuf,
        /// What there is.
        actual: u64,
    },
    /// The device table of fsmeta is not the descriptor's list of files.
    #[error(
        "device {device_id} lies at block {actual} of the disk; the device table says {expected}"
    )]
    DeviceTable {
        /// Which, from 1; 0 for the primary.
        device_id: usize,
        /// The device table's.
        expected: u64,
        /// The descriptor's.
        actual: u64,
    },
    /// The disk's filesystem is malformed.
    #[error("reading the disk's filesystem")]
    Filesystem(#[from] erofs_reader::Error),
    /// A path differs from what the layers say.
    #[error("{}: its {what} is not what the layers say", show_path(path))]
    Differs {
        /// The path.
        path: Vec<u8>,
        /// What differs.
        what: &'static str,
    },
    /// A file's bytes are not those that were ingested.
    #[error(
        "{}: its contents sum up to {actual:08x}, not {expected:08x}",
        show_path(path)
    )]
    Contents {
        /// The path.
        path: Vec<u8>,
        /// The sum taken at ingest.
        expected: u32,
        /// The sum of what is there.
        actual: u32,
    },
}

/// Goes through a disk by its descriptor, as a guest would see it, with a reader that shares nothing with the writer: every
/// file of the disk has the length that the descriptor says, the device table says the same, every inode, directory and
/// extent is sound.
///
/// With `expected`, the merged tree of the layers, every path is also compared with it: metadata, xattrs, hard links, and each
/// file's bytes with the sum that was taken when they were ingested.
///
/// # Errors
/// The first [`ProofError`].
pub fn prove(descriptor: &Path, expected: Option<&Tree>) -> Result<Proof, ProofError> {
    let text = fs::read_to_string(descriptor).map_err(read_error(descriptor))?;
    let (image, mut proof) = prove_structure(descriptor, &text, None)?;
    if let Some(tree) = expected {
        proof.verified_bytes = compare(&image, tree)?;
    }
    Ok(proof)
}

/// As [`prove`] without a tree, of a disk that is not there yet: the descriptor's `text` is to be written to `descriptor`, and
/// `fsmeta` is the file that is to have the name of its first extent. The layers lie where the text says.
///
/// # Errors
/// The first [`ProofError`].
pub fn prove_unpublished(descriptor: &Path, text: &str, fsmeta: File) -> Result<Proof, ProofError> {
    prove_structure(descriptor, text, Some(fsmeta)).map(|(_, proof)| proof)
}

fn prove_structure(
    descriptor: &Path,
    text: &str,
    fsmeta: Option<File>,
) -> Result<(Image<FlatDisk<File>>, Proof), ProofError> {
    let (image, extents) = open(descriptor, text, fsmeta)?;
    let summary = check(&image, &CheckOptions::default())?;
    let proof = Proof {
        extents,
        paths: summary.paths,
        verified_bytes: 0,
    };
    Ok((image, proof))
}

fn read_error(path: &Path) -> impl FnOnce(io::Error) -> ProofError {
    let path = path.to_path_buf();
    |source| ProofError::Read { path, source }
}

/// Opens the disk that the descriptor's text describes; its first file is `fsmeta`, where that is given.
fn open(
    descriptor: &Path,
    text: &str,
    mut fsmeta: Option<File>,
) -> Result<(Image<FlatDisk<File>>, usize), ProofError> {
    let parsed = Descriptor::parse(text).map_err(|source| ProofError::Vmdk {
        path: descriptor.to_path_buf(),
        source,
    })?;
    let directory = descriptor.parent().unwrap_or(Path::new("."));
    let mut parts = Vec::new();
    let mut starts = Vec::new();
    let mut at = 0;
    for extent in &parsed.extents {
        let path = directory.join(&extent.file);
        let file = match fsmeta.take() {
            Some(fsmeta) => fsmeta,
            None => File::open(&path).map_err(read_error(&path))?,
        };
        let actual = file.metadata().map_err(read_error(&path))?.len();
        let expected = extent.sectors.saturating_mul(SECTOR_SIZE);
        if actual != expected {
            return Err(ProofError::Length {
                path,
                expected,
                actual,
            });
        }
        if !actual.is_multiple_of(u64::from(BLOCK_SIZE)) {
            return Err(ProofError::Blocks { path, actual });
        }
        parts.push((file, actual));
        starts.push(at);
        at += actual / u64::from(BLOCK_SIZE);
    }
    let count = parts.len();
    let image = Image::open(FlatDisk::new(parts)?)?;
    let primary = u64::from(image.superblock().blocks.get());
    let ends = starts.get(1).copied().unwrap_or(at);
    if primary != ends {
        return Err(ProofError::DeviceTable {
            device_id: 0,
            expected: primary,
            actual: ends,
        });
    }
    if image.devices().len() + 1 != count {
        let (expected, actual) = (image.devices().len() as u64 + 1, count as u64);
        return Err(ProofError::DeviceTable {
            device_id: image.devices().len(),
            expected,
            actual,
        });
    }
    for (device, device_id) in image.devices().iter().zip(1..) {
        let end = u64::from(device.uniaddr) + u64::from(device.blocks);
        for (expected, actual) in [
            (u64::from(device.uniaddr), starts[device_id]),
            (end, starts.get(device_id + 1).copied().unwrap_or(at)),
        ] {
            if expected != actual {
                return Err(ProofError::DeviceTable {
                    device_id,
                    expected,
                    actual,
                });
            }
        }
    }
    Ok((image, count))
}

/// Walks the disk and the tree side by side. Gives the bytes whose sums were compared.
fn compare(image: &Image<FlatDisk<File>>, tree: &Tree) -> Result<u64, ProofError> {
    let limits = Limits::default();
    let mut there = image.walk(&limits)?;
    let mut expected = Walk::new(tree);
    let mut pairs: HashMap<u64, InodeId> = HashMap::new();
    let mut comparison = Comparison {
        image,
        tree,
        buffer: vec![0; READ_BYTES],
        verified_bytes: 0,
    };
    loop {
        let actual = there.next_entry().transpose()?;
        let (visit, entry) = match (expected.next(), actual) {
            (None, None) => return Ok(comparison.verified_bytes),
            (Some(visit), Some(entry)) if entry.path.strip_prefix(b"/") == Some(visit.path) => {
                (visit, entry)
            }
            (Some(visit), _) => {
                return Err(ProofError::Differs {
                    path: visit.path.to_vec(),
                    what: "presence",
                });
            }
            (None, Some(entry)) => {
                return Err(ProofError::Differs {
                    path: entry.path.to_vec(),
                    what: "presence",
                });
            }
        };
        match pairs.insert(entry.inode.nid, visit.inode) {
            Some(other) if other != visit.inode => {
                return Err(ProofError::Differs {
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
    image: &'a Image<FlatDisk<File>>,
    tree: &'a Tree,
    buffer: Vec<u8>,
    verified_bytes: u64,
}

impl Comparison<'_> {
    fn inode(&mut self, path: &[u8], id: InodeId, actual: &Inode) -> Result<(), ProofError> {
        let expected = self.tree.inode(id);
        let metadata = &expected.metadata;
        let same = |what, same: bool| {
            if same {
                Ok(())
            } else {
                Err(ProofError::Differs {
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
                same("number of links", actual.nlink == expected.names())?;
                same("size", actual.size == size)?;
                let pieces = self.contents(path, crc32c, actual)?;
                // The sum tells the bytes, and not where between the holes they are.
                same("holes", pieces == pieces_of(self.tree, size, content))
            }
            _ => same("number of links", actual.nlink == expected.names()),
        }
    }

    /// Compares the bytes with their sum, and says where in the file they are.
    fn contents(
        &mut self,
        path: &[u8],
        expected: u32,
        actual: &Inode,
    ) -> Result<Vec<Range<u64>>, ProofError> {
        let mut sum = Crc32c::new();
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
                sum = sum.update(&self.buffer[..read]);
                at += read as u64;
            }
            self.verified_bytes += extent.len;
        }
        let actual = sum.get();
        if expected == actual {
            Ok(pieces)
        } else {
            Err(ProofError::Contents {
                path: path.to_vec(),
                expected,
                actual,
            })
        }
    }
}

/// Where a file of the tree has bytes, adjoining pieces as one.
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
