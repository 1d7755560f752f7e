//! Integration tests of the whole workspace, in `tests/`, and what several of them need: blobs to a disk without a registry
//! and a cache between, and the disk's tree as our own reader sees it.
//!
//! ```text
//!   Blob ──msb-layer──▶ image + sidecar ──msb-stitch──▶ fsmeta + VMDK        Disk
//!                                                          └──erofs-reader──▶ Listing, holes, ranges
//! ```
#![allow(
    clippy::unwrap_used,
    reason = "it serves tests, which fail by panicking"
)]

pub mod disk;
pub mod reader;

/// Why something went wrong, whatever it was: tests look at the text and at the variant's name.
pub type Failure = Box<dyn std::error::Error + Send + Sync>;
