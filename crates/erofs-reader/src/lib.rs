//! Reads [EROFS] images back: the tree, the attributes, the file data, and a proof that all of it holds together.
//!
//! This is the reference reader for uncompressed images, from any writer. It is not fast at decompression, because it has
//! none, and it does not mount, write or repair. It knows nothing of container images.
//!
//! ```text
//!   ReadAt (file, bytes, FlatDisk) ──▶ Image ──▶ inode ─┬─▶ read_dir, lookup ──▶ Walk ─┬─▶ check   (a proof)
//!                                       │               ├─▶ extents ──▶ read_at        └─▶ dump    (text)
//!                                  superblock,          ├─▶ read_link
//!                                  device table         └─▶ xattrs
//! ```
//!
//! An image may have further devices, and they can be given in two ways, as to the kernel: behind the primary on one flat
//! disk ([`Image::open`]), or each by itself ([`Image::open_with_devices`]).
//!
//! # Untrusted input
//!
//! Every byte of an image is hostile. No input makes this crate panic, loop without end, or allocate more than a fixed
//! amount or an amount bounded by the image's length. Work that could be out of proportion to the image, because many
//! inodes may point at the same bytes, is bounded by [`Limits`]. What is read is checked more strictly than the kernel
//! checks it: an unsorted directory, a wrong `..`, an extent outside of its device are errors and not surprises.
//!
//! # Example
//!
//! ```no_run
//! use std::fs::File;
//! use erofs_reader::{Image, Limits};
//!
//! let image = Image::open(File::open("layer.erofs")?)?;
//! let mut walk = image.walk(&Limits::default())?;
//! while let Some(entry) = walk.next_entry() {
//!     let entry = entry?;
//!     println!("{:o} {}", entry.inode.mode, entry.path.escape_ascii());
//! }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! [EROFS]: https://docs.kernel.org/filesystems/erofs.html

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
mod read_at;
mod read_inode;
mod superblock;
mod walk;
mod xattr;

pub use check::{CheckOptions, Summary, check, check_with};
pub use data::FileReader;
pub use devices::Device;
pub use dir::{DirEntry, ReadDir};
pub use dump::{DumpOptions, dump, dump_with};
pub use erofs_format::{
    DataLayout, Feature, Features, FileType, KernelVersion, SUPER_MAGIC, SuperBlock,
};
pub use error::{Error, Limit};
pub use extents::{Extent, Extents, Place};
pub use flat_disk::FlatDisk;
pub use image::Image;
pub use inode::Inode;
pub use limits::Limits;
pub use problem::{DirProblem, InodeProblem, SuperProblem, XattrProblem};
pub use read_at::ReadAt;
pub use walk::{Walk, WalkEntry};
pub use xattr::Xattr;

/// The README's example, so that it compiles.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
