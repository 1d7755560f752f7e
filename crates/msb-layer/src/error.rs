use std::fmt;
use std::io;

use fs_tree::{ApplyError, show_path};
use msb_budget::BudgetError;
use msb_oci::Digest;
use msb_sidecar::Note;

use crate::UnsupportedFormat;
use crate::decode::DecodeError;
use crate::tar::TarError;
use crate::tar::path::PathError;

/// Why a layer cannot be turned into an image. The layer itself is the caller's to name.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LayerError {
    /// The blob is longer than its descriptor says.
    #[error("the blob has more than the {expected} bytes that its descriptor says")]
    BlobTooLong {
        /// The descriptor's size.
        expected: u64,
    },
    /// The blob is shorter than its descriptor says.
    #[error("the blob has {actual} bytes; its descriptor says {expected}")]
    BlobTooShort {
        /// The descriptor's size.
        expected: u64,
        /// What came.
        actual: u64,
    },
    /// The blob's bytes are not those that the manifest names.
    #[error("the blob's digest is {actual}, not {expected}")]
    BlobDigest {
        /// The manifest's.
        expected: Digest,
        /// The bytes'.
        actual: Digest,
    },
    /// The unpacked archive is not the one that the config names.
    #[error("the unpacked layer's diff_id is {actual}, not {expected}")]
    DiffId {
        /// The config's.
        expected: Digest,
        /// The bytes'.
        actual: Digest,
    },
    /// The blob cannot be decompressed.
    #[error("decompressing the blob")]
    Decode {
        /// Why.
        source: DecodeError,
    },
    /// The layer is in a format that is not supported.
    #[error("{}", unsupported(media_type, *format))]
    Format {
        /// The media type that the manifest names, as it is.
        media_type: String,
        /// The format, where it is known.
        format: Option<UnsupportedFormat>,
    },
    /// The archive cannot be read.
    #[error("reading the layer's archive")]
    Tar {
        /// Why.
        source: TarError,
    },
    /// An entry's path, or its link's target, cannot be used.
    #[error("tar entry {} at byte {offset}", show_path(entry))]
    Path {
        /// The entry as the archive names it.
        entry: Vec<u8>,
        /// Where its header starts.
        offset: u64,
        /// Why.
        source: PathError,
    },
    /// A name that begins with `.wh.` and hides nothing that there could be.
    #[error(
        "tar entry {} at byte {offset}: not a valid whiteout",
        show_path(entry)
    )]
    Whiteout {
        /// The entry as the archive names it.
        entry: Vec<u8>,
        /// Where its header starts.
        offset: u64,
    },
    /// A symbolic link to nothing at all.
    #[error(
        "tar entry {} at byte {offset}: symbolic link without a target",
        show_path(entry)
    )]
    NoTarget {
        /// The entry as the archive names it.
        entry: Vec<u8>,
        /// Where its header starts.
        offset: u64,
    },
    /// An entry does not fit what came before it.
    #[error("applying the layer's entries")]
    Apply {
        /// Why.
        source: ApplyError,
    },
    /// A limit was exceeded.
    #[error("{limit}: {actual}, more than the allowed {allowed}")]
    Limit {
        /// Which.
        limit: LayerLimit,
        /// What it allows.
        allowed: u64,
        /// What there is.
        actual: u64,
    },
    /// The layers of the image together exceed a limit.
    #[error("the budget of the whole image is used up")]
    Budget {
        /// Which limit.
        source: BudgetError,
    },
    /// Something cannot be represented, and the caller wants that to be an error.
    #[error("not exact: {note}")]
    NotExact {
        /// What.
        note: Box<Note>,
    },
    /// The layer image cannot be written.
    #[error("writing the layer image")]
    Image {
        /// Why.
        source: erofs_writer::Error,
    },
    /// The layer image cannot be brought to stable storage.
    #[error("syncing the layer image")]
    Sync {
        /// Why.
        source: io::Error,
    },
    /// The sidecar cannot be written.
    #[error("writing the layer's sidecar")]
    Sidecar {
        /// Why.
        source: msb_sidecar::Error,
    },
    /// The file that keeps the blob for a later resume cannot be read or written.
    #[error("{step} the partial download")]
    Part {
        /// What was tried.
        step: PartStep,
        /// Why.
        source: io::Error,
    },
    /// The stages of the pipeline cannot be started.
    #[error("starting a thread")]
    Spawn {
        /// Why.
        source: io::Error,
    },
    /// A stage of the pipeline ended in a panic, which is a mistake of ours and has been printed.
    #[error("a stage of the layer's pipeline panicked")]
    Panicked,
    /// The download ended without saying that it was whole: the pull was given up.
    #[error("the pull was cancelled")]
    Cancelled,
}

