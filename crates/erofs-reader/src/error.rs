use std::io;

use crate::problem::{DirProblem, InodeProblem, SuperProblem, XattrProblem};

/// An error from opening, reading or checking an image.
///
/// Byte offsets count from the start of the primary device unless the message has another base. No message contains
/// bytes of the image, so none can pass control characters to a terminal.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Reading a device failed.
    #[error("read {len} bytes at byte {offset} of device {device_id}")]
    Io {
        /// 0 is the primary, n the n-th slot of the device table.
        device_id: u16,
        /// The offset on that device.
        offset: u64,
        /// The number of bytes to read.
        len: usize,
        /// The failure.
        source: io::Error,
    },
    /// The length of a device could not be determined.
    #[error("find the length of device {device_id}")]
    Length {
        /// 0 is the primary, n the n-th slot of the device table.
        device_id: u16,
        /// The failure.
        source: io::Error,
    },
    /// The length of a part of a [`crate::FlatDisk`] could not be determined.
    #[error("find the length of disk part {index}")]
    PartLength {
        /// The part, from 0.
        index: usize,
        /// The failure.
        source: io::Error,
    },
    /// A part of a [`crate::FlatDisk`] is too short.
    #[error("disk part {index} has {actual} bytes, expected {expected}")]
    PartTooShort {
        /// The part, from 0.
        index: usize,
        /// The length it should have, in bytes.
        expected: u64,
        /// Its length in bytes.
        actual: u64,
    },
    /// The parts of a [`crate::FlatDisk`] together are 2^63 bytes or more.
    #[error("disk is too long at part {index}")]
    DiskTooLong {
        /// The part that exceeds the limit, from 0.
        index: usize,
    },
    /// The superblock, or something it points at, is invalid or not supported.
    #[error("superblock: {problem}")]
    Super {
        /// The problem.
        problem: SuperProblem,
    },
    /// An inode, or the location of its data, is invalid.
    #[error("inode {nid} at byte {offset}: {problem}")]
    Inode {
        /// The nid of the inode.
        nid: u64,
        /// The offset of the inode; 0 if it could not be computed.
        offset: u64,
        /// The problem.
        problem: InodeProblem,
    },
    /// The contents of a directory are invalid.
    #[error("directory {nid}, byte {offset} of its data: {problem}")]
    Dir {
        /// The nid of the directory.
        nid: u64,
        /// The offset in the directory's data.
        offset: u64,
        /// The problem.
        problem: DirProblem,
    },
    /// The extended attributes of an inode are invalid.
    #[error("xattrs of inode {nid}, byte {offset}: {problem}")]
    Xattr {
        /// The nid of the inode.
        nid: u64,
        /// The offset of the entry or body.
        offset: u64,
        /// The problem.
        problem: XattrProblem,
    },
    /// The data is on a device that was not opened.
    #[error("data of inode {nid} is on device {device_id}, which was not opened")]
    DeviceAbsent {
        /// The nid of the inode.
        nid: u64,
        /// The device, from 1.
        device_id: u16,
    },
    /// The metadata of an inode overlaps that of another inode, or its data.
    #[error("inodes {first} and {second} overlap at byte {offset}")]
    Overlap {
        /// The nid of an inode with metadata there.
        first: u64,
        /// The nid of the inode with metadata or data there too.
        second: u64,
        /// The first shared byte.
        offset: u64,
    },
    /// An inode or its data overlaps the superblock or the device table.
    #[error("inode {nid} or its data overlaps the superblock or device table at byte {offset}")]
    Reserved {
        /// The nid of the inode.
        nid: u64,
        /// The first shared byte.
        offset: u64,
    },
    /// The superblock has another number of inodes than the image.
    #[error("superblock has {expected} inodes, found {actual}")]
    InodeCount {
        /// `inos` of the superblock.
        expected: u64,
        /// The number of inodes reached from the root.
        actual: u64,
    },
    /// Reading the image exceeds a limit.
    #[error("limit exceeded: at most {allowed} {limit}")]
    Limit {
        /// The limit.
        limit: Limit,
        /// Its value.
        allowed: u64,
    },
    /// A path leads through too many symbolic links.
    #[error("path leads through more than {allowed} symbolic links")]
    TooManyLinks {
        /// The limit.
        allowed: u32,
    },
    /// The writer of the dump failed.
    #[error("write the dump")]
    Write {
        /// The failure.
        source: io::Error,
    },
}

impl Error {
    /// Returns whether the image is corrupt. Other errors are I/O errors, limits, unsupported features and wrong
    /// arguments.
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

    /// Returns whether the image uses a feature that this crate does not read.
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

/// A limit of [`crate::Limits`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Limit {
    /// Directory entries.
    Names,
    /// Chunk addresses of files.
    Chunks,
    /// Bytes of extended attributes.
    XattrBytes,
    /// Bytes of file data.
    DataBytes,
    /// Levels of directories.
    Depth,
    /// Bytes of one path.
    PathBytes,
    /// Bytes of remembered paths of inodes with several links.
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
