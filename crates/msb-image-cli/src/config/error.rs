use std::io;
use std::path::PathBuf;

use microsandbox_image::{escape, escape_path};

/// Why the configuration file cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConfigError {
    #[error("{}: reading the configuration", escape_path(path))]
    Read { path: PathBuf, source: io::Error },
    #[error("{}: the configuration is no regular file", escape_path(path))]
    NotAFile { path: PathBuf },
    #[error(
        "{}: the configuration is longer than {limit} bytes",
        escape_path(path)
    )]
    TooLong { path: PathBuf, limit: u64 },
    #[error("{}:{line}: {problem}", escape_path(path))]
    Line {
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        problem: ConfigProblem,
    },
}

impl ConfigError {
    /// Returns whether the user may not read the file.
    pub(crate) fn is_denied(&self) -> bool {
        matches!(self, Self::Read { source, .. } if source.kind() == io::ErrorKind::PermissionDenied)
    }
}

/// What is wrong with a line.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConfigProblem {
    #[error("not UTF-8")]
    NotUtf8,
    #[error("{}", escape(reason))]
    Syntax { reason: String },
    #[error("unknown key {}{}", escape(key), suggested(*suggestion))]
    UnknownKey {
        key: String,
        /// The known key that is most like it.
        suggestion: Option<&'static str>,
    },
    #[error("{key} is not {expected}")]
    Type {
        key: &'static str,
        expected: &'static str,
    },
}

fn suggested(key: Option<&'static str>) -> String {
    key.map(|key| format!("; did you mean {key}?"))
        .unwrap_or_default()
}
