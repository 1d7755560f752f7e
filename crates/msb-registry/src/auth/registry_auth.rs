//! The credentials for a registry.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use zeroize::{Zeroize as _, Zeroizing};

use crate::error::Error;

/// The user name that stands for an identity token where only a user and a password can be sent. Docker's credential helpers
/// use it too.
const IDENTITY_TOKEN_USER: &str = "<token>";

/// The credentials for a registry.
///
/// They are sent to the registry that they belong to, over TLS (or over HTTP where
/// [`plain_http`](crate::ClientBuilder::plain_http) names it), and to the token service that this registry points at. `Debug`
/// does not show them, and they are wiped from memory when they are dropped.
#[derive(Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum RegistryAuth {
    /// No credentials. A registry that hands out anonymous tokens is still asked for one.
    #[default]
    Anonymous,
    /// A user and a password, or a personal access token in its place.
    Basic {
        /// The user's name; must not hold a colon.
        username: String,
        /// The password. It may have several lines.
        password: String,
    },
    /// A bearer token, sent to the registry as it is.
    Bearer {
        /// The token.
        token: String,
    },
    /// A refresh token, which the registry's token service exchanges for a token for each repository (OAuth2).
    IdentityToken {
        /// The refresh token.
        token: String,
    },
}

impl RegistryAuth {
    /// Returns whether there is nothing to send.
    #[must_use]
    pub fn is_anonymous(&self) -> bool {
        matches!(self, Self::Anonymous)
    }

    /// Returns the secret itself.
    pub(super) fn secret(&self) -> Option<Zeroizing<String>> {
        match self {
            Self::Anonymous => None,
            Self::Basic { password, .. } => Some(Zeroizing::new(password.clone())),
            Self::Bearer { token } | Self::IdentityToken { token } => {
                Some(Zeroizing::new(token.clone()))
            }
        }
    }

    /// Returns user and password in base64, as Basic authentication sends them. `None` if there are none.
    pub(super) fn basic(&self) -> Result<Option<Zeroizing<String>>, Error> {
        let (username, password) = match self {
            Self::Anonymous | Self::Bearer { .. } => return Ok(None),
            // A colon would move the rest of the name into the password (RFC 7617).
            Self::Basic { username, .. } if username.contains(':') => {
                return Err(Error::Credentials);
            }
            Self::Basic { username, password } => (username.as_str(), password),
            Self::IdentityToken { token } => (IDENTITY_TOKEN_USER, token),
        };
        let pair = Zeroizing::new(format!("{username}:{password}"));
        Ok(Some(Zeroizing::new(STANDARD.encode(pair.as_bytes()))))
    }
}

impl Drop for RegistryAuth {
    fn drop(&mut self) {
        match self {
            Self::Anonymous => {}
            Self::Basic { username, password } => {
                username.zeroize();
                password.zeroize();
            }
            Self::Bearer { token } | Self::IdentityToken { token } => token.zeroize(),
        }
    }
}

impl fmt::Debug for RegistryAuth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Anonymous => "Anonymous",
            Self::Basic { .. } => "Basic { .. }",
            Self::Bearer { .. } => "Bearer { .. }",
            Self::IdentityToken { .. } => "IdentityToken { .. }",
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
        let identity = RegistryAuth::IdentityToken {
            token: "hunter2".into(),
        };
        assert!(!format!("{basic:?}{bearer:?}{identity:?}").contains("hunter2"));
    }

    #[test]
    fn a_user_name_with_a_colon_is_refused() {
        let basic = |username: &str| RegistryAuth::Basic {
            username: username.into(),
            password: "two\nlines".into(),
        };
        assert!(basic("a:b").basic().is_err());
        let encoded = basic("a").basic().unwrap().unwrap();
        assert_eq!(
            STANDARD.decode(encoded.as_bytes()).unwrap(),
            b"a:two\nlines"
        );
    }
}
