//! The assertions of the fuzz targets, and mutators that keep checksums valid.
//!
//! ```text
//!  target   input                                     code under test                       made valid by
//!  layer    tar, uncompressed, gzip or zstd           decode, tar, ingest, merge, verify    checksums, sizes, PAX lengths
//!  reader   an EROFS image with all of its devices    open, check, walk, read, dump         superblock checksum
//!  merge    layers as changes, or a hostile sidecar   sidecar, merge, fsmeta, verify        framing of the harness
//!  vmdk     a disk descriptor's text                  parse, render, parse                  nothing
//!  manifest a manifest or an index                    parse as both, classify, choose       nothing
//!  config   an image's config                         parse, offered platform, record       nothing
//!  sidecar  a layer's sidecar                         read, write, read                     framing of the harness
//!  record   an image record of a cache                list, look up, verify                 nothing
//!  challenge a WWW-Authenticate header                parse, write, parse                   nothing
//! ```
//!
//! Each target is a module, whose page lists its assertions. A target depends on the bytes of the input alone, so that the file of a
//! finding repeats it. Every error must print in one line ([`errors`]). [`heap`] bounds the memory of each target, libFuzzer its time
//! to ten seconds.
//!
//! The `*_mutator` modules mutate inputs as libFuzzer does and then repair checksums and lengths, which a random change always breaks. The
//! files of the corpus can be read by other tools: a `layer` input is an archive, a `reader` input an image.
//!
//! `cargo xtask fuzz` builds and runs the targets; `cargo xtask fuzz --help` lists the options.

pub mod challenge;
pub mod chop;
pub mod config;
mod disk;
pub mod errors;
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
pub mod vmdk;

#[path = "../../crates/fs-tree/tests/model/mod.rs"]
mod model;

/// The mutation of libFuzzer: changes the buffer, whose used length is the second argument, to at most the length of the third argument,
/// and returns the new used length.
pub type Mutate<'a> = &'a mut dyn FnMut(&mut [u8], usize, usize) -> usize;
