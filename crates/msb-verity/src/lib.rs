//! Hash trees of dm-verity over a disk: version 1, SHA-256, blocks of 4096 bytes, no superblock
//! ([kernel documentation](https://docs.kernel.org/admin-guide/device-mapper/verity.html)).
//!
//! ```text
//!   data      block 0, block 1, ...                     leaf hash = SHA-256(salt, block)
//!   tree      | top block | ... | level 1 blocks | leaf blocks |        128 hashes in a block, zeros after the last one
//!   root hash = SHA-256(salt, top block)
//! ```
//!
//! A leaf hash does not depend on the place of its block, and the salt is constant. So the leaf hashes of a file can be computed once
//! and kept with it, and the tree of a disk of several files takes only the upper levels: [`Leaves`] hashes data, [`TreeBuilder`]
//! takes the leaf hashes of all files in the order of the disk, and [`Tree::write`] writes the tree.
//!
//! Leaf hashes that are kept in a file are sealed with a digest: [`seal`] appends it, and [`open_sealed`] verifies it, so that damage of
//! the file is noticed and not taken for other data.
//!
//! It does not know what is on the disk, and does not verify data: that is for the kernel, or `veritysetup verify`.
//!
//! # Untrusted input
//! Data may have any content. Leaf hashes are taken as they are; wrong ones give a root hash with which the kernel refuses to
//! read.
//!
//! # Example
//! ```
//! use msb_verity::{Leaves, TreeBuilder};
//!
//! let mut leaves = Leaves::new(Vec::new());
//! leaves.update(&[7; 8192])?;
//! let leaves = leaves.finish()?;
//! let mut builder = TreeBuilder::new();
//! builder.extend(&leaves)?;
//! let tree = builder.finish()?;
//! assert_eq!((tree.data_blocks(), tree.bytes()), (2, 4096));
//! let mut hashes = Vec::new();
//! tree.write(&mut &leaves[..], &mut hashes)?;
//! assert_eq!(hashes.len(), 4096);
//! # Ok::<(), msb_verity::Error>(())
//! ```

mod error;
mod leaves;
mod sealed;
mod tree;

pub use error::Error;
pub use leaves::Leaves;
pub use sealed::{open_sealed, seal};
pub use tree::{Tree, TreeBuilder};

use sha2::{Digest as _, Sha256};

/// The length of a block of data and of the tree, in bytes.
pub const BLOCK_BYTES: usize = 4096;

/// The length of a hash, in bytes.
pub const HASH_BYTES: usize = 32;

/// The salt of every hash. A change of it is a change of the format of what keeps leaf hashes.
pub const SALT: [u8; 32] = *b"microsandbox-image verity 1\0\0\0\0\0";

/// Returns the length of the tree over this many blocks of data, in bytes; 0 for a single block.
#[must_use]
pub fn tree_bytes(data_blocks: u64) -> u64 {
    let mut blocks = 0_u64;
    let mut hashes = data_blocks;
    while hashes > 1 {
        hashes = hashes.div_ceil((BLOCK_BYTES / HASH_BYTES) as u64);
        blocks += hashes;
    }
    blocks * BLOCK_BYTES as u64
}

/// Returns the hash of a block.
fn hash(block: &[u8]) -> [u8; HASH_BYTES] {
    debug_assert_eq!(block.len(), BLOCK_BYTES);
    let hasher = Sha256::new().chain_update(SALT).chain_update(block);
    hasher.finalize().into()
}
