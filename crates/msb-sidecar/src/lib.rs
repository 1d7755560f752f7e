//! The file beside a layer image that keeps what an EROFS image cannot: the layer's changes, in the order of its tar.
//!
//! A layer image alone does not show which of its directories were only implied, which of its names are links into lower
//! layers, or in which order things came. Merging needs all of that, and the bytes of small files too, which EROFS cannot
//! share between images. So the ingest writes each change here as it is read, and a merge replays them, whether the
//! layer is a second or a year old.
//!
//! ```text
//!  +-----------------------------------+-----------------------+-------------+---------------------------------+
//!  | records, one a change, streamed   | whiteouts and opaque  | notes, JSON | trailer, 104 bytes: version,   |
//!  | length, kind, path, ..., inline   | markers: path, kind   |             | lengths, checksums, the image's |
//!  +-----------------------------------+-----------------------+-------------+---------------------------------+
//! ```
//!
//! Numbers in records are LEB128; a path is given as the bytes that it shares with the one before, and the rest. Whiteouts
//! stand apart because a merge needs them before the first record. Nothing but one record at a time is in memory.
//!
//! A sidecar comes from the cache and is still hostile: each section has a checksum, each length is checked against the file's, and
//! each record, path and list has a limit of its own, because a file of a few blocks can be gigabytes long. No value makes the
//! reader panic, or take more memory than the largest record: about 80 MiB.
//!
//! ```
//! use fs_tree::{Change, ChangeKind};
//! use msb_sidecar::{ImageSummary, Sidecar, SidecarWriter};
//!
//! let mut writer = SidecarWriter::new(Vec::new());
//! writer.change(&Change { path: b"etc/motd", kind: ChangeKind::Whiteout }, None)?;
//! let bytes = writer.finish(ImageSummary { bytes: 8192, crc32c: 7 }, &[])?;
//!
//! let sidecar = Sidecar::open(bytes)?;
//! assert_eq!(sidecar.image().bytes, 8192);
//! sidecar.changes().for_each_whiteout(|whiteout| assert_eq!(whiteout.path, b"etc/motd"))?;
//! # Ok::<(), msb_sidecar::Error>(())
//! ```

mod changes;
mod error;
mod inline;
mod limits;
mod note;
mod reader;
mod record;
mod section;
mod source;
mod trailer;
mod varint;
mod writer;

pub use changes::Changes;
pub use error::{Error, Section};
pub use inline::{InlineReader, InlineWindow};
pub use note::{Note, Notes};
pub use reader::Sidecar;
pub use source::Source;
pub use trailer::{ImageSummary, VERSION};
pub use writer::{SidecarEnd, SidecarWriter};
