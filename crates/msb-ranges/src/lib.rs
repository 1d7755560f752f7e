//! Files as independent zstd frames over fixed ranges, with a table of the frames.
//!
//! ```text
//!  | frame 0 | frame 1 | ... | frame n-1 | skippable frame: table                                     |
//!    4 MiB     4 MiB           the rest    header | n entries: length, SHA-256 of the frame | footer
//! ```
//!
//! A zstd decoder reads the whole file and skips the table. A reader that knows the table reads range i from frame i alone. The footer lies
//! at the end of the blob, so that the table can be found from there ([`Table::read`]).
//!
//! # Invariants
//! - The offset of a frame is the sum of the lengths before it, so that frames neither overlap nor leave gaps.
//! - Frame i decompresses to exactly [`RANGE_BYTES`] bytes, the last one to the rest.
//! - Equal files result in equal blobs, with any number of threads.
//!
//! # Untrusted inputs
//! Blobs and tables. The number of entries is bounded by the length of the table, and a frame is verified before it is decompressed
//! into a buffer of the length that the table implies.
//!
//! ```
//! use msb_ranges::{Table, encode};
//!
//! let file = vec![7_u8; 5 << 20];
//! let mut blob = Vec::new();
//! let encoded = encode(&file, &mut blob)?;
//! let table = Table::read(&blob)?;
//! assert_eq!((table.len(), table.range(1, &blob)?), (2, vec![7; 1 << 20]));
//! assert_eq!(encoded.bytes, blob.len() as u64);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Specifications: RFC 8878 (zstd, skippable frames).

mod encode;
mod error;
mod format;
mod table;

pub use encode::{Encoded, TableLocation, encode};
pub use error::{DecodeError, EncodeError};
pub use table::Table;

/// The number of bytes of a file that one frame has.
pub const RANGE_BYTES: u64 = 4 << 20;
