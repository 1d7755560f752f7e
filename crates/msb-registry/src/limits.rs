//! Limits on the size of responses and on waiting.

use std::time::Duration;

/// Limits on what a registry may send. A blob is limited by the size that its descriptor declares.
///
/// The struct is non-exhaustive. Start from the default and change single values:
///
/// ```
/// use msb_registry::Limits;
///
/// let limits = Limits::default().with_retries(3).with_manifest_bytes(1 << 20);
/// assert_eq!(limits.retries, 3);
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// The longest image manifest, in bytes. Default: 4 MiB, the size that registries must accept.
    pub manifest_bytes: u64,
    /// The longest index, in bytes. Default: 4 MiB.
    pub index_bytes: u64,
    /// The longest image config, in bytes. Default: 8 MiB.
    pub config_bytes: u64,
    /// The longest response of a token service, in bytes. Default: 256 KiB.
    pub token_bytes: u64,
    /// The number of bytes of an error's body that are read. Default: 16 KiB.
    pub error_bytes: u64,
    /// The number of redirects that one request follows. Default: 5.
    pub redirects: u32,
    /// The number of retries after temporary faults in a row, for one request or one stream; [`Timeouts::retry_time`] may end
    /// them earlier. A stream that makes progress starts counting again. Default: 12.
    pub retries: u32,
    /// The number of times that one blob may start over from its first byte. Default: 4.
    pub restarts: u32,
    /// The number of ranges of one large blob that are fetched at once where a single connection is too slow; 1 turns this off, and
    /// more than 64 count as 64. Default: 4.
    ///
    /// Bytes that arrive before those in front of them wait in memory: at most 8 MiB for each range, so 32 MiB by default, for all
    /// blobs of a client together.
    pub ranges: u32,
    /// The longest piece of a blob that is pushed with one request, in bytes. A longer blob is pushed in chunks, so that a fault loses
    /// at most one of them. A registry may ask for longer chunks. Default: 32 MiB.
    pub upload_chunk_bytes: u64,
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
            retries: 12,
            restarts: 4,
            ranges: 4,
            upload_chunk_bytes: 32 << 20,
        }
    }
}

/// Limits on waiting. There is no limit on a whole blob, only on its least rate.
///
/// The struct is non-exhaustive. Start from the default and change single values:
///
/// ```
/// use std::time::Duration;
/// use msb_registry::Timeouts;
///
/// let timeouts = Timeouts::default().with_retry_time(Duration::from_secs(5));
/// assert_eq!(timeouts.retry_time, Duration::from_secs(5));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Timeouts {
    /// For a connection with its TLS handshake. Default: 10 s.
    pub connect: Duration,
    /// From a request, connection included, to the header of its response; for an upload, between two pieces of its body too. Default: 30 s.
    pub first_byte: Duration,
    /// Between two pieces of a body. Default: 30 s.
    pub stall: Duration,
    /// For the whole body of a manifest, a token or an error. Default: 120 s.
    pub document: Duration,
    /// The longest `Retry-After` that is obeyed; a longer one fails the request at once. Default: 60 s.
    pub retry_after: Duration,
    /// The first pause before a retry, doubled with each further one. A quarter of each pause is random. Default: 250 ms.
    pub backoff: Duration,
    /// The longest pause between two retries, unless the registry asks for more. Default: 10 s.
    pub backoff_max: Duration,
    /// How long temporary faults in a row may last before the request fails. Default: 60 s.
    pub retry_time: Duration,
    /// How long a response may be silent before that is reported, and how often it is reported again. Default: 5 s.
    pub stall_notice: Duration,
    /// The least number of bytes per second of a blob, as the mean over [`least_rate_window`](Self::least_rate_window) of
    /// waiting for the registry. A connection below it is closed, and the blob is resumed on a new one. 0 turns the
    /// check off. Default: 4096.
    pub least_rate: u64,
    /// How long a host may leave a request and a second, simpler one unanswered before the next host of the registry is tried; a
    /// `dial_timeout` of the host that is longer counts in its place. Default: 2 s.
    pub unresponsive: Duration,
    /// How long a host that failed is tried after all others. It returns to its place when it answers again. Default: 30 s.
    pub host_rest: Duration,
    /// The time over which [`least_rate`](Self::least_rate) is measured. Time during which the caller does not wait for
    /// the registry does not count. Default: 30 s.
    pub least_rate_window: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(10),
            first_byte: Duration::from_secs(30),
            stall: Duration::from_secs(30),
            document: Duration::from_secs(120),
            retry_after: Duration::from_secs(60),
            backoff: Duration::from_millis(250),
            backoff_max: Duration::from_secs(10),
            retry_time: Duration::from_secs(60),
            stall_notice: Duration::from_secs(5),
            unresponsive: Duration::from_secs(2),
            host_rest: Duration::from_secs(30),
            least_rate: 4096,
            least_rate_window: Duration::from_secs(30),
        }
    }
}

/// Defines a `with_` method for each field, because a non-exhaustive struct cannot be written as a literal elsewhere.
macro_rules! setters {
    ($target:ident { $($setter:ident => $field:ident: $type:ty),* $(,)? }) => {
        impl $target {
            $(
                #[doc = concat!("Sets [`", stringify!($field), "`](Self::", stringify!($field), ").")]
                #[must_use]
                pub fn $setter(mut self, $field: $type) -> Self {
                    self.$field = $field;
                    self
                }
            )*
        }
    };
}

setters!(Limits {
    with_manifest_bytes => manifest_bytes: u64,
    with_index_bytes => index_bytes: u64,
    with_config_bytes => config_bytes: u64,
    with_token_bytes => token_bytes: u64,
    with_error_bytes => error_bytes: u64,
    with_redirects => redirects: u32,
    with_retries => retries: u32,
    with_restarts => restarts: u32,
    with_ranges => ranges: u32,
    with_upload_chunk_bytes => upload_chunk_bytes: u64,
});

setters!(Timeouts {
    with_connect => connect: Duration,
    with_first_byte => first_byte: Duration,
    with_stall => stall: Duration,
    with_document => document: Duration,
    with_retry_after => retry_after: Duration,
    with_backoff => backoff: Duration,
    with_backoff_max => backoff_max: Duration,
    with_retry_time => retry_time: Duration,
    with_stall_notice => stall_notice: Duration,
    with_unresponsive => unresponsive: Duration,
    with_host_rest => host_rest: Duration,
    with_least_rate => least_rate: u64,
    with_least_rate_window => least_rate_window: Duration,
});
