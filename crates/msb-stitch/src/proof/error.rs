use std::io;
use std::path::PathBuf;

use fs_tree::show_path;

use crate::vmdk::VmdkError;

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
