//! Writes [EROFS] images: file data is streamed in first, then a tree of metadata is validated, planned and emitted.
//!
//! ```text
//!  block 0 ..       ..                meta_blkaddr ..      ..                   ..
//!  +---------------+-----------------+--------------------+--------------------+---------------+
//!  | superblock,   | file data,      | inodes, xattrs,    | directory blocks,  | shared xattrs |
//!  | device table  | each aligned    | chunk indexes,     | long inline data   |               |
//!  |               | to a block      | inline tails       |                    |               |
//!  +---------------+-----------------+--------------------+--------------------+---------------+
//!  written last      as it comes       in one sequential pass by `finish`
//! ```
//!
//! Data comes first because its length is not known before it was seen, and so that each byte is written once, at its
//! final place. Slot 0 of the metadata stays empty: `readdir` would hide an inode of number 0. The root comes next.
//!
//! There is one planner for every kind of image. An image whose files lie on the primary device, one whose files lie on
//! further devices ([`Options::devices`]), and a mixture differ in nothing but each file's [`Content`](fs_tree::Content).
//!
//! The crate knows the EROFS format and nothing of OCI; it is synchronous and writes to any [`Write`](std::io::Write) +
//! [`Seek`](std::io::Seek). The tree is checked before the first byte of metadata is written: what EROFS cannot hold is an
//! [`Error`] that names the path. The same tree and data always give the same bytes.
//!
//! ```
//! use erofs_writer::{Builder, Metadata, Options};
//!
//! let mut image = Builder::new(std::io::Cursor::new(Vec::new()), Options::default())?;
//! image.file(b"etc/motd", Metadata { mode: 0o644, ..Metadata::default() }, &[], &mut &b"welcome\n"[..])?;
//! image.symlink(b"motd", Metadata { mode: 0o777, ..Metadata::default() }, &[], b"etc/motd")?;
//! let (written, _) = image.finish()?;
//! assert_eq!(written.inodes, 4);
//! # Ok::<(), erofs_writer::Error>(())
//! ```
//!
//! [EROFS]: https://docs.kernel.org/filesystems/erofs.html

mod builder;
mod chunks;
mod emit;
mod error;
mod image;
mod inline;
mod options;
mod output;
mod plan;

pub use builder::Builder;
pub use error::Error;
pub use fs_tree::{Metadata, NewContent, NewNode, Timestamp, Tree};
pub use image::{ImageWriter, Stored, Written};
pub use inline::{InlineData, MemoryInline, NoInline};
pub use options::{Device, MAX_CHUNKS, Options};
