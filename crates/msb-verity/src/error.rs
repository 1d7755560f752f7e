use std::io;

/// Reports why hashes or a tree cannot be computed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The data is not a whole number of blocks.
    #[error("the data of a hash tree ends {bytes} bytes after a block of 4096 bytes")]
    PartialBlock {
        /// The bytes after the last whole block.
        bytes: usize,
    },
    /// The leaf hashes are not a whole number of hashes.
    #[error("leaf hashes of {bytes} bytes are not whole hashes of 32 bytes")]
    PartialHash {
        /// Their length in bytes.
        bytes: usize,
    },
    /// There is no data.
    #[error("a disk without data has no hash tree")]
    Empty,
    /// The leaf hashes cannot be read, or are fewer than the tree was built of.
    #[error("reading leaf hash {index}")]
    Read {
        /// The number of the first hash that is missing.
        index: u64,
        /// The cause.
        source: io::Error,
    },
    /// Leaf hashes or the tree cannot be written.
    #[error("writing hashes")]
    Write {
        /// The cause.
        source: io::Error,
    },
    /// The leaf hashes that are written are not those that the tree was built of.
    #[error("the leaf hashes in block {block} are not those of the tree")]
    Changed {
        /// The number of the block among the blocks of leaf hashes.
        block: u64,
    },
}