impl From<BudgetError> for LayerError {
    fn from(source: BudgetError) -> Self {
        match source {
            BudgetError::Cancelled => Self::Cancelled,
            source => Self::Budget { source },
        }
    }
}

impl LayerError {
    /// Whether the bytes are not what their names promise.
    #[must_use]
    pub fn is_mismatch(&self) -> bool {
        matches!(
            self,
            Self::BlobTooLong { .. }
                | Self::BlobTooShort { .. }
                | Self::BlobDigest { .. }
                | Self::DiffId { .. }
        )
    }

    /// Whether a body that began with an earlier part may have gone wrong because of that part: whatever the bytes said, while
    /// nobody had verified them. What is left are faults of this machine, and the pull's own end.
    #[must_use]
    pub fn may_be_the_parts_fault(&self) -> bool {
        let is_ours = matches!(
            self,
            Self::Cancelled
                | Self::Panicked
                | Self::Spawn { .. }
                | Self::NotExact { .. }
                | Self::Budget { .. }
        );
        matches!(self, Self::Part { .. }) || !(is_ours || self.write_error().is_some())
    }

    /// The system's error where writing failed, to tell a full disk.
    #[must_use]
    pub fn write_error(&self) -> Option<&io::Error> {
        match self {
            Self::Sync { source }
            | Self::Image {
                source: erofs_writer::Error::Write { source, .. },
            }
            | Self::Sidecar {
                source: msb_sidecar::Error::Write { source, .. },
            }
            | Self::Part {
                step: PartStep::Write,
                source,
            } => Some(source),
            _ => None,
        }
    }
}

/// Describes a layer in an unsupported format. The media type is text from outside.
fn unsupported(media_type: &str, format: Option<UnsupportedFormat>) -> String {
    const MAX_SHOWN: usize = 255;
    let media_type = media_type.as_bytes();
    let media_type = show_path(&media_type[..media_type.len().min(MAX_SHOWN)]);
    let of_type = format_args!("the layer with the media type {media_type}").to_string();
    match format {
        Some(format) => format!("{of_type} has the format {format}, which is not supported"),
        None => format!(
            "{of_type} is not a tar archive, neither uncompressed nor compressed with gzip or zstd"
        ),
    }
}

/// What was done with a partial download.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PartStep {
    /// Reading what is there.
    Read,
    /// Adding to it.
    Write,
}

impl fmt::Display for PartStep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Read => "reading",
            Self::Write => "writing",
        })
    }
}

/// Names a limit of [`crate::LayerLimits`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum LayerLimit {
    /// [`crate::LayerLimits::entries`]
    Entries,
    /// [`crate::LayerLimits::metadata_bytes`]
    MetadataBytes,
    /// [`crate::LayerLimits::path_steps`]
    PathSteps,
    /// [`crate::LayerLimits::plain_bytes`]
    PlainBytes,
    /// [`crate::LayerLimits::file_bytes`]
    FileBytes,
    /// [`crate::LayerLimits::sparse_bytes`]
    SparseBytes,
    /// [`crate::LayerLimits::image_bytes`]
    ImageBytes,
}

impl fmt::Display for LayerLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Entries => "entries of the layer",
            Self::MetadataBytes => "bytes of the layer's paths, links and xattrs",
            Self::PathSteps => "path components walked for the layer",
            Self::PlainBytes => "uncompressed bytes of the layer",
            Self::FileBytes => "bytes of one file",
            Self::SparseBytes => "bytes that the layer's sparse files cost beyond their data",
            Self::ImageBytes => "bytes of the layer image",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_unverified_bytes_say_may_be_the_parts_fault_and_what_this_machine_does_is_not() {
        let entry = || b"a".to_vec();
        let offset = 0;
        for error in [
            LayerError::BlobTooLong { expected: 1 },
            LayerError::NoTarget {
                entry: entry(),
                offset,
            },
            LayerError::Whiteout {
                entry: entry(),
                offset,
            },
            LayerError::Apply {
                source: ApplyError::RootNotADirectory,
            },
            LayerError::Limit {
                limit: LayerLimit::Entries,
                allowed: 1,
                actual: 2,
            },
        ] {
            assert!(error.may_be_the_parts_fault(), "{error}");
        }
        let source = || io::Error::from(io::ErrorKind::StorageFull);
        for error in [
            LayerError::Cancelled,
            LayerError::Panicked,
            LayerError::Spawn { source: source() },
            LayerError::Sync { source: source() },
        ] {
            assert!(!error.may_be_the_parts_fault(), "{error}");
        }
    }
}
