//! Everything that can go wrong between us and a registry.

use std::fmt;
use std::time::Duration;

use msb_oci::{Digest, Excerpt};

use crate::shown::{At, Said, ShownUrl};

/// A failed request, or a client that cannot be built.
///
/// Messages are one line, name the object, the step and the URL without its query, and hold no secret and nothing unprintable.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A CA certificate that was given is none.
    #[error("CA certificate {position} is not a list of PEM certificates")]
    CaCertificate {
        /// Which of those given, from 0.
        position: usize,
    },
    /// A host that was given for plain HTTP is none.
    #[error("`{input}` is not of the form HOST or HOST:PORT")]
    PlainHttpHost {
        /// What was given.
        input: Excerpt,
    },
    /// The credentials cannot be put into a header.
    #[error("the registry credentials hold characters that cannot be sent")]
    Credentials,
    /// TLS cannot be set up; on Linux, most often because no CA certificates are installed.
    #[error("TLS cannot be set up with this system's CA certificates")]
    TlsSetup {
        /// What the TLS library says.
        #[source]
        source: rustls::Error,
    },
    /// The HTTP client cannot be set up.
    #[error("the HTTP client cannot be set up")]
    HttpSetup {
        /// What the HTTP library says.
        #[source]
        source: reqwest::Error,
    },
    /// The registry's name makes no URL.
    #[error("registry `{registry}` makes no URL")]
    RegistryUrl {
        /// The registry.
        registry: Excerpt,
    },
    /// No connection.
    #[error("{at}: cannot connect")]
    Connect {
        /// What was being fetched.
        at: At,
        /// What the HTTP library says.
        #[source]
        source: reqwest::Error,
    },
    /// The connection broke before an answer came, or the answer is not HTTP.
    #[error("{at}: no answer")]
    Request {
        /// What was being fetched.
        at: At,
        /// What the HTTP library says.
        #[source]
        source: reqwest::Error,
    },
    /// A wait took too long.
    #[error("{at}: {wait} took more than {} ms", limit.as_millis())]
    Timeout {
        /// What was being fetched.
        at: At,
        /// Which wait.
        wait: Wait,
        /// Its limit.
        limit: Duration,
    },
    /// The body broke off with an error of the connection.
    #[error("{at}: the connection broke after {received} bytes")]
    Body {
        /// What was being fetched.
        at: At,
        /// Bytes that had come.
        received: u64,
        /// What the HTTP library says.
        #[source]
        source: reqwest::Error,
    },
    /// The blob ended before its declared size.
    #[error("{at}: got {actual} of {expected} bytes")]
    Short {
        /// What was being fetched.
        at: At,
        /// The declared size, in bytes.
        expected: u64,
        /// Bytes that came.
        actual: u64,
    },
    /// The blob is longer than its declared size.
    #[error("{at}: more than the declared {expected} bytes")]
    Long {
        /// What was being fetched.
        at: At,
        /// The declared size, in bytes.
        expected: u64,
    },
    /// The answer is longer than its [`Limits`](crate::Limits) allow.
    #[error("{at}: more than {limit} bytes, which is the limit")]
    OverLimit {
        /// What was being fetched.
        at: At,
        /// The limit, in bytes.
        limit: u64,
    },
    /// The bytes have another digest than was asked for.
    #[error("{at}: expected {expected}, got {actual}")]
    DigestMismatch {
        /// What was being fetched.
        at: At,
        /// The digest that was asked for.
        expected: Digest,
        /// The digest of what came.
        actual: Digest,
    },
    /// The manifest is a web page; some proxies and mirrors answer so.
    #[error("{at}: the answer is an HTML page, not a manifest; is this a registry?")]
    Html {
        /// What was being fetched.
        at: At,
    },
    /// The manifest is not JSON.
    #[error("{at}: the answer is not JSON (line {line}, column {column})")]
    NotJson {
        /// What was being fetched.
        at: At,
        /// Line of the fault, from 1.
        line: usize,
        /// Column of the fault, from 1.
        column: usize,
    },
    /// The manifest is JSON, but neither an image manifest nor an index, or both at once.
    #[error("{at}: {problem}")]
    Manifest {
        /// What was being fetched.
        at: At,
        /// What is wrong with it.
        problem: ManifestProblem,
    },
    /// Unknown repository, tag, manifest or blob.
    #[error("{at}: not found{said}")]
    NotFound {
        /// What was being fetched.
        at: At,
        /// What the registry says.
        said: Said,
    },
    /// The registry wants other credentials. Some also say so of repositories that do not exist.
    #[error("{at}: not authorized, {credentials}{said}")]
    Unauthorized {
        /// What was being fetched.
        at: At,
        /// Which credentials the registry saw.
        credentials: CredentialsSeen,
        /// What the registry says.
        said: Said,
    },
    /// The registry knows us and refuses.
    #[error("{at}: access denied{said}")]
    Denied {
        /// What was being fetched.
        at: At,
        /// What the registry says.
        said: Said,
    },
    /// Another status than was hoped for.
    #[error("{at}: HTTP status {status}{said}")]
    Status {
        /// What was being fetched.
        at: At,
        /// The status.
        status: u16,
        /// How long the registry asks us to wait.
        retry_after: Option<Duration>,
        /// What the registry says.
        said: Said,
    },
    /// A redirect that is not followed.
    #[error("{at}: a redirect {problem}")]
    Redirect {
        /// What was being fetched.
        at: At,
        /// Why it is not followed.
        problem: RedirectProblem,
    },
    /// The registry's token service cannot be used.
    #[error("{at}: the token service {realm} {problem}")]
    TokenService {
        /// What was being fetched.
        at: At,
        /// The service, as the registry names it.
        realm: Excerpt,
        /// Why it is not used.
        problem: TokenProblem,
    },
}

