use std::{
    io,
    path::{Path, PathBuf},
};

/// Why a measuring program could not do its work.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BenchError {
    /// The operating system refused `step` on `path`.
    #[error("cannot {step} {}", path.display())]
    Io {
        /// What was tried, as a verb.
        step: &'static str,
        /// The file or folder it was tried on.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
    /// The connection to the registry failed.
    #[error("cannot get {url}")]
    Http {
        /// The address.
        url: String,
        /// The system's answer.
        source: io::Error,
    },
    /// The registry answered something else than a body of known length.
    #[error("{url}: {status}")]
    Status {
        /// The address.
        url: String,
        /// The status line, or what is missing.
        status: String,
    },
    /// A manifest or config lacks something.
    #[error("the {what} is not what an image of one platform has")]
    Document {
        /// Which document.
        what: &'static str,
    },
    /// A blob is longer or shorter than the manifest says.
    #[error("{digest} has {actual} bytes, not {expected}")]
    Length {
        /// The blob.
        digest: String,
        /// What the manifest says, in bytes.
        expected: u64,
        /// What came, in bytes.
        actual: u64,
    },
    /// Bytes are not those that were promised.
    #[error("the digest is {actual}, not {expected}")]
    Digest {
        /// What was promised.
        expected: String,
        /// What came.
        actual: String,
    },
    /// ISA-L is not installed, or is another one than this program knows.
    #[error("ISA-L cannot be used (Debian package libisal2): {reason}")]
    Isal {
        /// What the loader says.
        reason: String,
    },
    /// Compressed bytes are malformed.
    #[error("a compressed stream is malformed")]
    Inflate,
    /// A thread or task that is waited for has stopped, and has said why.
    #[error("another thread has stopped")]
    Stopped,
    /// The timed pull failed.
    #[error("the pull failed")]
    Pull {
        /// Why.
        #[source]
        source: Box<microsandbox_image::PullError>,
    },
    /// The timed pull has no event loop.
    #[error("cannot start an event loop")]
    EventLoop {
        /// The system's answer.
        source: io::Error,
    },
    /// The timed pull left no trace of one of its parts.
    #[error("the pull told nothing of {what}")]
    Untold {
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
