//! The sidecar: the file beside a layer image that holds the changes of the layer, in the order of its tar archive.
//!
//! An EROFS image does not record which of its directories were only implied, which of its names are links into lower layers,
//! or the order of the entries. A merge needs all of that, and the bytes of inline files, which EROFS cannot share between
//! images. So each change is written to the sidecar while the layer is converted, and a merge replays it.
//!
//! ```text
//!  +-----------------------------------+-----------------------+-------------+---------------------------------+
//!  | records, one per change, streamed | whiteouts and opaque  | notes, JSON | trailer, 104 bytes: version,   |
//!  | length, kind, path, ..., inline   | markers: path, kind   |             | lengths, checksums, the image's |
//!  +-----------------------------------+-----------------------+-------------+---------------------------------+
//! ```
//!
//! Numbers in records are LEB128. A path is the number of bytes that it shares with the previous path, and the rest. A repeated xattr
//! set is the number of the earlier one. Whiteouts have their own section, because a merge needs them before the first record. Only one
//! record at a time is in memory, and up to 4 MiB of xattr sets.
//!
//! A sidecar is untrusted although it comes from the cache: each section has a checksum, each length is checked against that of the
//! file, and each record, path and list has its own limit, because a sparse file of a few blocks can be gigabytes long. No value makes
//! the reader panic, or use more memory than the largest record needs, about 80 MiB.
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
mod trailer;
mod varint;
mod writer;
mod xattr_sets;

pub use changes::Changes;
pub use error::{Error, Section};
pub use inline::{InlineReader, InlineWindow};
pub use note::{Note, Notes};
pub use reader::Sidecar;
pub use trailer::{ImageSummary, VERSION};
pub use writer::{SidecarEnd, SidecarWriter};
