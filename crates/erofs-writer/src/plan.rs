//! Decides where everything goes, before any of it is written.

mod directories;
mod epoch;
mod inodes;
mod xattrs;

pub(crate) use directories::{Directories, DirectoryPlan};
pub(crate) use inodes::{Body, InodePlan, Placement};
pub(crate) use xattrs::XattrPlan;

use erofs_format::BLOCK_SIZE;
use fs_tree::{InodeId, Timestamp, Tree};

use crate::Error;
use crate::chunks::Bounds;

/// Where every inode, directory block and shared xattr of an image goes.
#[derive(Debug)]
pub(crate) struct Plan<'t> {
    pub(crate) meta_blkaddr: u32,
    /// The time of compact inodes.
    pub(crate) epoch: Timestamp,
    pub(crate) directories: Directories<'t>,
    pub(crate) xattrs: XattrPlan<'t>,
    pub(crate) placement: Placement,
    /// First block of the shared xattrs.
    pub(crate) xattr_blkaddr: u32,
}

impl<'t> Plan<'t> {
    pub(crate) fn new(tree: &'t Tree, bounds: Bounds<'_>) -> Result<Self, Error> {
        let directories = Directories::new(tree)?;
        let epoch = epoch::most_common(tree, &directories.order);
        let xattrs = XattrPlan::new(tree, &directories.order)?;
        let meta_blkaddr = bounds.data_end;
        let placement = Placement::new(tree, &directories, &xattrs, epoch, bounds)?;

        let xattr_blkaddr = u64::from(meta_blkaddr)
            .checked_add(placement.inode_bytes.div_ceil(u64::from(BLOCK_SIZE)))
            .and_then(|block| block.checked_add(placement.blocks))
            .and_then(|block| u32::try_from(block).ok())
            .ok_or(Error::ImageTooLarge)?;
        Ok(Self {
            meta_blkaddr,
            epoch,
            directories,
            xattrs,
            placement,
            xattr_blkaddr,
        })
    }

    pub(crate) fn inode_count(&self) -> u64 {
        self.directories.order.len() as u64
    }

    pub(crate) fn nid(&self, inode: InodeId) -> u64 {
        u64::from(self.placement.nids[inode.index()])
    }

    /// The first block behind the inodes.
    pub(crate) fn first_block(&self) -> u64 {
        u64::from(self.meta_blkaddr) + self.placement.inode_bytes.div_ceil(u64::from(BLOCK_SIZE))
    }
}
