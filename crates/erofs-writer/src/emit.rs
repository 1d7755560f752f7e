//! Writes what the plan says, front to back.

mod directory;
mod head;
mod inode;

pub(crate) use head::{head, head_bytes, incompat};

use std::io::{Seek, Write};

use erofs_format::{BLOCK_SIZE, SLOT_SIZE};
use fs_tree::{Content, InodeId, Node, Tree};

use crate::output::Output;
use crate::plan::{Body, InodePlan, Plan};
use crate::{Error, InlineData, chunks};

/// Writes the inodes, then the blocks that belong to them, then the shared xattrs and the
/// long name prefixes.
pub(crate) fn metadata<W: Write + Seek>(
    output: &mut Output<W>,
    tree: &Tree,
    plan: &Plan<'_>,
    bounds: chunks::Bounds<'_>,
    inline: &mut dyn InlineData,
) -> Result<(), Error> {
    let start = output.position();
    let describe = |inode| {
        InodePlan::new(
            tree,
            inode,
            &plan.directories,
            &plan.xattrs,
            plan.times,
            bounds,
        )
    };
    let mut next_block = plan.first_block();
    let mut stored = StoredData {
        tree,
        plan,
        inline,
        buffer: Vec::new(),
    };
    for (&inode, number) in plan.directories.order.iter().zip(1..) {
        let form = describe(inode)?;
        let at = plan.nid(inode) * u64::from(SLOT_SIZE);
        output.pad_to(start + at)?;
        let i_u = match form.body {
            Body::Stored { blocks: 0, .. } | Body::None => inode::NO_BLOCK,
            Body::Stored { blocks, .. } => {
                let block = u32::try_from(next_block).map_err(|_| Error::ImageTooLarge)?;
                next_block += blocks;
                block
            }
            Body::Flat { startblk } => startblk,
            Body::Chunks { blkbits, .. } => inode::chunk_info(blkbits),
            Body::Device { rdev } => rdev,
        };
        inode::write(output, tree, inode, &form, i_u, number)?;
        output.write(plan.xattrs.of(inode))?;
        match (form.body, tree.inode(inode).node) {
            (Body::Stored { blocks, tail: 1.. }, _) => {
                stored.load(inode, form.size)?;
                output.write(&stored.buffer[to_usize(blocks * u64::from(BLOCK_SIZE))..])?;
            }
            (Body::Chunks { blkbits, count }, Node::Regular { size, content, .. }) => {
                output.pad_to(start + form.chunks_at(at))?;
                inode::write_chunks(output, chunks::indexes(tree, size, content, blkbits, count))?;
            }
            _ => {}
        }
    }
    for &inode in &plan.directories.order {
        if let Body::Stored {
            blocks: blocks @ 1..,
            ..
        } = describe(inode)?.body
        {
            output.pad_to_block()?;
            stored.load(inode, describe(inode)?.size)?;
            let len = stored
                .buffer
                .len()
                .min(to_usize(blocks * u64::from(BLOCK_SIZE)));
            output.write(&stored.buffer[..len])?;
        }
    }
    output.pad_to_block()?;
    output.write(&plan.xattrs.shared)?;
    output.write(&plan.xattrs.prefixes.table())
}

/// The bytes of an inode that are written with the metadata.
struct StoredData<'a> {
    tree: &'a Tree,
    plan: &'a Plan<'a>,
    inline: &'a mut dyn InlineData,
    buffer: Vec<u8>,
}

impl StoredData<'_> {
    /// Puts all of them into `buffer`.
    fn load(&mut self, inode: InodeId, size: u64) -> Result<(), Error> {
        self.buffer.clear();
        match self.tree.inode(inode).node {
            Node::Directory(_) => {
                if let Some(directory) = self.plan.directories.get(inode) {
                    directory::fill(&mut self.buffer, self.tree, self.plan, directory);
                }
            }
            Node::Symlink(target) => self
                .buffer
                .extend_from_slice(self.tree.symlink_target(target)),
            Node::Regular {
                content: Content::Inline { key },
                ..
            } => {
                self.buffer.resize(to_usize(size), 0);
                self.inline
                    .read(key, &mut self.buffer)
                    .map_err(|source| Error::ReadInline { key, source })?;
            }
            _ => {}
        }
        Ok(())
    }
}

/// A length of something that is in memory, or about to be.
fn to_usize(bytes: u64) -> usize {
    usize::try_from(bytes).unwrap_or(usize::MAX)
}
