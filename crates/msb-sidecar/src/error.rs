use std::{fmt, io};

/// Reports why a sidecar cannot be written or read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Writing failed.
    #[error("writing the layer's sidecar at byte {offset}")]
    Write {
        /// The offset in the file.
        offset: u64,
        /// The cause.
        source: io::Error,
    },
    /// Reading failed.
    #[error("reading the layer's sidecar at byte {offset}")]
    Read {
        /// The offset in the file.
        offset: u64,
        /// The cause.
        source: io::Error,
    },
    /// The file is not a sidecar, or is truncated.
    #[error("the layer's sidecar of {bytes} bytes has no valid trailer")]
    NoTrailer {
        /// The file's length.
        bytes: u64,
    },
    /// The file has another version.
    #[error("the layer's sidecar has version {actual}; this program reads {expected}")]
    Version {
        /// The file's version.
        actual: u32,
        /// The version of this program.
        expected: u32,
    },
    /// A section has another checksum than the trailer states.
    #[error(
        "checksum mismatch in the {section} of the layer's sidecar: expected {expected:08x}, found {actual:08x}"
    )]
    Checksum {
        /// The section.
        section: Section,
        /// The checksum in the trailer.
        expected: u32,
        /// The checksum of the bytes.
        actual: u32,
    },
    /// A section holds something that the writer does not write, or exceeds a limit.
    #[error("the {section} of the layer's sidecar are malformed at byte {offset}")]
    Malformed {
        /// The section.
        section: Section,
        /// The offset in the file.
        offset: u64,
    },
    /// A record or the notes exceed what a reader accepts.
    #[error(
        "the {section} of the layer's sidecar: an item of {actual} bytes, the limit is {limit}"
    )]
    Limit {
        /// The section.
        section: Section,
        /// The length of the item, in bytes.
        actual: u64,
        /// The largest permitted length, in bytes.
        limit: u64,
    },
    /// The notes cannot be encoded as JSON.
    #[error("encoding the notes of the layer's sidecar")]
    Notes {
        /// The cause.
        source: serde_json::Error,
    },
}

impl Error {
    /// Returns whether the file is damaged, so that the layer has to be rebuilt.
    #[must_use]
    pub fn is_corrupt(&self) -> bool {
        matches!(
            self,
            Self::NoTrailer { .. }
                | Self::Version { .. }
                | Self::Checksum { .. }
                | Self::Malformed { .. }
        )
    }
}

/// A section of the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Section {
    /// The changes.
    Records,
    /// The paths that the layer hides.
    Whiteouts,
    /// The fidelity notes.
    Notes,
}

impl fmt::Display for Section {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Records => "records",
            Self::Whiteouts => "whiteouts",
            Self::Notes => "notes",
        })
    }
}
