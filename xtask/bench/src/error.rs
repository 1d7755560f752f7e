use std::{
    io,
    path::{Path, PathBuf},
};

/// An error of a measuring program.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BenchError {
    /// An operation of the operating system failed.
    #[error("cannot {step} {}", path.display())]
    Io {
        /// The operation, as a verb.
        step: &'static str,
        /// The file or directory.
        path: PathBuf,
        /// The failure.
        source: io::Error,
    },
    /// The connection to the registry failed.
    #[error("cannot get {url}")]
    Http {
        /// The URL.
        url: String,
        /// The failure.
        source: io::Error,
    },
    /// The response of the registry is not a body of known length.
    #[error("{url}: {status}")]
    Status {
        /// The URL.
        url: String,
        /// The status line, or the missing header.
        status: String,
    },
    /// A manifest or config lacks a field.
    #[error("the {what} is not that of an image of one platform")]
    Document {
        /// The document.
        what: &'static str,
    },
    /// The length of a blob differs from that in the manifest.
    #[error("{digest} has {actual} bytes, expected {expected}")]
    Length {
        /// The digest of the blob.
        digest: String,
        /// The length in the manifest, in bytes.
        expected: u64,
        /// The length received, in bytes.
        actual: u64,
    },
    /// A digest does not match.
    #[error("digest mismatch: expected {expected}, found {actual}")]
    Digest {
        /// The expected digest.
        expected: String,
        /// The actual digest.
        actual: String,
    },
    /// ISA-L is not installed, or has an unknown version.
    #[error("ISA-L cannot be used (Debian package libisal2): {reason}")]
    Isal {
        /// The error of the loader.
        reason: String,
    },
    /// Compressed bytes are malformed.
    #[error("a compressed stream is malformed")]
    Inflate,
    /// Another thread or task stopped and reported the error.
    #[error("another thread or task stopped")]
    Stopped,
    /// The timed pull failed.
    #[error("the pull failed")]
    Pull {
        /// The failure.
        #[source]
        source: Box<microsandbox_image::PullError>,
    },
    /// The runtime for the timed pull could not be created.
    #[error("cannot start an event loop")]
    EventLoop {
        /// The failure.
        source: io::Error,
    },
    /// The timed pull emitted no event for one of its parts.
    #[error("the pull emitted no event for {what}")]
    MissingEvent {
        /// The part.
        what: &'static str,
    },
}

impl BenchError {
    pub(crate) fn io(
        step: &'static str,
        path: impl AsRef<Path>,
    ) -> impl FnOnce(io::Error) -> BenchError {
        let path = path.as_ref().to_owned();
        move |source| BenchError::Io { step, path, source }
    }

    pub(crate) fn http(url: &str, source: io::Error) -> BenchError {
        BenchError::Http {
            url: url.to_owned(),
            source,
        }
    }
}
