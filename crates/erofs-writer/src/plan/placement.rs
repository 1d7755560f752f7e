use erofs_format::SLOT_SIZE;
use fs_tree::Tree;

use super::inodes::{Body, InodePlan};
use super::packing::Packing;
use super::{Directories, Times, XattrPlan};
use crate::Error;
use crate::chunks::Bounds;

/// Where each inode goes.
#[derive(Debug)]
pub(crate) struct Placement {
    /// The slot by inode; 0 for what is not in the image.
    pub(crate) nids: Vec<u32>,
    /// Bytes from the start of the metadata to the end of the last inode.
    pub(crate) inode_bytes: u64,
    /// Blocks behind them that belong to inodes.
    pub(crate) blocks: u64,
    /// Whether there is a chunk-based inode.
    pub(crate) has_chunks: bool,
}

impl Placement {
    pub(crate) fn new(
        tree: &Tree,
        directories: &Directories<'_>,
        xattrs: &XattrPlan<'_>,
        times: Times,
        bounds: Bounds<'_>,
    ) -> Result<Self, Error> {
        let mut nids = vec![0; tree.inode_slots()];
        let mut packing = Packing::new();
        let mut blocks = 0;
        let mut has_chunks = false;
        for &inode in &directories.order {
            let plan = InodePlan::new(tree, inode, directories, xattrs, times, bounds)?;
            let at = packing.place(&plan);
            nids[inode.index()] =
                u32::try_from(at / u64::from(SLOT_SIZE)).map_err(|_| Error::MetadataTooLarge)?;
            match plan.body {
                Body::Stored { blocks: own, .. } => blocks += own,
                Body::Chunks { .. } => has_chunks = true,
                Body::Flat { .. } | Body::Device { .. } | Body::None => {}
            }
        }
        Ok(Self {
            nids,
            inode_bytes: packing.end(),
            blocks,
            has_chunks,
        })
    }
}
