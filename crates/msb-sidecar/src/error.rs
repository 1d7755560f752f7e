use std::{fmt, io};

/// Why a sidecar cannot be written or read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The output took no more.
    #[error("writing the layer's sidecar at byte {offset}")]
    Write {
        /// Where in the file.
        offset: u64,
        /// Why.
        source: io::Error,
    },
    /// The file cannot be read.
    #[error("reading the layer's sidecar at byte {offset}")]
    Read {
        /// Where in the file.
        offset: u64,
        /// Why.
        source: io::Error,
    },
    /// It is not a sidecar, or was cut off.
    #[error("the layer's sidecar of {bytes} bytes has no valid trailer")]
    NoTrailer {
        /// The file's length.
        bytes: u64,
    },
    /// It has another version.
    #[error("the layer's sidecar has version {actual}; this program reads {expected}")]
    Version {
        /// What it has.
        actual: u32,
        /// What is read here.
        expected: u32,
    },
    /// A section's sum is not what the trailer says.
    #[error("the sum of the {section} of the layer's sidecar is {actual:08x}, not {expected:08x}")]
    Checksum {
        /// Which.
        section: Section,
        /// The trailer's.
        expected: u32,
        /// The bytes'.
        actual: u32,
    },
    /// A section holds something that was never written.
    #[error("the {section} of the layer's sidecar are malformed at byte {offset}")]
    Malformed {
        /// Which.
        section: Section,
        /// Where in the file.
        offset: u64,
    },
    /// The notes cannot be made into JSON.
    #[error("encoding the notes of the layer's sidecar")]
    Notes {
        /// Why.
        source: serde_json::Error,
    },
}

impl Error {
    /// Whether the file is there and wrong, so that the layer has to be made again.
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

/// A part of the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Section {
    /// The changes.
    Records,
    /// What the layer hides.
    Whiteouts,
    /// What could not be represented.
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
