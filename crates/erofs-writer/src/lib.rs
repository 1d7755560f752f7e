//! Writes [EROFS] images: file data is streamed in first, then a tree of metadata is validated, planned and emitted.
//!
//! ```text
//!  block 0 ..       ..                meta_blkaddr ..      ..                   ..
//!  +---------------+-----------------+--------------------+--------------------+----------------+
//!  | superblock,   | file data,      | inodes, xattrs,    | directory blocks,  | shared xattrs, |
//!  | device table  | each aligned    | chunk indexes,     | long inline data   | long xattr     |
//!  |               | to a block      | inline tails       |                    | name prefixes  |
//!  +---------------+-----------------+--------------------+--------------------+----------------+
//!  written last      as it comes       in one sequential pass by `finish`
//! ```
//!
//! Data comes first because its length is not known before it was seen, and so that each byte is written once, at its
//! final place. Slot 0 of the metadata stays empty: `readdir` would hide an inode of number 0. The root is placed next, then
//! the others, directory by directory. Inline data must not cross a block: an inode whose data would goes to the next block,
//! and later ones that are shorter fill the gap.
//!
//! There is one planner for every kind of image. An image whose files lie on the primary device, one whose files lie on
//! further devices ([`Options::devices`]), and a mixture differ in nothing but each file's [`Content`].
//!
//! The crate knows the EROFS format and nothing of OCI; it is synchronous and writes to any [`Write`](std::io::Write) +
//! [`Seek`](std::io::Seek). The tree is checked before the first byte of metadata is written: what EROFS cannot hold is an
//! [`Error`] that names the path. The same tree and data always give the same bytes. Features that old kernels do not read
//! are held against [`Options::minimum_kernel`].
//!
//! # Two ways in
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
//! [`ImageWriter`] takes file data first, as extents, and then a whole [`Tree`]: for callers who keep their own tree, and
//! write bytes as they arrive.
//!
//! # Limits
//!
//! Blocks of 4096 bytes, 32-bit block addresses (16 TiB for all devices together), no compression. File data is never held
//! in memory but for inline files; metadata is, 150 bytes a file and its name.
//!
//! [EROFS]: https://docs.kernel.org/filesystems/erofs.html

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
pub use options::{Device, MAX_CHUNKS, Options};

/// The README's example, so that it compiles.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
