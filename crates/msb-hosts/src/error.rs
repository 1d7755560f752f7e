//! Why the hosts of a registry are not known.

use std::io;
use std::path::PathBuf;

use msb_oci::Excerpt;

/// Why the hosts of a registry are not known. Messages are one line and contain no value of a header.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The text is no host with an optional port.
    #[error("{name:?} is not the name of a registry")]
    Registry {
        /// The text.
        name: Excerpt,
    },
    /// A file or directory cannot be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// The path.
        path: PathBuf,
        /// The cause.
        #[source]
        source: io::Error,
    },
    /// Something other than a regular file has the file's name.
    #[error("{} is not a regular file", path.display())]
    NotAFile {
        /// The path.
        path: PathBuf,
    },
    /// A file is larger than any real one.
    #[error("{} is larger than {limit_bytes} bytes", path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// The limit.
        limit_bytes: u64,
    },
    /// A directory has more entries than any real one.
    #[error("{} has more than {limit} entries", path.display())]
    TooManyEntries {
        /// The directory.
        path: PathBuf,
        /// The limit.
        limit: usize,
    },
    /// A file is not TOML.
    #[error("{}:{line}:{column}: not valid TOML: {reason}", path.display())]
    Toml {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// The column in characters, from 1.
        column: usize,
        /// What the parser expected.
        reason: Excerpt,
    },
    /// A value is not what its key needs.
    #[error("{}:{line}:{column}: {key}: {fault}", path.display())]
    Value {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// The column in characters, from 1.
        column: usize,
        /// The key.
        key: Excerpt,
        /// What is wrong.
        fault: ValueFault,
    },
}

impl Error {
    /// Returns whether the content of a file is malformed.
    #[must_use]
    pub fn is_corrupt(&self) -> bool {
        matches!(
            self,
            Self::Toml { .. } | Self::Value { .. } | Self::TooLarge { .. }
        )
    }
}

/// What is wrong with a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ValueFault {
    /// It is of another type.
    #[error("not {expected}")]
    Type {
        /// What is expected.
        expected: &'static str,
    },
    /// A path is empty.
    #[error("an empty path")]
    EmptyPath,
    /// A URL cannot be parsed.
    #[error("not a URL of a host")]
    Url,
    /// A URL has a scheme other than `http` and `https`.
    #[error("the scheme is neither http nor https")]
    Scheme,
    /// A header's name is no token.
    #[error("not the name of an HTTP header")]
    HeaderName,
    /// A header's value contains a control character.
    #[error("a header's value contains a control character")]
    HeaderValue,
    /// A text is no duration.
    #[error("not a duration such as \"3s\" or \"1m30s\"")]
    Duration,
    /// There are more hosts than any client could try.
    #[error("more than {limit} hosts")]
    TooManyHosts {
        /// The limit.
        limit: usize,
    },
}
