//! Writes [EROFS] images. File data is streamed in first; then the metadata is validated, laid out and written.
//!
//! ```text
//!  block 0 ..       ..                meta_blkaddr ..      ..                   ..
//!  +---------------+-----------------+--------------------+--------------------+----------------+
//!  | superblock,   | file data,      | inodes, xattrs,    | directory blocks,  | shared xattrs, |
//!  | device table  | each aligned    | chunk indexes,     | long inline data   | long xattr     |
//!  |               | to a block      | inline tails       |                    | name prefixes  |
//!  +---------------+-----------------+--------------------+--------------------+----------------+
//!  written last      as it arrives     in one sequential pass by `finish`
//! ```
//!
//! Data precedes metadata so that each byte is written once, at its final place, although the lengths of files are not known
//! in advance. The root is the first inode; the others follow directory by directory. Inline data must not cross a block
//! boundary: if that of an inode would, the inode moves to the next block, and later, shorter inodes fill the gap. Slot
//! 0 stays empty, because `readdir` hides an inode with number 0.
//!
//! The data of files may be on the primary device, on further devices ([`Options::devices`]), or both: the
//! [`Content`] of a file states its device.
//!
//! The crate does not compress, does not mount, and knows nothing of OCI. It is synchronous and writes to any
//! [`Write`](std::io::Write) + [`Seek`](std::io::Seek). `erofs-reader` reads the images back.
//!
//! # Invariants
//!
//! - The tree is validated before the first byte of metadata is written. Anything that EROFS cannot represent is
//!   an [`Error`] with the path.
//! - Equal trees and data result in equal bytes.
//! - An image uses no feature that is newer than [`Options::minimum_kernel`].
//!
//! # Untrusted input
//!
//! Paths, attributes and file data may be hostile: sizes are bounded ([`MAX_CHUNKS`]), and arithmetic is checked. A
//! [`HostTree`] reads files of the host, and rejects those that another program replaces during the copy.
//!
//! # Usage
//!
//! [`Builder`] takes paths, attributes and readers, entry by entry in any order:
//!
//! ```
//! use erofs_writer::{Attributes, Builder};
//!
//! let mut image = Builder::new(std::io::Cursor::new(Vec::new()))?;
//! image.file("etc/motd", 0o644, "welcome\n".as_bytes())?;
//! image.file("bin/tool", Attributes::new(0o755).owner(1, 1).xattr("user.a", "b"), &b"..."[..])?;
//! image.symlink("motd", 0o777, "etc/motd")?;
//! image.hard_link("bin/other", "bin/tool")?;
//! let (written, _) = image.finish()?;
//! assert_eq!((written.inodes, written.minimum_kernel.to_string().as_str()), (6, "5.4"));
//! # Ok::<(), erofs_writer::Error>(())
//! ```
//!
//! [`HostTree`] adds a directory of the host to a builder. [`ImageWriter`] is the layer below the builder: it takes extents of
//! file data as they arrive, then a whole [`Tree`].
//!
//! # Limits
//!
//! Blocks of 4096 bytes, 32-bit block addresses (16 TiB for all devices together), no compression. Memory: about 150
//! bytes per file plus its name, and the data of inline files.
//!
//! [EROFS]: https://docs.kernel.org/filesystems/erofs.html

#![warn(clippy::must_use_candidate)]

mod attributes;
mod builder;
mod chunks;
mod emit;
mod error;
mod extent;
#[cfg(target_os = "linux")]
mod host_tree;
mod image;
mod inline;
mod options;
mod output;
mod plan;
mod sparse;

pub use attributes::Attributes;
pub use builder::Builder;
pub use erofs_format::{BLOCK_SIZE, Crc32c, Feature, KernelVersion};
pub use error::{Error, HostOperation, InodeProblem};
pub use extent::{ExtentWriter, OpenExtent, Stored};
pub use fs_tree::{
    ApplyError, Change, ChangeKind, Child, Content, Directory, Extent, Inode, InodeId, Metadata,
    NewContent, NewNode, Node, SymlinkTarget, Timestamp, Tree, TreeError, XattrsId,
};
#[cfg(target_os = "linux")]
pub use host_tree::{HostTree, Omitted};
pub use image::{ImageWriter, PlannedImage, Written};
pub use inline::{InlineData, MemoryInline, NoInline};
pub use options::{Device, MAX_CHUNKS, Options, PLAN_BYTES_PER_INODE};
pub use sparse::SparseFile;

/// Compiles the example of the README.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
