//! Joins layers into one disk: merges their trees, writes the merged metadata as an EROFS image (fsmeta), and a VMDK
//! descriptor that lays fsmeta and the layer images end to end.
//!
//! ```text
//!  sidecars, bottom to top ──Merge──▶ Tree ──▶ fsmeta.erofs     device table: slot n is the n-th layer image
//!                                                               each file: (device n, block) of that image
//!
//!  rootfs.vmdk    | fsmeta.erofs | layer 1 .erofs | layer 2 .erofs | ...          one flat block device
//!                 0              uniaddr 1        uniaddr 2
//! ```
//!
//! The guest's kernel mounts the disk with no options: a block address on device n is `uniaddr` of slot n and the address
//! in that layer's image. So the order and the length of the extents must equal those of the slots to the block, and
//! [`Disk::descriptor`] refuses to write anything else.
//!
//! This crate downloads nothing and knows no cache. Sidecars and descriptors are untrusted: see [`msb_sidecar`], [`vmdk`].

mod disk;
mod error;
mod inline;
mod merge;
mod pooled;
mod proof;
pub mod vmdk;

pub use disk::{Disk, DiskExtent};
pub use error::StitchError;
pub use merge::{Fsmeta, Merge, Slot};
pub use pooled::{FilePool, PooledFile};
pub use proof::{Proof, ProofError, find_damaged_files, prove, prove_layers, prove_unpublished};
