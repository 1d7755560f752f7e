//! Why a connection failed, as one cause.

use std::error::Error as StdError;
use std::io;

use msb_oci::Excerpt;
use rustls::CertificateError;

/// The cause of a failed connection or a broken body: the innermost error of the HTTP library's chain.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TransportFault {
    /// The host's name cannot be resolved.
    #[error("the host name cannot be resolved: {message}")]
    #[non_exhaustive]
    Name {
        /// The resolver's message.
        message: Excerpt,
        /// Whether the resolver itself did not answer, rather than that there is no such name.
        is_temporary: bool,
    },
    /// Nothing listens at the address.
    #[error("connection refused")]
    Refused,
    /// No trusted authority has signed the server's certificate.
    #[error("the server's certificate is signed by an unknown authority")]
    UnknownAuthority,
    /// The server's certificate is not valid for another reason.
    #[error("the server's certificate is not valid: {message}")]
    #[non_exhaustive]
    Certificate {
        /// The reason.
        message: Excerpt,
    },
    /// The server does not speak TLS.
    #[error("the server does not speak TLS")]
    NotTls,
    /// The TLS handshake failed.
    #[error("TLS: {message}")]
    #[non_exhaustive]
    Tls {
        /// The reason.
        message: Excerpt,
    },
    /// The connection took too long.
    #[error("the connection timed out")]
    TimedOut,
    /// The operating system reported an error.
    #[error("{message}")]
    #[non_exhaustive]
    Io {
        /// Its kind.
        kind: io::ErrorKind,
        /// Its message.
        message: Excerpt,
    },
    /// Anything else, such as a response that is not HTTP.
    #[error("{message}")]
    #[non_exhaustive]
    Other {
        /// The HTTP library's message.
        message: Excerpt,
    },
}

impl TransportFault {
    pub(crate) fn new(error: &reqwest::Error) -> Self {
        let innermost = causes(error).last().map(ToString::to_string);
        let message = Excerpt::new(&innermost.unwrap_or_default());
        if causes(error).any(|cause| cause.to_string().starts_with("dns error")) {
            // The texts of glibc and musl; the number behind them is not handed out.
            let text = message.as_str();
            let is_temporary = text.contains("emporary failure") || text.contains("ry again");
            return Self::Name {
                message,
                is_temporary,
            };
        }
        if let Some(error) = find::<rustls::Error>(error) {
            return Self::of_tls(error);
        }
        if let Some(error) = find::<io::Error>(error) {
            return match error.kind() {
                io::ErrorKind::ConnectionRefused => Self::Refused,
                io::ErrorKind::TimedOut => Self::TimedOut,
                kind => Self::Io { kind, message },
            };
        }
        if error.is_timeout() {
            return Self::TimedOut;
        }
        Self::Other { message }
    }

    fn of_tls(error: &rustls::Error) -> Self {
        let message = Excerpt::new(&error.to_string());
        match error {
            rustls::Error::InvalidMessage(_) => Self::NotTls,
            rustls::Error::InvalidCertificate(
                CertificateError::UnknownIssuer | CertificateError::Other(_),
            ) => Self::UnknownAuthority,
            rustls::Error::InvalidCertificate(_) => Self::Certificate { message },
            _ => Self::Tls { message },
        }
    }

    /// Returns whether another attempt may succeed.
    pub(crate) fn is_temporary(&self) -> bool {
        !matches!(
            self,
            Self::Name {
                is_temporary: false,
                ..
            } | Self::UnknownAuthority
                | Self::Certificate { .. }
        )
    }

    /// Returns whether a connection through a proxy may have failed at the proxy. What a TLS handshake reports is of the server behind it.
    pub(crate) fn may_be_of_proxy(&self) -> bool {
        matches!(
            self,
            Self::Name { .. }
                | Self::Refused
                | Self::TimedOut
                | Self::Io { .. }
                | Self::Other { .. }
        )
    }

    /// Returns whether the peer of a failed connection seems to speak no TLS: it sent something else, hung up, or sent nothing.
    /// Only asked for loopback, where a connection itself never times out, but a handshake may.
    pub(crate) fn may_lack_tls(&self) -> bool {
        match self {
            Self::NotTls | Self::TimedOut => true,
            Self::Io { kind, .. } => matches!(
                kind,
                io::ErrorKind::UnexpectedEof
                    | io::ErrorKind::ConnectionReset
                    | io::ErrorKind::BrokenPipe
            ),
            _ => false,
        }
    }
}

fn find<E: StdError + 'static>(error: &reqwest::Error) -> Option<&E> {
    causes(error)
        .filter_map(|cause| cause.downcast_ref::<E>())
        .last()
}

/// Returns `error` and all its causes. `io::Error` hides the error that it wraps from `source`, so that is looked into as well.
fn causes<'a>(error: &'a reqwest::Error) -> impl Iterator<Item = &'a (dyn StdError + 'static)> {
    let first: &'a (dyn StdError + 'static) = error;
    std::iter::successors(Some(first), |&cause| {
        match cause
            .downcast_ref::<io::Error>()
            .and_then(io::Error::get_ref)
        {
            Some(inner) => Some(inner as &(dyn StdError + 'static)),
            None => cause.source(),
        }
    })
}
