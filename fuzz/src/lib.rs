//! What the fuzz targets assert, and how they make inputs that get past checksums.
//!
//! ```text
//!  target   input                                     what is run                        made valid by
//!  layer    tar, plain, gzip or zstd                  decode, tar, ingest, merge, proof  tar sums, sizes, PAX lengths
//!  reader   an EROFS image with all of its devices    open, check, walk, read, dump      superblock checksum
//!  merge    layers as changes, or a hostile sidecar   sidecar, merge, fsmeta, proof      the harness's own framing
//!  vmdk     a disk descriptor's text                  parse, render, parse               nothing
//!  manifest a manifest or an index                    parse as both, classify, choose    nothing
//!  config   an image's config                         parse, what it offers, record      nothing
//!  sidecar  a layer's sidecar                         read, write, read                  the harness's own framing
//!  record   an image record of a cache                list, look up, verify              nothing
//!  challenge a WWW-Authenticate header                parse, write, parse                nothing
//! ```
//!
//! A target is the module of its name; its page says what it asserts. A target is a function of the input's bytes alone, so that a
//! finding is repeated by its file. Every error that is met has to print in one line ([`told`]). [`heap`] holds every one of them to a bound of memory, libFuzzer to ten seconds.
//!
//! The `*_mutator` modules change inputs as libFuzzer does and then repair what a random change always breaks: sums and
//! lengths. What lies in the corpus is the input itself, so that other tools can read it: a `layer` input is an archive, a
//! `reader` input an image.
//!
//! `cargo xtask fuzz` builds and runs the targets; `cargo xtask fuzz --help` tells the rest.

pub mod challenge;
pub mod chop;
pub mod config;
mod disk;
pub mod heap;
pub mod image_mutator;
pub mod layer;
pub mod manifest;
pub mod memory_file;
pub mod merge;
pub mod reader;
pub mod record;
pub mod sidecar;
pub mod supply;
pub mod tar_mutator;
pub mod told;
pub mod vmdk;

#[path = "../../crates/fs-tree/tests/model/mod.rs"]
mod model;

/// libFuzzer's own mutation: changes the first bytes of the buffer, so many as the second argument says, to at most the third;
/// gives how many they are then.
pub type Mutate<'a> = &'a mut dyn FnMut(&mut [u8], usize, usize) -> usize;
