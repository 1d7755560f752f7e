//! A synchronous push parser for tar archives: bytes in, entries and file data out.
//!
//! It does no I/O, keeps no file data and knows nothing of layers, whiteouts or images. The caller pushes bytes in pieces of
//! any length; the parser calls a [`TarSink`] when entries and data are complete:
//!
//! ```text
//!  bytes ─▶ header block ─┬─ extension (x g L K) ─▶ held until the entry's own header ─┐
//!                         ├─ sparse map blocks    ─▶ held until the map is complete    ├─▶ sink.entry()
//!                         └─ the entry's own header ───────────────────────────────────┘
//!           payload ──────── straight through, no copy ──────────────────────────────────▶ sink.data(offset, bytes)
//!           padding ──────── dropped                                                       sink.end_entry()
//!           two zero blocks ─ end; the following bytes are counted, not read
//! ```
//!
//! # Invariants
//!
//! - For every entry the sink receives `entry`, any number of `data` calls with ascending offsets, and `end_entry`.
//! - The pieces in which the stream is pushed only affect how `data` is split.
//! - Memory is bounded by [`Limits`], whatever a header claims; an ordinary entry allocates nothing.
//! - An error is final: every later call returns [`TarError::Failed`].
//!
//! # Where the formats leave a choice
//!
//! The formats are those of POSIX pax (IEEE 1003.1), the GNU tar manual and star. Where they are silent or
//! implementations differ, this parser chooses as follows:
//!
//! - Links, devices, fifos and directories (types `1` to `6`) have no payload, whatever their size field, as in
//!   GNU tar and Go's archive/tar. The payload of a GNU dump directory (type `D`) is skipped, because it is a list of names.
//! - A regular type (`\0`, `0`, `7`) without payload whose name ends in a slash is a directory, as V7 wrote it and GNU tar and
//!   libarchive read it. With a payload it stays a file, so that no byte is lost.
//! - An unknown type is [`Kind::Other`], its payload delivered as if it were a file; the sink decides.
//! - A single zero block followed by anything but a second one is an error, followed by the end of the stream it is
//!   the end of the archive. An archive may also just stop after an entry, even before its padding.
//! - A second local PAX header before the same entry replaces the first one. A GNU long name wins over a PAX path.
//! - An empty PAX value deletes the record, and the header block's field holds, as in Go's archive/tar; a local one also hides
//!   the global record. An empty xattr value is an empty xattr.
//! - Global records apply to all following entries, except those of a sparse map, which are an error there.
//! - The record `hdrcharset` is ignored: names are bytes.
//! - Go before 1.8 wrote a ustar prefix into GNU headers. It is recognized, as in Go, by the time fields, which it overwrites.
//!
//! # Untrusted input
//!
//! Every byte. Lengths are checked against [`Limits`] before memory is taken, and arithmetic on them is checked.
//!
//! # Example
//!
//! ```
//! use msb_layer::tar::{Entry, Limits, TarParser, TarSink};
//!
//! #[derive(Default)]
//! struct Names(Vec<Vec<u8>>);
//!
//! impl TarSink for Names {
//!     type Error = std::convert::Infallible;
//!     fn entry(&mut self, entry: &Entry<'_>) -> Result<(), Self::Error> {
//!         self.0.push(entry.path.to_vec());
//!         Ok(())
//!     }
//!     fn data(&mut self, _offset: u64, _bytes: &[u8]) -> Result<(), Self::Error> {
//!         Ok(())
//!     }
//!     fn end_entry(&mut self) -> Result<(), Self::Error> {
//!         Ok(())
//!     }
//! }
//!
//! let mut names = Names::default();
//! let mut parser = TarParser::new(Limits::default());
//! parser.push(&[0; 1024], &mut names).expect("two zero blocks are an empty archive");
//! let end = parser.finish::<std::convert::Infallible>().expect("the archive is whole");
//! assert_eq!((end.entries, end.marked, names.0.len()), (0, true, 0));
//! ```

mod entry;
mod error;
mod header;
mod limits;
mod name;
mod number;
mod parser;
mod pax;
mod sparse;

pub mod path;

#[cfg(test)]
mod tests;

pub use entry::{Entry, Kind, Lost, SparseExtent, Timestamp, Xattrs};
pub use error::{Limit, Part, PaxFault, PushError, SparseFault, TarError};
pub(crate) use header::may_begin;
pub use limits::Limits;
pub use name::EntryName;
pub use parser::{TarEnd, TarParser, TarSink};
