//! Connections: the HTTP client for a URL, set up when it is first needed.

pub(crate) mod certificates;
pub(crate) mod fault;
mod pinned;
mod tls;

use reqwest::Url;
use rustls::pki_types::CertificateDer;
use tokio::sync::OnceCell;

use crate::error::Error;
use crate::limits::Timeouts;

/// Three HTTP clients, each set up upon its first use: reading the system's certificates takes longer than a pull from
/// the cache may, and such a pull makes no request.
///
/// ```text
///   http,  loopback or no proxy set   plain    no TLS roots, no proxy
///   https, loopback                   direct   TLS, no proxy
///   everything else                   remote   TLS, and proxies as HTTPS_PROXY, HTTP_PROXY and NO_PROXY say
/// ```
#[derive(Debug)]
pub(crate) struct Transport {
    extra_roots: Vec<CertificateDer<'static>>,
    timeouts: Timeouts,
    plain: OnceCell<reqwest::Client>,
    direct: OnceCell<reqwest::Client>,
    remote: OnceCell<reqwest::Client>,
}

impl Transport {
    pub(crate) fn new(extra_roots: Vec<CertificateDer<'static>>, timeouts: Timeouts) -> Self {
        Self {
            extra_roots,
            timeouts,
            plain: OnceCell::new(),
            direct: OnceCell::new(),
            remote: OnceCell::new(),
        }
    }

    pub(crate) fn has_extra_roots(&self) -> bool {
        !self.extra_roots.is_empty()
    }

    /// Returns the client for `url`. TLS is set up on a blocking thread, because that reads the system's certificates.
    pub(crate) async fn client(&self, url: &Url) -> Result<&reqwest::Client, Error> {
        let loopback = url.host_str().is_some_and(is_loopback);
        let (cell, proxies, tls) = match url.scheme() {
            "http" if loopback || !http_proxy_is_set() => (&self.plain, false, false),
            "https" if loopback => (&self.direct, false, true),
            _ => (&self.remote, true, true),
        };
        cell.get_or_try_init(|| async {
            if !tls {
                return build(tls::without_roots()?, proxies, &self.timeouts);
            }
            let (roots, timeouts) = (self.extra_roots.clone(), self.timeouts.clone());
            tokio::task::spawn_blocking(move || build(tls::with_roots(roots)?, proxies, &timeouts))
                .await
                .map_err(|_| Error::Worker)?
        })
        .await
    }
}

fn build(
    config: rustls::ClientConfig,
    proxies: bool,
    timeouts: &Timeouts,
) -> Result<reqwest::Client, Error> {
    let mut builder = reqwest::Client::builder()
        .tls_backend_preconfigured(config)
        .redirect(reqwest::redirect::Policy::none())
        // Retries depend on the bytes that were handed out, which the HTTP library does not know.
        .retry(reqwest::retry::never())
        .http1_only()
        .connect_timeout(timeouts.connect)
        .tcp_nodelay(true)
        .referer(false)
        .user_agent(concat!("microsandbox-image/", env!("CARGO_PKG_VERSION")));
    if !proxies {
        builder = builder.no_proxy();
    }
    builder
        .build()
        .map_err(|source| Error::HttpSetup { source })
}

/// Returns whether `host`, as a URL has it, is this machine.
pub(crate) fn is_loopback(host: &str) -> bool {
    let address = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost"
        || address
            .parse::<std::net::IpAddr>()
            .is_ok_and(|ip| ip.is_loopback())
}

/// Returns whether requests over plain HTTP may have to go through a proxy.
fn http_proxy_is_set() -> bool {
    ["http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"]
        .iter()
        .any(|name| std::env::var_os(name).is_some())
}
