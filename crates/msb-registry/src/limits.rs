//! How much an answer may hold, and how long a wait may take.

use std::time::Duration;

/// Caps on what is taken from a registry. A blob's cap is the size that its descriptor declares.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// The longest manifest of one image, in bytes. 4 MiB, the size that registries must take.
    pub manifest_bytes: u64,
    /// The longest index, in bytes. 4 MiB.
    pub index_bytes: u64,
    /// The longest image config, in bytes. 8 MiB.
    pub config_bytes: u64,
    /// The longest answer of a token service, in bytes. 256 KiB.
    pub token_bytes: u64,
    /// How much of an error's body is looked at, in bytes. 16 KiB.
    pub error_bytes: u64,
    /// How many redirects one request follows. 5.
    pub redirects: u32,
    /// How often one request is repeated after temporary faults, and how often a stream goes on in a row without
    /// making progress. 4.
    pub retries: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            manifest_bytes: 4 << 20,
            index_bytes: 4 << 20,
            config_bytes: 8 << 20,
            token_bytes: 256 << 10,
            error_bytes: 16 << 10,
            redirects: 5,
            retries: 4,
        }
    }
}

/// Limits on waiting. There is none on a whole blob: a slow one is fine as long as bytes come.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Timeouts {
    /// For a connection with its TLS handshake. 10 s.
    pub connect: Duration,
    /// From a request, connection included, to the header of its answer. 30 s.
    pub first_byte: Duration,
    /// Between two pieces of a body. 30 s.
    pub stall: Duration,
    /// For the whole body of a manifest, a token or an error. 120 s.
    pub document: Duration,
    /// The longest `Retry-After` that is obeyed; a longer one fails the request at once. 60 s.
    pub retry_after: Duration,
    /// The first pause before a retry, doubled with each further one; half of it is random. 200 ms.
    pub backoff: Duration,
    /// The longest pause of our own choice. 10 s.
    pub backoff_max: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(10),
            first_byte: Duration::from_secs(30),
            stall: Duration::from_secs(30),
            document: Duration::from_secs(120),
            retry_after: Duration::from_secs(60),
            backoff: Duration::from_millis(200),
            backoff_max: Duration::from_secs(10),
        }
    }
}
