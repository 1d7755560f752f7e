//! The forms of a credential.

use std::fmt;
use std::path::PathBuf;

use msb_oci::Excerpt;

use crate::Secret;

/// What authenticates a user at one registry. `Debug` prints the form alone.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Credential {
    /// A user and a password or personal access token, for HTTP Basic authentication and for token services.
    Basic {
        /// The name of the user, without a colon; may be empty.
        username: String,
        /// The password.
        password: Secret,
    },
    /// A refresh token for the registry's token service (`identitytoken`), for the OAuth2 flow of the token specification.
    IdentityToken {
        /// The token.
        token: Secret,
    },
    /// A bearer token for the registry itself (`registrytoken`), sent unchanged.
    Bearer {
        /// The token.
        token: Secret,
    },
}

impl Credential {
    /// Creates a credential from a user name and a password.
    #[must_use]
    pub fn basic(username: impl Into<String>, password: impl Into<Secret>) -> Self {
        Self::Basic {
            username: username.into(),
            password: password.into(),
        }
    }

    /// Creates a credential from a refresh token.
    #[must_use]
    pub fn identity_token(token: impl Into<Secret>) -> Self {
        Self::IdentityToken {
            token: token.into(),
        }
    }

    /// Creates a credential from a bearer token.
    #[must_use]
    pub fn bearer(token: impl Into<Secret>) -> Self {
        Self::Bearer {
            token: token.into(),
        }
    }
}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Basic { .. } => "Basic { .. }",
            Self::IdentityToken { .. } => "IdentityToken { .. }",
            Self::Bearer { .. } => "Bearer { .. }",
        })
    }
}

/// A credential and where it was found.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Found {
    /// The credential.
    pub credential: Credential,
    /// The entry or helper that it came from.
    pub origin: Origin,
}

/// A place that holds credentials. `Display` names it without any secret.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Origin {
    /// An entry of a file.
    File {
        /// The file.
        path: PathBuf,
        /// The key of the entry.
        key: Excerpt,
    },
    /// A helper program that a file names.
    Helper {
        /// The name of the program, such as `docker-credential-pass`.
        program: Excerpt,
        /// The file that names the helper.
        path: PathBuf,
        /// The server URL that the helper was asked for.
        key: Excerpt,
    },
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File { path, key } => write!(f, "{}, entry {key}", path.display()),
            Self::Helper { program, path, key } => {
                write!(
                    f,
                    "{program}, entry {key} (configured in {})",
                    path.display()
                )
            }
        }
    }
}
