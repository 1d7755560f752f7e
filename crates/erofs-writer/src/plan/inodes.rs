use erofs_format::{
    BLOCK_SIZE, ChunkIndex, DataLayout, FileType, InodeCompact, InodeExtended, SLOT_SIZE,
    encode_rdev,
};
use fs_tree::{InodeId, Node, Timestamp, Tree};

use super::{Directories, Times, XattrPlan};
use crate::chunks::{self, Bounds, Mapping};
use crate::{Error, InodeProblem};

/// The longest tail that is stored after its inode, where it must not cross a block boundary. Longer tails have blocks
/// of their own: on average they would waste more of a block than they save.
const MAX_TAIL: u64 = BLOCK_SIZE as u64 / 2;

/// The form of one inode. It depends on the inode alone: planner and emitter both compute it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct InodePlan {
    pub(crate) extended: bool,
    pub(crate) file_type: FileType,
    pub(crate) size: u64,
    pub(crate) nlink: u32,
    pub(crate) mtime: Timestamp,
    pub(crate) body: Body,
    pub(crate) xattr_bytes: usize,
}

/// The data of an inode.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Body {
    /// Bytes written with the metadata: `blocks` whole blocks, and `tail` bytes after the inode.
    Stored { blocks: u64, tail: u64 },
    /// Blocks of the primary device.
    Flat { startblk: u32 },
    /// Chunk indexes.
    Chunks { blkbits: u8, count: u32 },
    /// A device number.
    Device { rdev: u32 },
    /// Nothing.
    None,
}

impl InodePlan {
    pub(crate) fn new(
        tree: &Tree,
        id: InodeId,
        directories: &Directories<'_>,
        xattrs: &XattrPlan<'_>,
        times: Times,
        bounds: Bounds<'_>,
    ) -> Result<Self, Error> {
        let inode = tree.inode(id);
        let refused = |problem: InodeProblem| problem.of(tree, id);
        let mut nlink = inode.link_count();
        let (file_type, size, body) = match inode.node {
            Node::Directory(_) => {
                let plan = directories.get(id);
                let size = plan.map_or(0, |plan| plan.size);
                nlink = plan.map_or(0, |plan| plan.subdirectories).saturating_add(2);
                (FileType::Directory, size, stored(size))
            }
            Node::Regular { size, content, .. } => {
                let body = match chunks::map(tree, size, content, bounds).map_err(refused)? {
                    Mapping::Flat { startblk } => Body::Flat { startblk },
                    Mapping::Chunks { blkbits, count } => Body::Chunks { blkbits, count },
                    Mapping::Inline { .. } => stored(size),
                };
                (FileType::Regular, size, body)
            }
            Node::Symlink(target) => {
                let target = tree.symlink_target(target);
                let size = link_target_size(target).map_err(refused)?;
                (FileType::Symlink, size, stored(size))
            }
            Node::CharDevice { major, minor } => (
                FileType::CharDevice,
                0,
                device(major, minor).map_err(refused)?,
            ),
            Node::BlockDevice { major, minor } => (
                FileType::BlockDevice,
                0,
                device(major, minor).map_err(refused)?,
            ),
            Node::Whiteout => (FileType::CharDevice, 0, device(0, 0).map_err(refused)?),
            Node::Fifo => (FileType::Fifo, 0, Body::None),
            Node::Socket => (FileType::Socket, 0, Body::None),
        };
        let metadata = &inode.metadata;
        let mtime = times.of(metadata);
        let compact = mtime == times.epoch
            && u32::try_from(size).is_ok()
            && [metadata.uid, metadata.gid, nlink]
                .into_iter()
                .all(|number| u16::try_from(number).is_ok());
        Ok(Self {
            extended: !compact,
            file_type,
            size,
            nlink,
            mtime,
            body,
            xattr_bytes: xattrs.of(id).len(),
        })
    }

    pub(crate) fn layout(&self) -> DataLayout {
        match self.body {
            Body::Stored { tail: 1.., .. } => DataLayout::FlatInline,
            Body::Chunks { .. } => DataLayout::ChunkBased,
            Body::Stored { .. } | Body::Flat { .. } | Body::Device { .. } | Body::None => {
                DataLayout::FlatPlain
            }
        }
    }

    /// Returns the first valid place of the inode at or after byte `at` of the metadata: on a slot, with its tail
    /// within one block.
    pub(crate) fn place(&self, at: u64) -> u64 {
        let (slot, block) = (u64::from(SLOT_SIZE), u64::from(BLOCK_SIZE));
        let at = at.next_multiple_of(slot);
        let Body::Stored {
            tail: tail @ 1.., ..
        } = self.body
        else {
            return at;
        };
        let tail_at = at + self.head_bytes();
        if tail_at % block + tail <= block {
            return at;
        }
        // The tail begins in the first slot of the next block. OK because a tail is at most half a block.
        (tail_at.next_multiple_of(block) - self.head_bytes()).next_multiple_of(slot)
    }

    /// Returns the end of an inode at `at`, including everything stored after it.
    pub(crate) fn end(&self, at: u64) -> u64 {
        let head = at + self.head_bytes();
        match self.body {
            Body::Stored { tail, .. } => head + tail,
            Body::Chunks { count, .. } => {
                self.chunks_at(at) + u64::from(count) * size_of::<ChunkIndex>() as u64
            }
            Body::Flat { .. } | Body::Device { .. } | Body::None => head,
        }
    }

    /// Returns the start of the chunk indexes of an inode at `at`: after the xattrs, aligned to 8.
    pub(crate) fn chunks_at(&self, at: u64) -> u64 {
        (at + self.head_bytes()).next_multiple_of(size_of::<ChunkIndex>() as u64)
    }

    fn head_bytes(&self) -> u64 {
        let inode = if self.extended {
            size_of::<InodeExtended>()
        } else {
            size_of::<InodeCompact>()
        };
        (inode + self.xattr_bytes) as u64
    }
}

/// Returns the body for bytes written with the metadata: whole blocks, and a tail after the inode if it is short
/// enough.
fn stored(size: u64) -> Body {
    let block = u64::from(BLOCK_SIZE);
    match size % block {
        tail if tail <= MAX_TAIL => Body::Stored {
            blocks: size / block,
            tail,
        },
        _ => Body::Stored {
            blocks: size.div_ceil(block),
            tail: 0,
        },
    }
}

fn device(major: u32, minor: u32) -> Result<Body, InodeProblem> {
    let rdev = encode_rdev(major, minor).ok_or(InodeProblem::DeviceNumber { major, minor })?;
    Ok(Body::Device { rdev })
}

/// The longest target of a symbolic link (Linux `PATH_MAX`, without its NUL).
const MAX_LINK_TARGET: usize = 4095;

fn link_target_size(target: &[u8]) -> Result<u64, InodeProblem> {
    if target.is_empty() || target.len() > MAX_LINK_TARGET || target.contains(&0) {
        return Err(InodeProblem::LinkTarget {
            start: target[..target.len().min(64)].to_vec(),
            bytes: target.len(),
        });
    }
    Ok(target.len() as u64)
}
