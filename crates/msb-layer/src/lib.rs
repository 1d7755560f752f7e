//! Turns a compressed layer tar stream into an EROFS layer image and its sidecar, in one pass.
//!
//! ```text
//!  bytes ─▶ LayerFeed ─▶ decode ─▶ tar ─▶ ingest ─┬─▶ erofs-writer    file bytes, on arrival, at their final blocks
//!                  └ sha256   └ sha256            ├─▶ fs-tree         the layer's own tree, for its image
//!                    (blob)     (diff_id)         └─▶ msb-sidecar     every change in order, for merging
//! ```
//!
//! [`LayerJob::start`] starts each stage on a thread of its own, one of [`StageThreads`]; [`decode`] and [`tar`] are the synchronous parsers that they run.
//! This crate opens no sockets and does not know the cache: it reads a stream of bytes and fills two empty files.
//!
//! # Invariants
//! - A file's bytes are written once, at their final place. Memory grows with the number of entries, not with their data.
//! - [`LayerTask::wait`] returns `Ok` only if the blob's length, its digest and the diff_id match.
//! - [`LayerTask::read`] returns a layer for merging before it is verified. The merge must be discarded if `wait` fails.
//! - Whatever the disk cannot represent exactly is a fidelity note ([`Note`](msb_sidecar::Note)) or an error.
//! - Equal archives result in equal files, whatever the timing of threads and network.
//!
//! # Untrusted input
//! Every byte of the stream is untrusted; [`LayerLimits`] bounds what it can cause.

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
mod unpack;
mod writeback;

pub use error::{LayerError, LayerLimit, PartialBlobStep};
pub use format::UnsupportedFormat;
pub use ingest::ReadLayer;
pub use limits::LayerLimits;
pub use pipeline::{
    IngestedLayer, LayerFeed, LayerJob, LayerTask, PartialBlobIo, StageThreads, VerifyJob,
    VerifyTask,
};
pub use unpack::{FileUnpacker, UnpackError, UnpackedFile};
