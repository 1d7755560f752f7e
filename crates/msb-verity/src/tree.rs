use std::io::{Read, Write};

use crate::{BLOCK_BYTES, Error, HASH_BYTES, hash};

/// Builds a tree of the leaf hashes of a disk, in order.
///
/// Memory: 32 bytes for each 512 KiB of data. The leaf hashes themselves are not kept.
#[derive(Debug, Default)]
#[must_use = "`finish` returns the tree"]
pub struct TreeBuilder {
    /// The beginning of a block of leaf hashes; shorter than one.
    partial: Vec<u8>,
    /// The hashes of the whole blocks of leaf hashes.
    blocks: Vec<u8>,
    data_blocks: u64,
}

/// A hash tree without its leaf hashes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tree {
    root_hash: [u8; HASH_BYTES],
    data_blocks: u64,
    /// The hashes of the blocks of leaf hashes.
    leaf_blocks: Vec<u8>,
    /// The levels above the leaf hashes, from the bottom up, in whole blocks.
    levels: Vec<Vec<u8>>,
}

impl TreeBuilder {
    /// Creates a builder without leaf hashes.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds leaf hashes: those of the next blocks of the disk.
    ///
    /// # Errors
    /// [`Error::PartialHash`].
    pub fn extend(&mut self, mut leaves: &[u8]) -> Result<(), Error> {
        let bytes = leaves.len();
        if !bytes.is_multiple_of(HASH_BYTES) {
            return Err(Error::PartialHash { bytes });
        }
        self.data_blocks += (bytes / HASH_BYTES) as u64;
        while !leaves.is_empty() {
            let missing = BLOCK_BYTES - self.partial.len();
            let (head, rest) = leaves.split_at(missing.min(leaves.len()));
            self.partial.extend(head);
            leaves = rest;
            if self.partial.len() == BLOCK_BYTES {
                self.blocks.extend(hash(&self.partial));
                self.partial.clear();
            }
        }
        Ok(())
    }

    /// Computes the upper levels.
    ///
    /// # Errors
    /// [`Error::Empty`].
    pub fn finish(mut self) -> Result<Tree, Error> {
        if self.data_blocks == 0 {
            return Err(Error::Empty);
        }
        // The hash of a single block is the root hash itself.
        if self.data_blocks == 1 {
            return Ok(Tree {
                root_hash: first(&self.partial),
                data_blocks: 1,
                leaf_blocks: Vec::new(),
                levels: Vec::new(),
            });
        }
        if !self.partial.is_empty() {
            self.partial.resize(BLOCK_BYTES, 0);
            self.blocks.extend(hash(&self.partial));
        }
        let leaf_blocks = self.blocks;
        let mut hashes = leaf_blocks.clone();
        let mut levels = Vec::new();
        while hashes.len() > HASH_BYTES {
            hashes.resize(hashes.len().next_multiple_of(BLOCK_BYTES), 0);
            let upper = hashes.chunks_exact(BLOCK_BYTES).flat_map(hash).collect();
            levels.push(std::mem::replace(&mut hashes, upper));
        }
        Ok(Tree {
            root_hash: first(&hashes),
            data_blocks: self.data_blocks,
            leaf_blocks,
            levels,
        })
    }
}

impl Tree {
    /// Returns the root hash.
    #[must_use]
    pub fn root_hash(&self) -> &[u8; HASH_BYTES] {
        &self.root_hash
    }

    /// Returns the number of blocks of data.
    #[must_use]
    pub fn data_blocks(&self) -> u64 {
        self.data_blocks
    }

    /// Returns the length of the tree in bytes, a whole number of blocks; 0 for a single block of data.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        let upper: usize = self.levels.iter().map(Vec::len).sum();
        let leaf_blocks = (self.leaf_blocks.len() / HASH_BYTES) as u64;
        upper as u64 + leaf_blocks * BLOCK_BYTES as u64
    }

    /// Writes the tree: the top block first, the leaf hashes last. `leaves` are the leaf hashes that the builder took.
    ///
    /// # Errors
    /// [`Error::Read`], also for too few leaf hashes; [`Error::Changed`] for other ones; [`Error::Write`].
    pub fn write(&self, leaves: &mut dyn Read, output: &mut dyn Write) -> Result<(), Error> {
        let write_error = |source| Error::Write { source };
        for level in self.levels.iter().rev() {
            output.write_all(level).map_err(write_error)?;
        }
        let in_block = (BLOCK_BYTES / HASH_BYTES) as u64;
        let mut index = 0;
        let mut block = [0; BLOCK_BYTES];
        for expected in self.leaf_blocks.chunks_exact(HASH_BYTES) {
            let count = in_block.min(self.data_blocks - index);
            // OK because there are at most 128 hashes in a block.
            let bytes = usize::try_from(count).unwrap_or(0) * HASH_BYTES;
            leaves
                .read_exact(&mut block[..bytes])
                .map_err(|source| Error::Read { index, source })?;
            block[bytes..].fill(0);
            if hash(&block) != expected {
                return Err(Error::Changed {
                    block: index / in_block,
                });
            }
            output.write_all(&block).map_err(write_error)?;
            index += count;
        }
        Ok(())
    }
}

/// Returns the first hash of some.
fn first(hashes: &[u8]) -> [u8; HASH_BYTES] {
    let mut first = [0; HASH_BYTES];
    first.copy_from_slice(&hashes[..HASH_BYTES]);
    first
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree(leaves: &[u8]) -> Tree {
        let mut builder = TreeBuilder::new();
        // In pieces that are not those of the blocks.
        for piece in leaves.chunks(5 * HASH_BYTES) {
            builder.extend(piece).unwrap();
        }
        builder.finish().unwrap()
    }

    #[test]
    fn a_tree_is_as_long_as_it_states() {
        for (data_blocks, blocks) in [
            (1, 0),
            (2, 1),
            (128, 1),
            (129, 3),
            (16_384, 129),
            (16_385, 132),
        ] {
            let leaves = vec![7; data_blocks * HASH_BYTES];
            let tree = tree(&leaves);
            assert_eq!(tree.data_blocks(), data_blocks as u64);
            assert_eq!(crate::tree_bytes(data_blocks as u64), tree.bytes());
            assert_eq!(tree.bytes(), blocks * BLOCK_BYTES as u64, "{data_blocks}");
            let mut output = Vec::new();
            tree.write(&mut &leaves[..], &mut output).unwrap();
            assert_eq!(output.len() as u64, tree.bytes());
        }
    }

    #[test]
    fn no_hashes_half_a_hash_and_other_hashes_are_errors() {
        assert!(matches!(TreeBuilder::new().finish(), Err(Error::Empty)));
        let half = TreeBuilder::new().extend(&[0; 33]);
        assert!(matches!(half, Err(Error::PartialHash { bytes: 33 })));
        let leaves = vec![7; 200 * HASH_BYTES];
        let tree = tree(&leaves);
        let short = tree.write(&mut &leaves[..150 * HASH_BYTES], &mut Vec::new());
        assert!(matches!(short, Err(Error::Read { index: 128, .. })));
        let mut changed = leaves.clone();
        changed[140 * HASH_BYTES] ^= 1;
        let changed = tree.write(&mut &changed[..], &mut Vec::new());
        assert!(matches!(changed, Err(Error::Changed { block: 1 })));
    }
}
