use std::io;
use std::path::PathBuf;

use msb_oci::Reference;

use super::{ExportFormat, NewFileError, WriteError};
use crate::InspectError;

/// Reports why an image cannot be exported.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ExportError {
    /// The cached image cannot be read.
    #[error(transparent)]
    Inspect(#[from] InspectError),
    /// The output cannot be created, or get its name.
    #[error(transparent)]
    File(#[from] NewFileError),
    /// The output cannot be written.
    #[error("{}: writing to it after {offset} bytes", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// The number of bytes before the failure.
        offset: u64,
        /// The cause.
        source: io::Error,
    },
    /// The stream cannot be written.
    #[error("writing the export to a stream after {offset} bytes")]
    Stream {
        /// The number of bytes before the failure.
        offset: u64,
        /// The cause.
        source: io::Error,
    },
    /// The EROFS image cannot be written.
    #[error("{reference}: writing it as one EROFS image")]
    Erofs {
        /// The image.
        reference: Box<Reference>,
        /// The cause.
        source: erofs_writer::Error,
    },
    /// A file of the image has no form in the format.
    #[error("{reference}: {path}: the format {format} has no form for {problem}")]
    NotRepresentable {
        /// The image.
        reference: Box<Reference>,
        /// The path, escaped.
        path: String,
        /// The part that has no form.
        problem: &'static str,
        /// The format.
        format: ExportFormat,
    },
    /// The names of hard links take more memory than is used for them.
    #[error("{reference}: the names of its hard links have more than {limit} bytes")]
    LinkNames {
        /// The image.
        reference: Box<Reference>,
        /// The greatest number of bytes.
        limit: usize,
    },
    /// The format is not written from front to back.
    #[error("the format {format} cannot be written to a stream")]
    NoStream {
        /// The format.
        format: ExportFormat,
    },
}

impl ExportError {
    /// Returns whether the disk of the output, or the quota on it, is full.
    #[must_use]
    pub fn is_full(&self) -> bool {
        let source = match self {
            Self::File(error) => return error.is_full(),
            Self::Write { source, .. } | Self::Stream { source, .. } => source,
            Self::Erofs {
                source: erofs_writer::Error::Write { source, .. },
                ..
            } => source,
            _ => return false,
        };
        matches!(
            source.kind(),
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded
        )
    }

    /// Returns whether a file of the cache is damaged.
    #[must_use]
    pub fn is_corrupt(&self) -> bool {
        matches!(self, Self::Inspect(error) if error.is_corrupt())
    }
}

impl From<WriteError> for ExportError {
    fn from(error: WriteError) -> Self {
        match error {
            WriteError::File {
                path,
                offset,
                source,
            } => Self::Write {
                path,
                offset,
                source,
            },
            WriteError::Stream { offset, source } => Self::Stream { offset, source },
        }
    }
}
