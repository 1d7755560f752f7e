//! Details of errors.

use std::fmt;

use msb_oci::Excerpt;

use crate::redact::RedactedUrl;

/// What a request was waiting for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Wait {
    /// The header of the response.
    FirstByte,
    /// The next piece of a body.
    Stall,
    /// The end of a small body.
    Document,
}

impl fmt::Display for Wait {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::FirstByte => "the server did not answer",
            Self::Stall => "the server stopped sending",
            Self::Document => "the server did not finish its response",
        })
    }
}

/// Why a document is not a manifest.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ManifestProblem {
    /// A member comes twice, in whatever case.
    Malformed {
        /// What the decoder reports.
        reason: Excerpt,
    },
    /// It has the fields of an index and of an image manifest at once, or its media type is that of the other kind.
    Ambiguous,
    /// It is a Docker schema 1 manifest, which has no content addresses to rely on.
    Schema1,
    /// It has the fields of neither.
    Unknown,
}

impl fmt::Display for ManifestProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Malformed { reason } => return write!(f, "the response is malformed: {reason}"),
            Self::Ambiguous => "the response is an index and an image manifest at once",
            Self::Schema1 => "the response is a Docker schema 1 manifest, which is not supported",
            Self::Unknown => "the response is neither an image manifest nor an index",
        })
    }
}

/// Why a redirect is not followed.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum RedirectProblem {
    /// It has no `Location` that is a URL.
    NoLocation,
    /// The limit is exceeded.
    TooMany {
        /// The number of redirects that are followed.
        limit: u32,
    },
    /// It leads to a scheme other than http and https.
    Scheme {
        /// The target.
        to: RedactedUrl,
    },
    /// It leads to plain HTTP, from HTTPS or to a host that is not named for it.
    PlainHttp {
        /// The target.
        to: RedactedUrl,
    },
    /// It leads to a loopback, link-local or private address that is not the registry's own and was not named.
    PrivateAddress {
        /// The target.
        to: RedactedUrl,
    },
    /// It would send the request's body to another origin, or drop it.
    Body {
        /// The target.
        to: RedactedUrl,
    },
}

impl fmt::Display for RedirectProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoLocation => f.write_str("has no location"),
            Self::TooMany { limit } => write!(f, "exceeds the limit of {limit}"),
            Self::Scheme { to } => write!(f, "leads to {to}, which is not HTTPS"),
            Self::PlainHttp { to } => write!(f, "leads to plain HTTP at {to}"),
            Self::PrivateAddress { to } => {
                write!(f, "leads to a private address that was not named, {to}")
            }
            Self::Body { to } => write!(f, "of a request with a body leads to {to}"),
        }
    }
}

/// Why a token service is not used, or its response is not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum TokenProblem {
    /// Its address is not a URL.
    NotAUrl,
    /// It is plain HTTP, while the registry is not, or at a host that is not named for it.
    PlainHttp,
    /// It is at a loopback, link-local or private address that is not the registry's own and was not named.
    PrivateAddress,
    /// Its response is not the specified JSON.
    Response,
    /// Its response holds no token.
    Missing,
    /// The token holds characters that a header cannot have.
    Characters,
}

impl fmt::Display for TokenProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotAUrl => "is not a URL",
            Self::PlainHttp => "is plain HTTP, which is not allowed here",
            Self::PrivateAddress => "is at a private address that was not named",
            Self::Response => "did not answer with JSON",
            Self::Missing => "answered without a token",
            Self::Characters => "answered with a token that cannot be sent",
        })
    }
}