impl Error {
    /// Whether the same request may succeed later. Such faults have been retried already.
    #[must_use]
    pub fn is_temporary(&self) -> bool {
        match self {
            Self::Connect { source, .. } => !is_certificate_fault(source),
            Self::Request { .. }
            | Self::Timeout { .. }
            | Self::Body { .. }
            | Self::Short { .. } => true,
            Self::Status { status, .. } => matches!(status, 408 | 425 | 429 | 500..=599),
            _ => false,
        }
    }

    /// Whether other credentials may help.
    #[must_use]
    pub fn is_unauthorized(&self) -> bool {
        matches!(self, Self::Unauthorized { .. } | Self::Denied { .. })
    }

    /// Whether the registry knows no such repository, tag or digest.
    #[must_use]
    pub fn is_not_found(&self) -> bool {
        matches!(self, Self::NotFound { .. })
    }

    /// Whether the registry's bytes are wrong.
    #[must_use]
    pub fn is_corrupt(&self) -> bool {
        matches!(
            self,
            Self::Short { .. }
                | Self::Long { .. }
                | Self::DigestMismatch { .. }
                | Self::Html { .. }
                | Self::NotJson { .. }
                | Self::Manifest { .. }
        )
    }

    /// How long the registry asks us to wait.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Status { retry_after, .. } => *retry_after,
            _ => None,
        }
    }
}

/// Whether `error` comes of a certificate that is not trusted; trying again does not change that.
fn is_certificate_fault(error: &reqwest::Error) -> bool {
    crate::transport::tls_error(error)
        .is_some_and(|error| matches!(error, rustls::Error::InvalidCertificate(_)))
}

/// What was being waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Wait {
    /// The answer's header.
    FirstByte,
    /// The next piece of a body.
    Stall,
    /// The end of a small body.
    Document,
}

impl fmt::Display for Wait {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::FirstByte => "the answer",
            Self::Stall => "the next byte",
            Self::Document => "the whole answer",
        })
    }
}

/// Which credentials a registry saw when it said no.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum CredentialsSeen {
    /// None: there are none.
    None,
    /// Ours.
    Sent,
    /// None, though there are some: they are not sent over plain HTTP unless the host is named for it.
    Withheld,
}

impl fmt::Display for CredentialsSeen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::None => "without credentials",
            Self::Sent => "with the credentials given",
            Self::Withheld => {
                "and credentials are not sent over plain HTTP to a host that is not named for it"
            }
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
    /// It has an index's and an image manifest's fields at once, or its media type is the other one's.
    Ambiguous,
    /// Docker's schema 1, which has no content addresses to rely on.
    Schema1,
    /// It has neither's fields.
    Unknown,
}

impl fmt::Display for ManifestProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Malformed { reason } => return write!(f, "the answer is malformed: {reason}"),
            Self::Ambiguous => "the answer is an index and an image manifest at once",
            Self::Schema1 => "the answer is a Docker schema 1 manifest, which is not supported",
            Self::Unknown => "the answer is neither an image manifest nor an index",
        })
    }
}

/// Why a redirect is not followed.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum RedirectProblem {
    /// It has no `Location` that makes a URL.
    NoLocation,
    /// One too many.
    TooMany {
        /// How many are followed.
        limit: u32,
    },
    /// To a scheme other than http and https.
    Scheme {
        /// Where to.
        to: ShownUrl,
    },
    /// To plain HTTP, from HTTPS or to a host that is not named for it.
    PlainHttp {
        /// Where to.
        to: ShownUrl,
    },
}

impl fmt::Display for RedirectProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoLocation => f.write_str("leads nowhere"),
            Self::TooMany { limit } => write!(f, "follows after {limit} others"),
            Self::Scheme { to } => write!(f, "leads to {to}, which is not HTTPS"),
            Self::PlainHttp { to } => write!(f, "leads to plain HTTP at {to}"),
        }
    }
}

/// Why a token service is not used, or its answer is not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum TokenProblem {
    /// Its address is no URL.
    NotAUrl,
    /// It is plain HTTP, while the registry is not, or at a host that is not named for it.
    PlainHttp,
    /// Its answer is not the specified JSON.
    Answer,
    /// Its answer holds no token.
    Missing,
    /// The token holds characters that do not belong into a header.
    Characters,
}

impl fmt::Display for TokenProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotAUrl => "is not a URL",
            Self::PlainHttp => "is plain HTTP, which is not allowed here",
            Self::Answer => "did not answer with JSON",
            Self::Missing => "answered without a token",
            Self::Characters => "answered with a token that cannot be sent",
        })
    }
}
