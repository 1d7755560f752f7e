//! The golden images of `tests/golden`: the same recipe always makes the same bytes, and every oracle accepts them.
//!
//! ```text
//!   NAME.recipe ──pull──▶ artifacts ──▶ digests   equal NAME.sums, and the tree equals NAME.dump
//!                                  ──▶ fsck.erofs of every layer and disk, with all contents extracted
//!                                  ──▶ kernel     mounts layers, disk with devices, flat disk; QEMU reads the same flat disk
//!                                  ──▶ guest      boots from the disk descriptor
//! ```
//!
//! `MSB_BLESS=1 cargo test -p integration-tests --test golden` records new digests after an intended change of the format.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod digests;
mod oracles;
