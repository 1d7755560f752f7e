//! Decompresses a stream: gzip, zstd or neither, detected by magic bytes.
//!
//! Synchronous and push-style, like [`tar`](crate::tar): it does no I/O and starts no thread. Uncompressed bytes come out in
//! [`Chunk`]s, reference-counted pieces of a [`Pool`]'s buffers, so that one chunk can go to a hasher and a parser on other
//! threads without a copy; a buffer returns to its pool when the last holder drops it.
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
//! - Memory is one buffer, the codec's state and, for zstd, a window that was checked before it was taken, and
//!   counted against a [`WindowBudget`] that several streams may share. What a bomb
//!   unpacks to is the caller's to count: it comes out chunk by chunk, and the caller's error stops the decoder.
//! - The pieces in which the input is pushed change nothing.
//! - After the last member or frame only zeros may follow. Anything else is an error, so that no byte that a digest covers
//!   goes unlooked at.
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
//! let mut plain = Vec::new();
//! let mut out = |chunk: Chunk| {
//!     plain.extend_from_slice(&chunk);
//!     Ok::<_, std::convert::Infallible>(())
//! };
//! let mut decoder = Decoder::new(Pool::new(64 * 1024, 4), Limits::default());
//! decoder.push(b"neither gzip nor zstd", &mut out).expect("plain bytes pass");
//! decoder.finish(&mut out).expect("nothing is missing");
//! assert_eq!(plain, b"neither gzip nor zstd");
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
