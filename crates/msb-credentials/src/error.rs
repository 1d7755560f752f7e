//! What goes wrong when credentials are read, stored or erased.

use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::time::Duration;

use msb_oci::Excerpt;

/// Why credentials were not read, stored or erased.
///
/// Messages are one line and name the file, entry or helper. They contain no user name, password or token.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The text is no host with an optional port.
    #[error("{name:?} is not the name of a registry")]
    Registry {
        /// The text.
        name: Excerpt,
    },
    /// A file cannot be opened or read.
    #[error("cannot read {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The cause.
        #[source]
        source: io::Error,
    },
    /// Something other than a regular file has the file's name.
    #[error("{} is a {found}, not a file of credentials", path.display())]
    NotAFile {
        /// The path.
        path: PathBuf,
        /// What is there.
        found: &'static str,
    },
    /// A file is larger than any real one.
    #[error("{} is larger than {limit_bytes} bytes", path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// The limit.
        limit_bytes: u64,
    },
    /// A file is not JSON.
    #[error("{}:{line}:{column}: not valid JSON: {reason}", path.display())]
    Json {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// The column, from 1.
        column: usize,
        /// What the parser expected.
        reason: Excerpt,
    },
    /// A file is JSON, but its outermost value is no object.
    #[error("{}:1:1: not a JSON object", path.display())]
    NotAnObject {
        /// The file.
        path: PathBuf,
    },
    /// The entry for the registry cannot be used.
    #[error("{}: entry {key}: {fault}", path.display())]
    Entry {
        /// The file.
        path: PathBuf,
        /// The key of the entry.
        key: Excerpt,
        /// What is wrong with it.
        fault: EntryFault,
    },
    /// A credential helper did not do its work.
    #[error("credential helper {program} cannot {action} the credentials for {key}")]
    Helper {
        /// The name of the program, such as `docker-credential-pass`.
        program: Excerpt,
        /// `get`, `store` or `erase`.
        action: &'static str,
        /// The server URL.
        key: Excerpt,
        /// What went wrong.
        #[source]
        fault: HelperFault,
    },
    /// A credential cannot be stored in this form.
    #[error("cannot store credentials for {registry}: {fault}")]
    Unstorable {
        /// The registry.
        registry: Excerpt,
        /// Why.
        fault: EntryFault,
    },
    /// There is no home directory and no variable that names a file.
    #[error("no place to store credentials: $HOME and $DOCKER_CONFIG are not set")]
    NoPlace,
    /// A file cannot be written.
    #[error("cannot write {}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// The cause.
        #[source]
        source: io::Error,
    },
    /// Another process keeps the file's directory locked.
    #[error("{} is being changed by another process", path.display())]
    Locked {
        /// The file.
        path: PathBuf,
    },
}

impl Error {
    /// Returns whether a credential helper failed.
    #[must_use]
    pub fn is_helper(&self) -> bool {
        matches!(self, Self::Helper { .. })
    }

    /// Returns whether the content of a file or the answer of a helper is malformed.
    #[must_use]
    pub fn is_corrupt(&self) -> bool {
        match self {
            Self::Json { .. }
            | Self::NotAnObject { .. }
            | Self::TooLarge { .. }
            | Self::Entry { .. } => true,
            Self::Helper { fault, .. } => {
                matches!(
                    fault,
                    HelperFault::Garbage | HelperFault::TooMuchOutput { .. }
                )
            }
            _ => false,
        }
    }

    /// Returns whether trying again may help.
    #[must_use]
    pub fn is_temporary(&self) -> bool {
        match self {
            Self::Locked { .. } => true,
            Self::Helper { fault, .. } => matches!(fault, HelperFault::TimedOut { .. }),
            _ => false,
        }
    }

    pub(crate) fn json(path: &Path, error: &serde_json::Error) -> Self {
        let text = error.to_string();
        // The position has fields of its own.
        let reason = text.split(" at line ").next().unwrap_or_default();
        Self::Json {
            path: path.to_owned(),
            line: error.line().max(1),
            column: error.column().max(1),
            reason: Excerpt::new(reason),
        }
    }
}

/// What is wrong with the content of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EntryFault {
    /// `auth` is not base64.
    #[error("\"auth\" is not base64")]
    Base64,
    /// The decoded `auth` is not UTF-8.
    #[error("\"auth\" does not decode to UTF-8")]
    Utf8,
    /// The decoded `auth` has no colon.
    #[error("\"auth\" does not decode to USER:PASSWORD")]
    NoColon,
    /// HTTP Basic authentication cannot carry the user name.
    #[error("the user name contains a colon")]
    ColonInUsername,
    /// The password or the token is empty.
    #[error("the password or token is empty")]
    Empty,
    /// The protocol of helpers has no field for a bearer token.
    #[error("a credential helper cannot store a bearer token")]
    BearerInHelper,
}

/// What went wrong with a credential helper.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HelperFault {
    /// The configured name contains a path separator or a control character.
    #[error("not the name of a helper")]
    Name,
    /// No directory of the search path contains the program.
    #[error("not found in $PATH")]
    Missing,
    /// The program cannot be started.
    #[error("cannot be started")]
    Start {
        /// The cause.
        #[source]
        source: io::Error,
    },
    /// Reading or writing the program's pipes failed.
    #[error("communication failed")]
    Pipe {
        /// The cause.
        #[source]
        source: io::Error,
    },
    /// The program did not end within the timeout and was killed.
    #[error("no answer within {} s", timeout.as_secs_f64())]
    TimedOut {
        /// The timeout.
        timeout: Duration,
    },
    /// The program wrote more than an answer can have and was killed.
    #[error("wrote more than {limit_bytes} bytes")]
    TooMuchOutput {
        /// The limit.
        limit_bytes: usize,
    },
    /// The program reported an error.
    #[error("{status}{}", Reported(message))]
    Failed {
        /// How it ended.
        status: ExitStatus,
        /// The first line of its message; empty if there is none or if it could hold a secret.
        message: Excerpt,
    },
    /// The answer is not the JSON object of the helper protocol.
    #[error("the answer is not a JSON object with ServerURL, Username and Secret")]
    Garbage,
    /// The user name that the helper returned cannot be used.
    #[error("the user name contains a colon")]
    ColonInUsername,
}

/// `: MESSAGE`, or nothing.
struct Reported<'a>(&'a Excerpt);

impl std::fmt::Display for Reported<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.0.is_empty() {
            Ok(())
        } else {
            write!(f, ": {}", self.0)
        }
    }
}
