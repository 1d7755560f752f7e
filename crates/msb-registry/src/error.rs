//! Everything that can go wrong between a client and a registry.

mod credential_use;
mod problems;

use std::time::Duration;

use msb_oci::{Digest, Excerpt};

pub use self::credential_use::CredentialUse;
pub use self::problems::{ManifestProblem, RedirectProblem, TokenProblem, Wait};
use crate::context::RequestContext;
use crate::host::{InvalidHost, RegistryHost};
use crate::redact::{RedactedUrl, ServerMessage};
use crate::transport::fault::TransportFault;

/// A failed request, or a client that cannot be built.
///
/// Messages are one line, name the object, the step and the URL without its query, and hold no secret and nothing unprintable.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A CA bundle holds no certificate that can be used.
    #[error(
        "CA bundle {name} holds no PEM certificate that can be used{}",
        detail(reason)
    )]
    CaCertificate {
        /// The bundle's name, or its number among those given, from 1.
        name: Excerpt,
        /// Why its first certificate cannot be used, if it has any.
        reason: Option<Excerpt>,
    },
    /// A host that was given for plain HTTP is not one.
    #[error("`{input}` is not of the form HOST or HOST:PORT")]
    PlainHttpHost {
        /// The text that was given.
        input: Excerpt,
    },
    /// A host that was given for credentials, or as a private one, is not one.
    #[error(transparent)]
    Host(#[from] InvalidHost),
    /// The credentials cannot be put into a header.
    #[error("the registry credentials hold characters that cannot be sent")]
    Credentials,
    /// The credential provider failed.
    #[error("cannot obtain credentials for {host}")]
    CredentialProvider {
        /// The registry that it was asked about.
        host: RegistryHost,
        /// The provider's error.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The host provider failed.
    #[error("the hosts that serve {registry} cannot be determined")]
    HostProvider {
        /// The registry that it was asked about.
        registry: RegistryHost,
        /// The provider's error.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// No host of the registry may be used for the request, by the capabilities that its settings list.
    #[error("{registry}: no host has the capability `{capability}`")]
    NoCapableHost {
        /// The registry.
        registry: RegistryHost,
        /// The capability.
        capability: &'static str,
    },
    /// The private key of a client certificate does not fit it, or is of an unsupported kind.
    #[error("client certificate {name}: its private key cannot be used")]
    ClientCertificateKey {
        /// The certificate's name.
        name: Excerpt,
        /// The TLS library's error.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// TLS cannot be set up; on Linux, most often because no CA certificates are installed.
    #[error("TLS cannot be set up with this system's CA certificates")]
    TlsSetup {
        /// The TLS library's error.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The HTTP client cannot be set up.
    #[error("the HTTP client cannot be set up")]
    HttpSetup {
        /// The HTTP library's error.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A background task panicked, or the runtime is shutting down.
    #[error("setting up TLS: a background task panicked or was aborted")]
    Worker,
    /// The registry's name makes no URL.
    #[error("registry `{registry}` does not form a URL")]
    RegistryUrl {
        /// The registry.
        registry: Excerpt,
    },
    /// No connection could be made.
    #[error("{context}: cannot connect")]
    Connect {
        /// The request.
        context: RequestContext,
        /// The cause.
        #[source]
        source: TransportFault,
    },
    /// No connection could be made through a proxy.
    #[error("{context}: cannot connect through the proxy {proxy}")]
    Proxy {
        /// The request.
        context: RequestContext,
        /// The proxy, as the environment names it, without user and password.
        proxy: RedactedUrl,
        /// The cause.
        #[source]
        source: TransportFault,
    },
    /// Every host that could serve the request failed.
    #[error("tried {} hosts: {}", failures.len(), all(failures))]
    Hosts {
        /// The error of each host, in the order in which they were tried, but that of the registry's own server last.
        failures: Vec<Self>,
    },
    /// The connection broke before a response came, or the response is not HTTP.
    #[error("{context}: no response")]
    Request {
        /// The request.
        context: RequestContext,
        /// The cause.
        #[source]
        source: TransportFault,
    },
    /// A wait took too long.
    #[error("{context}: {wait} within {}", seconds(*limit))]
    Timeout {
        /// The request.
        context: RequestContext,
        /// What was waited for.
        wait: Wait,
        /// The limit.
        limit: Duration,
    },
    /// The body came more slowly than [`Timeouts::least_rate`](crate::Timeouts::least_rate).
    #[error(
        "{context}: the server sent only {received} bytes in {}, less than {least_rate} bytes per second",
        seconds(*window)
    )]
    TooSlow {
        /// The request.
        context: RequestContext,
        /// The bytes that came within the window.
        received: u64,
        /// The time over which the rate is measured.
        window: Duration,
        /// The least rate, in bytes per second.
        least_rate: u64,
    },
    /// The body broke off with an error of the connection.
    #[error("{context}: the connection broke after {received} bytes")]
    Body {
        /// The request.
        context: RequestContext,
        /// The bytes that had come.
        received: u64,
        /// The cause.
        #[source]
        source: TransportFault,
    },
    /// The blob ended before its declared size.
    #[error("{context}: the blob ended after {actual} of {expected} bytes")]
    Short {
        /// The request.
        context: RequestContext,
        /// The declared size, in bytes.
        expected: u64,
        /// The bytes that came.
        actual: u64,
    },
    /// The blob is longer than its declared size.
    #[error("{context}: the blob is longer than the declared {expected} bytes")]
    Long {
        /// The request.
        context: RequestContext,
        /// The declared size, in bytes.
        expected: u64,
    },
    /// The response is not the range of bytes that was asked for.
    #[error(
        "{context}: the response does not start at byte {from}, or is not of a blob of {size} bytes"
    )]
    Range {
        /// The request.
        context: RequestContext,
        /// The first byte that was asked for.
        from: u64,
        /// The blob's declared size, in bytes.
        size: u64,
    },
    /// The response is longer than [`Limits`](crate::Limits) allow, or a descriptor declares that it is.
    #[error("{context}: longer than the limit of {limit} bytes")]
    OverLimit {
        /// The request.
        context: RequestContext,
        /// The limit, in bytes.
        limit: u64,
    },
    /// The bytes have another digest than was asked for.
    #[error("{context}: digest mismatch: expected {expected}, found {actual}")]
    DigestMismatch {
        /// The request.
        context: RequestContext,
        /// The digest that was asked for.
        expected: Digest,
        /// The digest of the bytes that came.
        actual: Digest,
    },
    /// The manifest is a web page; some proxies and mirrors answer so.
    #[error("{context}: the response is an HTML page, not a manifest; is this a registry?")]
    Html {
        /// The request.
        context: RequestContext,
    },
    /// The manifest is not JSON.
    #[error("{context}: the response is not JSON (line {line}, column {column})")]
    NotJson {
        /// The request.
        context: RequestContext,
        /// The line of the fault, from 1.
        line: usize,
        /// The column of the fault, from 1.
        column: usize,
    },
    /// The manifest is JSON, but neither an image manifest nor an index, or both at once.
    #[error("{context}: {problem}")]
    Manifest {
        /// The request.
        context: RequestContext,
        /// The problem.
        problem: ManifestProblem,
    },
    /// The repository, tag, manifest or blob is unknown. Some registries answer so where access is denied.
    #[error("{context}: not found{}{message}", unless_sent(credentials))]
    NotFound {
        /// The request.
        context: RequestContext,
        /// What became of the credentials.
        credentials: CredentialUse,
        /// The server's message.
        message: ServerMessage,
    },
    /// The registry requires other credentials. Some also answer so for repositories that do not exist.
    #[error("{context}: not authorized, {credentials}{message}")]
    Unauthorized {
        /// The request.
        context: RequestContext,
        /// What became of the credentials.
        credentials: CredentialUse,
        /// The server's message.
        message: ServerMessage,
    },
    /// The registry denies access.
    #[error("{context}: access denied{}{message}", unless_sent(credentials))]
    Denied {
        /// The request.
        context: RequestContext,
        /// What became of the credentials.
        credentials: CredentialUse,
        /// The server's message.
        message: ServerMessage,
    },
    /// The response has another status than expected.
    #[error("{context}: HTTP status {status}{message}")]
    Status {
        /// The request.
        context: RequestContext,
        /// The status.
        status: u16,
        /// How long the registry asks to wait.
        retry_after: Option<Duration>,
        /// The server's message.
        message: ServerMessage,
    },
    /// The bytes to be pushed cannot be read.
    #[error("{context}: reading the bytes to be sent")]
    UploadSource {
        /// The request.
        context: RequestContext,
        /// The cause.
        #[source]
        source: std::io::Error,
    },
    /// The bytes to be pushed are of another length or digest than stated. Nothing is sent.
    #[error("{context}: the bytes to be sent are not those of {expected}")]
    UploadContent {
        /// The request.
        context: RequestContext,
        /// The stated digest.
        expected: Digest,
    },
    /// The registry starts an upload without a URL for it that can be used.
    #[error("{context}: the URL of the upload {problem}")]
    UploadUrl {
        /// The request.
        context: RequestContext,
        /// Why it is not used.
        problem: RedirectProblem,
    },
    /// The registry reports another number of bytes of an upload than were sent.
    #[error("{context}: the registry reports {actual} bytes of the upload, not {expected}")]
    UploadOffset {
        /// The request.
        context: RequestContext,
        /// The number of bytes that were sent.
        expected: u64,
        /// The number of bytes that the registry reports.
        actual: u64,
    },
    /// The media type of a manifest to be pushed cannot be sent.
    #[error("media type `{media_type}` cannot be sent")]
    MediaType {
        /// The media type.
        media_type: Excerpt,
    },
    /// A redirect is not followed.
    #[error("{context}: a redirect {problem}")]
    Redirect {
        /// The request.
        context: RequestContext,
        /// Why it is not followed.
        problem: RedirectProblem,
    },
    /// The registry's token service cannot be used.
    #[error("{context}: the token service {realm} {problem}")]
    TokenService {
        /// The request.
        context: RequestContext,
        /// The service, as the registry names it.
        realm: Excerpt,
        /// Why it is not used.
        problem: TokenProblem,
    },
    /// A URL that the manifest names for a layer is not used.
    #[error("{context}: the manifest's URL for the blob {problem}")]
    ForeignUrl {
        /// The request to the registry.
        context: RequestContext,
        /// Why it is not used.
        problem: RedirectProblem,
    },
    /// The registry lacks a layer, and none of the URLs that the manifest names for it works.
    #[error("{context}: the registry lacks the blob, and none of its {tried} other URLs works")]
    ForeignUrls {
        /// The request to the registry.
        context: RequestContext,
        /// The number of URLs that were tried.
        tried: usize,
        /// The error of the last one.
        #[source]
        source: Box<Self>,
    },
}

impl Error {
    /// Returns whether the same request may succeed later. Such faults have been retried already.
    #[must_use]
    pub fn is_temporary(&self) -> bool {
        match self {
            Self::Connect { source, .. } | Self::Proxy { source, .. } => source.is_temporary(),
            // What the server answers counts; where it does not answer, another host may do so later.
            Self::Hosts { failures } => {
                !failures.last().is_some_and(Self::is_answer)
                    && failures.iter().any(Self::is_temporary)
            }
            Self::Request { .. }
            | Self::Timeout { .. }
            | Self::TooSlow { .. }
            | Self::Body { .. }
            | Self::Short { .. } => true,
            Self::Status { status, .. } => matches!(status, 408 | 425 | 429 | 500..=599),
            Self::ForeignUrls { source, .. } => source.is_temporary(),
            _ => false,
        }
    }

    /// Returns whether other credentials may help.
    #[must_use]
    pub fn is_unauthorized(&self) -> bool {
        matches!(
            self.decisive(),
            Self::Unauthorized { .. } | Self::Denied { .. }
        )
    }

    /// Returns whether the registry does not know the repository, tag or digest.
    #[must_use]
    pub fn is_not_found(&self) -> bool {
        matches!(
            self.decisive(),
            Self::NotFound { .. } | Self::ForeignUrls { .. }
        )
    }

    /// Returns whether the registry's bytes are wrong.
    #[must_use]
    pub fn is_corrupt(&self) -> bool {
        matches!(
            self.decisive(),
            Self::Short { .. }
                | Self::Long { .. }
                | Self::Range { .. }
                | Self::DigestMismatch { .. }
                | Self::Html { .. }
                | Self::NotJson { .. }
                | Self::Manifest { .. }
        )
    }

    /// Returns whether the server's certificate is signed by an authority that is not trusted.
    #[must_use]
    pub fn is_unknown_authority(&self) -> bool {
        matches!(
            self.decisive(),
            Self::Connect {
                source: TransportFault::UnknownAuthority,
                ..
            }
        )
    }

    /// Returns what became of the credentials, if the server refused the request for a reason that has to do with them.
    #[must_use]
    pub fn credential_use(&self) -> Option<&CredentialUse> {
        match self.decisive() {
            Self::NotFound { credentials, .. }
            | Self::Unauthorized { credentials, .. }
            | Self::Denied { credentials, .. } => Some(credentials),
            _ => None,
        }
    }

    /// Returns how long the registry asks to wait.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        match self.decisive() {
            Self::Status { retry_after, .. } => *retry_after,
            _ => None,
        }
    }

    /// Returns the error of the registry's own server where several hosts failed, else the error itself.
    #[must_use]
    pub fn decisive(&self) -> &Self {
        match self {
            Self::Hosts { failures } => failures.last().unwrap_or(self),
            other => other,
        }
    }

    /// Returns whether the host answered in a way that another request would not change.
    pub(crate) fn is_answer(&self) -> bool {
        matches!(
            self,
            Self::NotFound { .. } | Self::Unauthorized { .. } | Self::Denied { .. }
        )
    }

    /// Returns whether the fault lies with this machine or its settings, so that no other host would do better.
    pub(crate) fn is_local(&self) -> bool {
        matches!(
            self,
            Self::Credentials
                | Self::CredentialProvider { .. }
                | Self::ClientCertificateKey { .. }
                | Self::TlsSetup { .. }
                | Self::HttpSetup { .. }
                | Self::Worker
                | Self::UploadSource { .. }
                | Self::UploadContent { .. }
                | Self::MediaType { .. }
        )
    }

    /// Returns whether the host is likely to fail other requests too.
    pub(crate) fn is_of_whole_host(&self) -> bool {
        match self {
            Self::Connect { .. }
            | Self::Proxy { .. }
            | Self::Request { .. }
            | Self::Timeout { .. }
            | Self::TooSlow { .. } => true,
            Self::Status { status, .. } => matches!(status, 429 | 502..=504),
            _ => false,
        }
    }
}

/// Returns a hint about missing credentials, or nothing if credentials were sent.
fn unless_sent(credentials: &CredentialUse) -> String {
    match credentials {
        CredentialUse::Sent => String::new(),
        other => format!(", {other}"),
    }
}

/// Joins errors with their causes.
fn all(failures: &[Error]) -> String {
    let one = |error: &Error| {
        let mut text = error.to_string();
        let mut cause = std::error::Error::source(error);
        while let Some(error) = cause {
            text.push_str(&format!(": {error}"));
            cause = error.source();
        }
        text
    };
    failures.iter().map(one).collect::<Vec<_>>().join("; ")
}

fn detail(reason: &Option<Excerpt>) -> String {
    reason
        .as_ref()
        .map(|reason| format!(": {reason}"))
        .unwrap_or_default()
}

/// Formats a duration: `30 s`, or `0.2 s`.
fn seconds(duration: Duration) -> String {
    if duration.subsec_millis() == 0 {
        format!("{} s", duration.as_secs())
    } else {
        format!("{:.1} s", duration.as_secs_f64())
    }
}
