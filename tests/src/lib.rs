//! The integration tests of the workspace are in `tests/`; this library has what several of them share: a disk made from blobs
//! without a registry or a cache, golden images pulled through the facade, and the tree of a disk as our own reader reads it.
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
pub mod golden;
pub mod metadata;
pub mod outside;
pub mod pulled;
pub mod reader;
pub mod workspace;

/// Any error. Tests compare its text and the name of its variant.
pub type Failure = Box<dyn std::error::Error + Send + Sync>;
