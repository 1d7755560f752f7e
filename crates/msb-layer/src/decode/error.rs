use super::Compression;
use std::{fmt, io};

/// Why a push failed.
#[derive(Debug, thiserror::Error)]
pub enum PushError<E> {
    /// The compressed bytes are malformed or exceed a limit.
    #[error(transparent)]
    Decode(#[from] DecodeError),
    /// The output failed.
    #[error(transparent)]
    Output(E),
}

/// Why compressed bytes cannot be decoded. `offset` counts compressed bytes from the beginning of the stream.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// The stream ends inside a member or frame.
    #[error("{compression} stream ends after {offset} bytes, before its end")]
    Truncated {
        /// The codec.
        compression: Compression,
        /// The length of the stream.
        offset: u64,
    },
    /// The stream is malformed.
    #[error("{compression} stream is corrupt near byte {offset}: {fault}")]
    Corrupt {
        /// The codec.
        compression: Compression,
        /// Where the damage was detected.
        offset: u64,
        /// The kind of damage.
        fault: Corruption,
        /// The error of the codec.
        #[source]
        source: Option<io::Error>,
    },
    /// A gzip member's checksum does not match.
    #[error(
        "gzip member ending near byte {offset}: CRC-32 mismatch: expected {expected:08x}, found {actual:08x}"
    )]
    Checksum {
        /// Where the member ends.
        offset: u64,
        /// The checksum in the trailer.
        expected: u32,
        /// The checksum of the uncompressed bytes.
        actual: u32,
    },
    /// A gzip member's length does not match.
    #[error(
        "gzip member ending near byte {offset}: length mismatch modulo 2^32: expected {expected}, found {actual}"
    )]
    Length {
        /// Where the member ends.
        offset: u64,
        /// The length in the trailer.
        expected: u32,
        /// The uncompressed length, modulo 2^32.
        actual: u32,
    },
    /// The stream is followed by bytes that are neither a member, a frame nor zeros.
    #[error("{compression} stream is followed by other data at byte {offset}")]
    TrailingData {
        /// The codec.
        compression: Compression,
        /// Where they start.
        offset: u64,
    },
    /// The stream was cancelled while it waited for window memory.
    #[error("the stream was cancelled")]
    Cancelled,
    /// A zstd frame needs a larger window than is allowed.
    #[error(
        "zstd frame at byte {offset} needs a window of {required} bytes, more than the allowed {allowed}"
    )]
    WindowTooLarge {
        /// Where the frame starts.
        offset: u64,
        /// The frame's window in bytes.
        required: u64,
        /// The limit.
        allowed: u64,
    },
    /// The decoder was used again after an error.
    #[error("decoder was used again after an error")]
    Failed,
}

impl DecodeError {
    /// Returns whether the bytes are damaged, as opposed to exceeding a limit.
    #[must_use]
    pub fn is_corrupt(&self) -> bool {
        matches!(
            self,
            Self::Truncated { .. }
                | Self::Corrupt { .. }
                | Self::Checksum { .. }
                | Self::Length { .. }
                | Self::TrailingData { .. }
        )
    }
}

/// The kind of damage of a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Corruption {
    /// A gzip method other than deflate.
    Method,
    /// Reserved gzip flags are set.
    Flags,
    /// The gzip header's own checksum does not match.
    HeaderChecksum,
    /// The deflate data is malformed.
    Deflate,
    /// The zstd frame header is malformed.
    FrameHeader,
    /// The zstd frame is malformed, or its checksum does not match.
    Frame,
}

impl fmt::Display for Corruption {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Method => "unknown compression method",
            Self::Flags => "reserved flags are set",
            Self::HeaderChecksum => "header checksum mismatch",
            Self::Deflate => "deflate data is malformed",
            Self::FrameHeader => "frame header is malformed",
            Self::Frame => "frame cannot be decoded",
        })
    }
}
