//! Decompresses a stream: gzip, zstd or neither, detected by magic bytes.
//!
//! Synchronous and push-style, like [`tar`](crate::tar): it does no I/O and starts no thread. Output comes in [`Chunk`]s,
//! reference-counted pieces of a [`Pool`]'s buffers, so that a hasher and a parser on other threads share a chunk without a
//! copy. A buffer returns to its pool when its last chunk is dropped.
//!
//! Each compression is one file under `formats/` with a row of the table in `formats.rs`: name, magic bytes, media types, decoder.
//!
//! ```text
//!  push(&[u8]) ─▶ 4 magic bytes ─┬─ 1f 8b        gzip: members, each header ─▶ inflate ─▶ CRC-32, length ─┐
//!                                ├─ 28 b5 2f fd  zstd: frames, skippable ones too, each window checked    ├─▶ Chunk
//!                                └─ else         uncompressed: copied through                            ─┘
//! ```
//!
//! # Invariants
//!
//! - All chunks but the last are as long as the pool's buffers; none is empty.
//! - Memory is one buffer, the codec's state and, for zstd, a window. The window's size is checked, and charged to a
//!   [`WindowBudget`] that several streams may share, before it is allocated. The caller bounds the uncompressed length: an
//!   error of its output stops the decoder.
//! - The result does not depend on how the input is split into pushes.
//! - After the last member or frame only zeros may follow. Anything else is an error, so that every byte of the blob is
//!   examined.
//!
//! Specifications: RFC 1952 (gzip), RFC 1951 (deflate), RFC 8878 (zstd).
//!
//! # Untrusted input
//!
//! Every byte.
//!
//! # Example
//!
//! ```
//! use msb_layer::decode::{Chunk, Decoder, Limits, Pool};
//!
//! let mut uncompressed = Vec::new();
//! let mut out = |chunk: Chunk| {
//!     uncompressed.extend_from_slice(&chunk);
//!     Ok::<_, std::convert::Infallible>(())
//! };
//! let mut decoder = Decoder::new(Pool::new(64 * 1024, 4), Limits::default());
//! decoder.push(b"neither gzip nor zstd", &mut out).expect("uncompressed bytes pass");
//! decoder.finish(&mut out).expect("nothing is missing");
//! assert_eq!(uncompressed, b"neither gzip nor zstd");
//! ```

mod chunk;
mod compression;
mod decoder;
mod error;
mod format;
mod formats;
mod limits;
mod output;
mod stop;
mod stream;
mod window;

#[cfg(test)]
mod tests;

pub use chunk::{Chunk, Pool};
pub use compression::Compression;
pub use decoder::Decoder;
pub use error::{Corruption, DecodeError, PushError};
pub use limits::Limits;
pub use window::WindowBudget;
