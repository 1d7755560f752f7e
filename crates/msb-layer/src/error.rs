use std::fmt;
use std::io;

use fs_tree::{ApplyError, show_path};
use msb_budget::BudgetError;
use msb_oci::Digest;

use crate::UnsupportedFormat;
use crate::decode::DecodeError;
use crate::tar::TarError;
use crate::tar::path::PathError;

/// Why a layer cannot be converted to an image. The caller adds the layer's name.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LayerError {
    /// The blob is longer than the size in its descriptor.
    #[error("the blob has more than the {expected} bytes of its descriptor")]
    BlobTooLong {
        /// The descriptor's size.
        expected: u64,
    },
    /// The blob is shorter than the size in its descriptor.
    #[error("blob size mismatch: expected {expected} bytes, found {actual}")]
    BlobTooShort {
        /// The descriptor's size.
        expected: u64,
        /// The number of bytes received.
        actual: u64,
    },
    /// The blob does not have the digest in the manifest.
    #[error("blob digest mismatch: expected {expected}, found {actual}")]
    BlobDigest {
        /// The digest in the manifest.
        expected: Digest,
        /// The digest of the received bytes.
        actual: Digest,
    },
    /// The uncompressed archive does not have the diff_id in the config.
    #[error("diff_id mismatch: expected {expected}, found {actual}")]
    DiffId {
        /// The diff_id in the config.
        expected: Digest,
        /// The digest of the uncompressed bytes.
        actual: Digest,
    },
    /// The blob cannot be decompressed.
    #[error("decompressing the blob")]
    Decode {
        /// The cause.
        source: DecodeError,
    },
    /// The layer is in a format that is not supported.
    #[error("{}", unsupported(media_type, *format))]
    Format {
        /// The media type in the manifest, unescaped.
        media_type: String,
        /// The format, if it was recognized.
        format: Option<UnsupportedFormat>,
    },
    /// The archive cannot be read.
    #[error("reading the layer's archive")]
    Tar {
        /// The cause.
        source: TarError,
    },
    /// An entry's path, or its link's target, cannot be used.
    #[error("tar entry {} at byte {offset}", show_path(entry))]
    Path {
        /// The entry's name in the archive.
        entry: Vec<u8>,
        /// Where its header starts, in bytes of the archive.
        offset: u64,
        /// The cause.
        source: PathError,
    },
    /// The name begins with `.wh.` but names no path to hide.
    #[error(
        "tar entry {} at byte {offset}: not a valid whiteout",
        show_path(entry)
    )]
    Whiteout {
        /// The entry's name in the archive.
        entry: Vec<u8>,
        /// Where its header starts, in bytes of the archive.
        offset: u64,
    },
    /// A symbolic link has an empty target.
    #[error(
        "tar entry {} at byte {offset}: symbolic link without a target",
        show_path(entry)
    )]
    NoTarget {
        /// The entry's name in the archive.
        entry: Vec<u8>,
        /// Where its header starts, in bytes of the archive.
        offset: u64,
    },
    /// An entry conflicts with the entries before it.
    #[error("applying the layer's entries")]
    Apply {
        /// The cause.
        source: ApplyError,
    },
    /// A limit was exceeded.
    #[error("{limit}: {actual}, more than the allowed {allowed}")]
    Limit {
        /// The exceeded limit.
        limit: LayerLimit,
        /// Its value.
        allowed: u64,
        /// The layer's value.
        actual: u64,
    },
    /// The layers of the image together exceed a limit.
    #[error("the image exceeds its budget")]
    Budget {
        /// The exceeded limit.
        source: BudgetError,
    },
    /// The layer image cannot be written.
    #[error("writing the layer image")]
    Image {
        /// The cause.
        source: erofs_writer::Error,
    },
    /// The layer image cannot be fsynced.
    #[error("syncing the layer image")]
    Sync {
        /// The cause.
        source: io::Error,
    },
    /// The sidecar cannot be written.
    #[error("writing the layer's sidecar")]
    Sidecar {
        /// The cause.
        source: msb_sidecar::Error,
    },
    /// The partial blob cannot be read or written.
    #[error("{step} the partial blob")]
    PartialBlob {
        /// The failed step.
        step: PartialBlobStep,
        /// The cause.
        source: io::Error,
    },
    /// A thread of the pipeline cannot be started.
    #[error("starting a thread")]
    Spawn {
        /// The cause.
        source: io::Error,
    },
    /// A thread of the pipeline panicked. The panic has been printed.
    #[error("a stage of the layer's pipeline panicked")]
    Panicked,
    /// The feed was dropped before [`finish`](crate::LayerFeed::finish): the pull was cancelled.
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
    /// Returns whether the bytes do not match a recorded size or digest.
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

    /// Returns whether a resumed download may have failed because of its partial blob. That is true for every error of the bytes,
    /// which are not verified before the end, and false for faults of this machine and for a cancelled pull.
    #[must_use]
    pub fn may_stem_from_partial_blob(&self) -> bool {
        let is_ours = matches!(
            self,
            Self::Cancelled | Self::Panicked | Self::Spawn { .. } | Self::Budget { .. }
        );
        matches!(self, Self::PartialBlob { .. }) || !(is_ours || self.write_error().is_some())
    }

    /// Returns the system's error if writing failed, so that a full disk can be recognized.
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
            | Self::PartialBlob {
                step: PartialBlobStep::Write,
                source,
            } => Some(source),
            _ => None,
        }
    }
}

/// Describes a layer in an unsupported format. Escapes the media type, which is untrusted.
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

/// A step of working with a partial blob.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PartialBlobStep {
    /// Reading its bytes.
    Read,
    /// Appending to it.
    Write,
}

impl fmt::Display for PartialBlobStep {
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
    /// [`crate::LayerLimits::uncompressed_bytes`]
    UncompressedBytes,
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
            Self::UncompressedBytes => "uncompressed bytes of the layer",
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
    fn errors_of_unverified_bytes_may_stem_from_the_partial_blob_and_faults_of_this_machine_do_not()
    {
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
            assert!(error.may_stem_from_partial_blob(), "{error}");
        }
        let source = || io::Error::from(io::ErrorKind::StorageFull);
        for error in [
            LayerError::Cancelled,
            LayerError::Panicked,
            LayerError::Spawn { source: source() },
            LayerError::Sync { source: source() },
        ] {
            assert!(!error.may_stem_from_partial_blob(), "{error}");
        }
    }
}
