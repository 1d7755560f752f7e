//! Reads [EROFS] images: the tree, the attributes and the file data. Verifies the structure of a whole image.
//!
//! It reads uncompressed images of any writer. It does not decompress, mount, write or repair,
//! and it knows nothing of container images.
//!
//! ```text
//!   ReadAt (file, bytes, FlatDisk) ──▶ Image ──▶ inode ─┬─▶ read_dir, lookup ──▶ Walk ─┬─▶ check   (verify)
//!                                       │               ├─▶ extents ──▶ read_at        └─▶ dump    (text)
//!                                  superblock,          ├─▶ read_link
//!                                  device table         └─▶ xattrs
//! ```
//!
//! As in the kernel, the extra devices of an image are either parts of one flat disk ([`Image::open`]) or opened one by one
//! ([`Image::open_with_devices`]).
//!
//! # Invariants
//!
//! - The format, type, size and xattr body of an [`Inode`] are valid: they are checked when it is read.
//! - An [`Extent`] lies on its device.
//! - The names of a directory are sorted and unique, in [`ReadDir`] and in [`Walk`].
//!
//! # Untrusted input
//!
//! Every byte of an image is hostile. No input makes this crate panic, loop endlessly, or allocate more than a constant
//! plus an amount bounded by the length of the image. Many inodes may refer to the same bytes; [`Limits`] bounds the
//! work this can cause. The checks are stricter than those of the kernel: an unsorted directory, a wrong `..` or an
//! extent outside its device is an error.
//!
//! # Example
//!
//! ```
//! use erofs_reader::{Error, Image, Limits};
//!
//! /// Lists the paths of an image.
//! fn list(image: &[u8]) -> Result<Vec<String>, Error> {
//!     let image = Image::open(image)?;
//!     let mut walk = image.walk(&Limits::default())?;
//!     let mut paths = Vec::new();
//!     while let Some(entry) = walk.next_entry() {
//!         paths.push(entry?.path.escape_ascii().to_string());
//!     }
//!     Ok(paths)
//! }
//!
//! assert!(list(b"not an image").unwrap_err().is_corrupt());
//! ```
//!
//! [EROFS]: https://docs.kernel.org/filesystems/erofs.html

#![warn(clippy::must_use_candidate)]

mod cache;
mod check;
mod data;
mod devices;
mod dir;
mod dir_block;
mod dump;
mod error;
mod extents;
mod flat_disk;
mod image;
mod inode;
mod limits;
mod lookup;
mod open;
mod prefixes;
mod problem;
mod read_inode;
mod superblock;
mod walk;
mod xattr;

pub use ::read_at::ReadAt;
pub use check::{CheckOptions, Summary, check, check_with};
pub use data::FileReader;
pub use devices::Device;
pub use dir::{DirEntry, ReadDir};
pub use dump::{DumpOptions, dump, dump_with};
pub use erofs_format::{
    DataLayout, Feature, Features, FileType, KernelVersion, Le16, Le32, Le64, SUPER_MAGIC,
    SuperBlock,
};
pub use error::{Error, Limit};
pub use extents::{Extent, Extents, Place};
pub use flat_disk::FlatDisk;
pub use image::Image;
pub use inode::Inode;
pub use limits::Limits;
pub use problem::{DirProblem, InodeProblem, SuperProblem, XattrProblem};
pub use walk::{Walk, WalkEntry};
pub use xattr::Xattr;

/// Compiles the example of the README.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
