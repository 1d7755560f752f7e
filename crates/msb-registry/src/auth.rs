//! Who we are to a registry.

use std::fmt;

/// The credentials for a registry.
///
/// They are sent to the registry that a reference names, over TLS (or over HTTP where
/// [`plain_http`](crate::ClientBuilder::plain_http) names it), and, for `Basic`, to the token service that it points at. Never shown by
/// `Debug`.
#[derive(Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum RegistryAuth {
    /// None; registries that hand out anonymous tokens are still asked for one.
    #[default]
    Anonymous,
    /// A user and a password, or a personal access token in its place.
    Basic {
        /// The user's name; must not hold a colon.
        username: String,
        /// The password.
        password: String,
    },
    /// A bearer token, sent as it is.
    Bearer {
        /// The token.
        token: String,
    },
}

impl RegistryAuth {
    /// Whether there is nothing to send.
    #[must_use]
    pub fn is_anonymous(&self) -> bool {
        matches!(self, Self::Anonymous)
    }
}

impl fmt::Debug for RegistryAuth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Anonymous => "Anonymous",
            Self::Basic { .. } => "Basic { .. }",
            Self::Bearer { .. } => "Bearer { .. }",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_shows_no_secret() {
        let basic = RegistryAuth::Basic {
            username: "alice".into(),
            password: "hunter2".into(),
        };
        let bearer = RegistryAuth::Bearer {
            token: "hunter2".into(),
        };
        assert!(!format!("{basic:?}{bearer:?}").contains("hunter2"));
    }
}
