//! Turns a compressed layer tar stream into an EROFS layer image and its sidecar, in one pass.
//!
//! ```text
//!  bytes ─▶ LayerFeed ─▶ decode ─▶ tar ─▶ ingest ─┬─▶ erofs-writer    file bytes, at once, at their final blocks
//!                  └ sha256   └ sha256            ├─▶ fs-tree         the layer's own tree, for its image
//!                    (blob)     (diff_id)         └─▶ msb-sidecar     every change in order, for merging
//! ```
//!
//! [`LayerJob::start`] starts the stages on threads of their own; [`decode`] and [`tar`] are the synchronous parsers that
//! they run. This crate opens no sockets and knows no cache: it is given a stream of bytes and two empty files.
//!
//! # Invariants
//! - A file's bytes are written once, where they stay. Memory grows with the number of entries, never with bytes.
//! - [`LayerTask::wait`] is `Ok` only when the blob's length, its digest and the diff_id were all as promised.
//! - [`LayerTask::read`] gives a layer to be merged before it is verified: what is made of that may be kept only if `wait` is `Ok`.
//! - What the disk cannot show exactly is a [`Note`](msb_sidecar::Note) or an error, never silence.
//! - The same archive gives the same two files, however the stream is cut and the threads run.
//!
//! # Untrusted input
//! Every byte of the stream; see [`LayerLimits`].

mod acl;
pub mod decode;
mod entry;
mod error;
mod format;
mod ingest;
mod limits;
mod pipeline;
mod sparse;
mod stage_time;
pub mod tar;
mod writeback;

pub use error::{LayerError, LayerLimit, PartStep};
pub use format::UnsupportedFormat;
pub use ingest::ReadLayer;
pub use limits::LayerLimits;
pub use pipeline::{
    BlobPart, IngestedLayer, LayerFeed, LayerJob, LayerTask, VerifyJob, VerifyTask,
};
