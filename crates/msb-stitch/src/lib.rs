//! Joins layers into one disk: merges their trees, writes the merged metadata as an EROFS image (fsmeta) and a VMDK descriptor that
//! lays fsmeta and the layer images end to end, and verifies such disks.
//!
//! ```text
//!  stack of layers ──LayerSet──▶ distinct layers with their devices ──DiskLayout──▶ device table, extents, descriptor
//!                                                                                        │
//!  sidecars, bottom to top ──Merge──▶ Tree ───────────────────────────────────────▶ fsmeta.erofs
//!
//!  descriptor     | fsmeta.erofs | layer 1 .erofs | layer 2 .erofs | ...          one flat block device
//!                 0              uniaddr 1        uniaddr 2
//! ```
//!
//! The guest mounts the disk without options. The kernel then finds block b of layer n at `uniaddr + b`, where `uniaddr` is the first
//! block that slot n of the device table states. So the extents must have the order and the lengths of the slots, to the block.
//! [`DiskLayout`] derives both from the same values.
//!
//! - [`LayerSet`] numbers the distinct layers and checks every limit of a disk from their names alone, before a download.
//! - [`Merge`] merges layers that are complete. [`MergeAhead`] merges layers while they are converted, driven by [`LayerEvents`].
//! - [`DiskVerifier`] reads a disk back through its descriptor with `erofs-reader`, which shares only `erofs-format` with the writer.
//!
//! This crate downloads nothing and does not know the cache; its callers pass functions that open files. Sidecars and
//! descriptors are untrusted: see [`msb_sidecar`] and [`vmdk`].

mod ahead;
mod device;
mod error;
mod inline;
mod layer_set;
mod layout;
mod merge;
mod pooled;
mod progress;
mod verify;
pub mod vmdk;

pub use ahead::{LayerEvents, LayerSender, MergeAhead, Readiness, merge_ahead};
pub use device::{DeviceId, PerDevice};
pub use error::StitchError;
pub use layer_set::{LayerNames, LayerSet};
pub use layout::{DiskExtent, DiskLayout, ExtentContent};
pub use merge::{Fsmeta, Merge};
pub use pooled::{FilePool, PooledFile};
pub use progress::MergeProgress;
pub use verify::{DiskVerifier, VerifiedDisk, VerifyError, verify_disk};
