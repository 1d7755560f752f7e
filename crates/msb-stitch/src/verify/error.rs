use std::io;
use std::path::PathBuf;

use fs_tree::show_path;

use crate::DeviceId;
use crate::vmdk::VmdkError;

/// Reports why a disk fails verification.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum VerifyError {
    /// The descriptor, or a file that it names, cannot be read.
    #[error("{}: reading", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// The descriptor is malformed.
    #[error("{}: parsing", path.display())]
    Vmdk {
        /// The descriptor.
        path: PathBuf,
        /// The cause.
        source: VmdkError,
    },
    /// A file of the disk is longer or shorter than the descriptor states.
    #[error("{}: {actual} bytes; the disk descriptor states {expected}", path.display())]
    Length {
        /// The file.
        path: PathBuf,
        /// The length in the descriptor, in bytes.
        expected: u64,
        /// The length of the file, in bytes.
        actual: u64,
    },
    /// The length of a file of the disk is not a multiple of the block size.
    #[error("{}: {actual} bytes, which are not whole blocks of 4096", path.display())]
    Blocks {
        /// The file.
        path: PathBuf,
        /// The length of the file, in bytes.
        actual: u64,
    },
    /// The device table of fsmeta differs from the list of files in the descriptor.
    #[error(
        "device {device_id} is at block {actual} of the disk; the device table states {expected}"
    )]
    DeviceTable {
        /// The device, from 1; 0 is the primary.
        device_id: usize,
        /// The block in the device table.
        expected: u64,
        /// The block in the descriptor.
        actual: u64,
    },
    /// The disk's filesystem is malformed.
    #[error("reading the disk's filesystem")]
    Filesystem(#[from] erofs_reader::Error),
    /// A path differs from the layers.
    #[error("{}: {what} mismatch with the layers", show_path(path))]
    Differs {
        /// The path in the image.
        path: Vec<u8>,
        /// What differs.
        what: &'static str,
    },
    /// The bytes of a file are not those that were converted.
    #[error(
        "{}: checksum mismatch: expected {expected:08x}, found {actual:08x}",
        show_path(path)
    )]
    Contents {
        /// The path in the image.
        path: Vec<u8>,
        /// The layer that holds the bytes; `None` for fsmeta.
        device: Option<DeviceId>,
        /// The checksum computed at conversion.
        expected: u32,
        /// The checksum of the bytes.
        actual: u32,
    },
}
