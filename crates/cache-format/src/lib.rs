//! The format versions of everything in a cache directory.
//!
//! ```text
//!  layout      LAYOUT      directories and names; recorded in the marker file
//!  artifacts   ARTIFACTS   layer images, sidecars, fsmeta, descriptors; part of their names
//!  records     RECORD      image records; recorded in each of them
//! ```
//!
//! This crate does not know the formats themselves. Every change to the bytes of an artifact increments its version, so that no program
//! reads a file that it would misread.

/// The version of the directories and names of a cache: the one that is written, and the newest that is read.
pub const LAYOUT: u32 = 3;

/// The version of layer images, of the sidecars beside them, and of the disks that are built from both. The keys of layers and disks
/// contain it.
pub const ARTIFACTS: u32 = 4;

/// The version of image records: the one that is written, and the newest that is read.
pub const RECORD: u32 = 2;
