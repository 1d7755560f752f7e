//! What can go wrong.

use std::io;

/// Reports why a file was not encoded.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EncodeError {
    /// The file cannot be read.
    #[error("reading {bytes} bytes from byte {offset}")]
    Read {
        /// Where the bytes begin.
        offset: u64,
        /// The number of bytes.
        bytes: u64,
        /// The cause.
        source: io::Error,
    },
    /// zstd failed, for lack of memory.
    #[error("compressing the range at byte {offset}")]
    Compress {
        /// Where the range begins.
        offset: u64,
        /// The cause.
        source: io::Error,
    },
    /// The blob cannot be written.
    #[error("writing the blob after {offset} bytes")]
    Write {
        /// The bytes before the failure.
        offset: u64,
        /// The cause.
        source: io::Error,
    },
    /// The file is too long for a table.
    #[error("{bytes} bytes need a table that is longer than the limit")]
    TooLong {
        /// The length of the file.
        bytes: u64,
    },
}

/// Reports why a table or a range cannot be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// The blob cannot be read.
    #[error("reading {bytes} bytes of the blob from byte {offset}")]
    Read {
        /// Where the bytes begin.
        offset: u64,
        /// The number of bytes.
        bytes: u64,
        /// The cause.
        source: io::Error,
    },
    /// There is no table at the end of the blob, or it contradicts itself.
    #[error("the table of ranges is malformed: {reason}")]
    Table {
        /// What is wrong.
        reason: &'static str,
    },
    /// There is no such range.
    #[error("there is no range {index}, but only {count}")]
    NoRange {
        /// The range that was requested.
        index: usize,
        /// The number of ranges.
        count: usize,
    },
    /// The frame of a range has another digest than the table states.
    #[error("range {index}: digest mismatch: expected {expected}, found {actual}")]
    Digest {
        /// The range.
        index: usize,
        /// The digest in the table.
        expected: msb_oci::Digest,
        /// The digest of the frame.
        actual: msb_oci::Digest,
    },
    /// The frame of a range is not a zstd frame, or decompresses to another number of bytes.
    #[error("range {index}: the frame does not decompress to {expected} bytes")]
    Frame {
        /// The range.
        index: usize,
        /// The length of the range.
        expected: u64,
    },
}
