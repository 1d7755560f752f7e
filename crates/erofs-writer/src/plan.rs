//! Decides where everything goes, before any of it is written.

mod directories;
mod inodes;
mod packing;
mod placement;
mod prefixes;
mod times;
mod xattrs;

pub(crate) use directories::{Directories, DirectoryPlan};
pub(crate) use inodes::{Body, InodePlan};
pub(crate) use placement::Placement;
pub(crate) use times::Times;
pub(crate) use xattrs::XattrPlan;

use erofs_format::{BLOCK_SIZE, Feature};
use fs_tree::{InodeId, Timestamp, Tree};

use crate::Error;
use crate::chunks::Bounds;

/// Where every inode, directory block, shared xattr and long xattr prefix of an image goes.
#[derive(Debug)]
pub(crate) struct Plan<'t> {
    pub(crate) meta_blkaddr: u32,
    pub(crate) root: InodeId,
    pub(crate) times: Times,
    pub(crate) directories: Directories<'t>,
    pub(crate) xattrs: XattrPlan<'t>,
    pub(crate) placement: Placement,
    /// First block of the shared xattrs. The long prefixes follow behind them.
    pub(crate) xattr_blkaddr: u32,
}

impl<'t> Plan<'t> {
    pub(crate) fn new(
        tree: &'t Tree,
        bounds: Bounds<'_>,
        fixed_time: Option<Timestamp>,
    ) -> Result<Self, Error> {
        let long_prefixes = Feature::XattrPrefixes.minimum_kernel() <= bounds.minimum_kernel;
        let plan = Self::with(tree, bounds, fixed_time, long_prefixes)?;
        if plan.xattr_prefix_start().is_none() {
            // They would lie behind the 16 GiB that their address can reach, because the data come first.
            return Self::with(tree, bounds, fixed_time, false);
        }
        Ok(plan)
    }

    fn with(
        tree: &'t Tree,
        bounds: Bounds<'_>,
        fixed_time: Option<Timestamp>,
        long_prefixes: bool,
    ) -> Result<Self, Error> {
        let mut directories = Directories::new(tree)?;
        let times = Times::new(tree, &directories.order, fixed_time);
        let xattrs = XattrPlan::new(tree, &directories.order, long_prefixes)?;
        let meta_blkaddr = bounds.data_end;
        let placement = Placement::new(tree, &directories, &xattrs, times, bounds)?;
        // The emitter goes from front to back.
        let nids = &placement.nids;
        directories
            .order
            .sort_unstable_by_key(|inode| nids[inode.index()]);

        let xattr_blkaddr = u64::from(meta_blkaddr)
            .checked_add(placement.inode_bytes.div_ceil(u64::from(BLOCK_SIZE)))
            .and_then(|block| block.checked_add(placement.blocks))
            .and_then(|block| u32::try_from(block).ok())
            .ok_or(Error::ImageTooLarge)?;
        Ok(Self {
            meta_blkaddr,
            root: tree.root(),
            times,
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

    /// The first block behind all metadata; `None` where that is too far.
    pub(crate) fn end_block(&self) -> Option<u32> {
        let xattrs = self.xattrs.shared.len() + self.xattrs.prefixes.table().len();
        let blocks = u32::try_from((xattrs as u64).div_ceil(u64::from(BLOCK_SIZE))).ok()?;
        self.xattr_blkaddr
            .checked_add(blocks)
            .filter(|&block| block != u32::MAX)
    }

    /// Where the long prefixes begin, in units of 4 bytes; 0 where there are none, `None` where that is too far.
    pub(crate) fn xattr_prefix_start(&self) -> Option<u32> {
        if self.xattrs.prefixes.count() == 0 {
            return Some(0);
        }
        let start =
            u64::from(self.xattr_blkaddr) * u64::from(BLOCK_SIZE) + self.xattrs.shared.len() as u64;
        u32::try_from(start / 4).ok()
    }
}

#[cfg(test)]
mod tests {
    use erofs_format::KernelVersion;
    use fs_tree::{Metadata, NewNode};

    use super::*;

    #[test]
    fn an_image_has_fewer_blocks_than_the_number_that_is_a_hole() {
        let end = |data_end, has_xattrs| {
            let mut tree = Tree::new();
            for name in [b"a", b"b", b"c"] {
                let root = tree.root();
                let shared: &[(&[u8], &[u8])] = &[(b"user.a", b"one value")];
                let xattrs = if has_xattrs { shared } else { &[] };
                tree.add(root, name, Metadata::default(), xattrs, NewNode::Fifo)
                    .unwrap();
            }
            let bounds = Bounds {
                data_end,
                devices: &[],
                minimum_kernel: KernelVersion::new(6, 12),
            };
            Plan::new(&tree, bounds, None)
                .map(|plan| plan.end_block())
                .ok()
        };
        // A block of inodes, perhaps one of shared xattrs.
        assert_eq!(end(u32::MAX - 2, false), Some(Some(u32::MAX - 1)));
        assert_eq!(end(u32::MAX - 1, false), Some(None));
        assert_eq!(end(u32::MAX, false), None);
        assert_eq!(end(u32::MAX - 3, true), Some(Some(u32::MAX - 1)));
        assert_eq!(end(u32::MAX - 2, true), Some(None));
        assert_eq!(end(u32::MAX - 1, true), Some(None));
    }

    #[test]
    fn prefixes_that_would_lie_behind_16_gib_are_not_used() {
        let mut tree = Tree::new();
        for index in 0..1000 {
            let value = format!("{index}");
            let xattrs: &[(&[u8], &[u8])] = &[(b"user.a.long.name", value.as_bytes())];
            let (root, name) = (tree.root(), format!("f{index}"));
            tree.add(
                root,
                name.as_bytes(),
                Metadata::default(),
                xattrs,
                NewNode::Fifo,
            )
            .unwrap();
        }
        let prefixes = |data_end| {
            let bounds = Bounds {
                data_end,
                devices: &[],
                minimum_kernel: KernelVersion::new(6, 12),
            };
            Plan::new(&tree, bounds, None)
                .unwrap()
                .xattrs
                .prefixes
                .count()
        };
        assert_eq!(
            (prefixes(1), prefixes((1 << 22) - 100), prefixes(1 << 22)),
            (1, 1, 0)
        );
    }
}
