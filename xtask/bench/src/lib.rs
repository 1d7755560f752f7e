//! How fast a pull is, held against the least that any tool must do, and what its parts cost.
//!
//! ```text
//!                     ┌──▶ floor       fetch, hash, inflate, hash, write, sync: nothing else         [`floor`]
//!   one registry on ──┼──▶ msb-image   the pull that users run
//!   loopback          └──▶ breakdown   the same pull in this program, its stages timed               [`breakdown`]
//!
//!   no registry ─────────▶ workloads   fixed work for the writer, the merge and the archive reader   [`workloads`]
//! ```
//!
//! Each is a program of its own, so that time, CPU and memory are those of a whole process. `cargo xtask bench` builds the
//! images, runs the programs by turns and prints the table; `cargo xtask instructions` counts what the workloads execute.
//!
//! It is a maintainer's tool and never shipped. It judges nothing but time, memory and size: that what is pulled is right is
//! the tests' matter. Its inputs are its own images; the floor checks their digests all the same.

#[cfg(feature = "pull")]
pub mod breakdown;
#[cfg(feature = "pull")]
mod error;
#[cfg(feature = "pull")]
pub mod floor;
pub mod workloads;

#[cfg(feature = "pull")]
pub use error::BenchError;
