//! Measures a pull: against the minimal work of any tool, and by its parts.
//!
//! ```text
//!                     ┌──▶ floor       fetch, hash, inflate, hash, write, sync: nothing else         [`floor`]
//!   one registry on ──┼──▶ msb-image   the pull of a user
//!   loopback          └──▶ breakdown   the same pull in this program, with timed stages              [`breakdown`]
//!
//!   no registry ─────────▶ workloads   fixed work for the writer, the merge and the archive reader   [`workloads`]
//! ```
//!
//! Each is a program of its own, so that time, CPU time and memory are those of a whole process. `cargo xtask bench`
//! builds the images, runs the programs alternately and prints the table; `cargo xtask ci instructions` counts the
//! instructions of the workloads.
//!
//! A maintainer's tool that is never published. It measures time, memory and size only; the tests verify the results.
//! Its inputs are its own images, whose digests the floor verifies nevertheless.

#[cfg(feature = "pull")]
pub mod breakdown;
#[cfg(feature = "pull")]
mod error;
#[cfg(feature = "pull")]
pub mod floor;
pub mod workloads;

#[cfg(feature = "pull")]
pub use error::BenchError;
