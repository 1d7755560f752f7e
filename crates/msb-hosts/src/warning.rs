//! Parts of a file that have no effect.

use std::fmt;
use std::path::PathBuf;

use msb_oci::Excerpt;

/// Something in a file that has no effect. `Display` names file and line.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Warning {
    /// The file.
    pub path: PathBuf,
    /// The line, from 1.
    pub line: usize,
    /// What it is.
    pub kind: WarningKind,
}

/// What has no effect.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum WarningKind {
    /// A key that is not known.
    #[error("unknown key {key}")]
    UnknownKey {
        /// The key.
        key: Excerpt,
    },
    /// A capability that is not known.
    #[error("unknown capability {name}")]
    UnknownCapability {
        /// Its name.
        name: Excerpt,
    },
    /// A user, query or fragment in a URL.
    #[error("user, query and fragment of a URL have no effect")]
    UrlPart,
    /// A key that counts only together with `server`.
    #[error("{key} has no effect without server")]
    NeedsServer {
        /// The key.
        key: Excerpt,
    },
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.path.display(), self.line, self.kind)
    }
}
