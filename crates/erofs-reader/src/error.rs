use std::io;

use crate::problem::{DirProblem, InodeProblem, SuperProblem, XattrProblem};

/// Why an image could not be opened or read, or does not hold together.
///
/// Byte offsets count from the start of the primary device unless the message says otherwise. No message holds bytes of
/// the image, so that none can carry control characters into a terminal.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Reading a device failed.
    #[error("read {len} bytes at byte {offset} of device {device_id}")]
    Io {
        /// 0 is the primary, n the n-th slot of the device table.
        device_id: u16,
        /// Where on that device.
        offset: u64,
        /// How many bytes were wanted.
        len: usize,
        /// The failure.
        source: io::Error,
    },
    /// Asking for the length of a device failed.
    #[error("find the length of device {device_id}")]
    Length {
        /// 0 is the primary, n the n-th slot of the device table.
        device_id: u16,
        /// The failure.
        source: io::Error,
    },
    /// Asking for the length of a part of a [`crate::FlatDisk`] failed.
    #[error("find the length of disk part {index}")]
    PartLength {
        /// Which part, from 0.
        index: usize,
        /// The failure.
        source: io::Error,
    },
    /// A part of a [`crate::FlatDisk`] has fewer bytes than it is to give.
    #[error("disk part {index} has {actual} bytes, expected {expected}")]
    PartTooShort {
        /// Which part, from 0.
        index: usize,
        /// Bytes wanted of it.
        expected: u64,
        /// Bytes that it has.
        actual: u64,
    },
    /// The parts of a [`crate::FlatDisk`] do not fit 63 bits together.
    #[error("disk is too long at part {index}")]
    DiskTooLong {
        /// The part that is too much, from 0.
        index: usize,
    },
    /// The superblock, or what it points at, is not one that can be read.
    #[error("superblock: {problem}")]
    Super {
        /// What is wrong.
        problem: SuperProblem,
    },
    /// An inode, or the place of its data, is wrong.
    #[error("inode {nid} at byte {offset}: {problem}")]
    Inode {
        /// Which inode.
        nid: u64,
        /// Where it lies; 0 when its place could not be computed.
        offset: u64,
        /// What is wrong.
        problem: InodeProblem,
    },
    /// A directory's contents are wrong.
    #[error("directory {nid}, byte {offset} of its data: {problem}")]
    Dir {
        /// The directory's inode.
        nid: u64,
        /// Where in the directory's data.
        offset: u64,
        /// What is wrong.
        problem: DirProblem,
    },
    /// An inode's extended attributes are wrong.
    #[error("xattrs of inode {nid}, byte {offset}: {problem}")]
    Xattr {
        /// Which inode.
        nid: u64,
        /// Where the entry or body lies.
        offset: u64,
        /// What is wrong.
        problem: XattrProblem,
    },
    /// The data lie on a device that was not given.
    #[error("data of inode {nid} lie on device {device_id}, which was not opened")]
    DeviceAbsent {
        /// Which inode.
        nid: u64,
        /// The device, from 1.
        device_id: u16,
    },
    /// Two inodes claim the same bytes, with at least one's metadata.
    #[error("inodes {first} and {second} overlap at byte {offset}")]
    Overlap {
        /// An inode whose metadata lie there.
        first: u64,
        /// The inode whose metadata or data lie there too.
        second: u64,
        /// The first byte that both have.
        offset: u64,
    },
    /// An inode or its data lie over the superblock or the device table.
    #[error("inode {nid} or its data lie over the superblock or device table at byte {offset}")]
    Reserved {
        /// Which inode.
        nid: u64,
        /// The first such byte.
        offset: u64,
    },
    /// The superblock counts other inodes than there are.
    #[error("superblock counts {expected} inodes, {actual} were found")]
    InodeCount {
        /// `inos` of the superblock.
        expected: u64,
        /// Inodes that were reached from the root.
        actual: u64,
    },
    /// The work that reading takes is out of proportion to the image.
    #[error("limit exceeded: {limit} at most {allowed}")]
    Limit {
        /// Which one.
        limit: Limit,
        /// Its value.
        allowed: u64,
    },
    /// Following symbolic links did not end.
    #[error("more than {allowed} symbolic links on the way")]
    TooManyLinks {
        /// How many are followed.
        allowed: u32,
    },
    /// A writer that was handed in failed.
    #[error("write the dump")]
    Write {
        /// The failure.
        source: io::Error,
    },
}

impl Error {
    /// Whether the image is broken, as opposed to unreadable for another reason.
    #[must_use]
    pub fn is_corrupt(&self) -> bool {
        match self {
            Self::Super { problem } => !problem.is_unsupported(),
            Self::Inode { problem, .. } => !problem.is_usage() && !self.is_unsupported(),
            Self::Dir { .. }
            | Self::Overlap { .. }
            | Self::Reserved { .. }
            | Self::InodeCount { .. } => true,
            Self::Xattr { .. } => !self.is_unsupported(),
            _ => false,
        }
    }

    /// Whether the image uses a feature that is not read here.
    #[must_use]
    pub fn is_unsupported(&self) -> bool {
        match self {
            Self::Super { problem } => problem.is_unsupported(),
            Self::Inode { problem, .. } => matches!(problem, InodeProblem::Compressed { .. }),
            Self::Xattr { problem, .. } => matches!(problem, XattrProblem::PrefixesCompressed),
            _ => false,
        }
    }
}

/// What a [`crate::Limits`] bounds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Limit {
    /// Names in directories.
    Names,
    /// Chunk addresses of files.
    Chunks,
    /// Bytes of extended attributes.
    XattrBytes,
    /// Bytes of file data.
    DataBytes,
    /// Directories within directories.
    Depth,
    /// Bytes of one path.
    PathBytes,
    /// Bytes of remembered paths of inodes with several names.
    LinkPathBytes,
}

impl std::fmt::Display for Limit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Names => "directory entries",
            Self::Chunks => "chunk addresses",
            Self::XattrBytes => "bytes of xattrs",
            Self::DataBytes => "bytes of file data",
            Self::Depth => "levels of directories",
            Self::PathBytes => "bytes of a path",
            Self::LinkPathBytes => "bytes of paths of hard links",
        })
    }
}
