//! What became of the credentials of a request that was refused.

use std::fmt;

use crate::host::RegistryHost;

/// Which credentials a server received before it refused a request, and why it did not receive others.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum CredentialUse {
    /// No credentials were given for the host.
    NoneGiven,
    /// The server, or its token service, received the credentials that were given for it.
    Sent,
    /// Credentials were given, but the connection is plain HTTP, and the host is not named for it.
    WithheldFromPlainHttp {
        /// The host that would have to be named.
        host: RegistryHost,
    },
    /// Credentials were given without naming a host, and belong to the first registry that was asked.
    BoundToOtherHost {
        /// The registry that they belong to.
        bound_to: RegistryHost,
    },
    /// Credentials were given, but the server asked for none of their kind.
    NotRequested,
}

impl fmt::Display for CredentialUse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoneGiven => f.write_str("no credentials were sent"),
            Self::Sent => f.write_str("the credentials were sent"),
            Self::WithheldFromPlainHttp { host } => write!(
                f,
                "the credentials were not sent, because {host} is not named for plain HTTP"
            ),
            Self::BoundToOtherHost { bound_to } => {
                write!(
                    f,
                    "no credentials were sent, those given are for {bound_to}"
                )
            }
            Self::NotRequested => f.write_str(
                "the credentials were not sent, because the server did not ask for them",
            ),
        }
    }
}
