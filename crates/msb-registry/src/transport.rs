//! Connections: which HTTP client a URL takes, made when it is first needed.

use std::error::Error as StdError;
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::sync::{Arc, OnceLock};

use reqwest::Url;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::ServerCertVerifier;
use rustls::pki_types::CertificateDer;
use rustls::{ClientConfig, RootCertStore};
use rustls_platform_verifier::Verifier;

use crate::error::Error;
use crate::limits::Timeouts;
use crate::pinned::PinnedOr;

/// Three HTTP clients, each made upon its first use: reading the system's certificates takes longer than a pull from
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
    plain: OnceLock<reqwest::Client>,
    direct: OnceLock<reqwest::Client>,
    remote: OnceLock<reqwest::Client>,
}

impl Transport {
    pub(crate) fn new(extra_roots: Vec<CertificateDer<'static>>, timeouts: Timeouts) -> Self {
        Self {
            extra_roots,
            timeouts,
            plain: OnceLock::new(),
            direct: OnceLock::new(),
            remote: OnceLock::new(),
        }
    }

    pub(crate) fn has_extra_roots(&self) -> bool {
        !self.extra_roots.is_empty()
    }

    /// The client for `url`.
    pub(crate) fn client(&self, url: &Url) -> Result<&reqwest::Client, Error> {
        let loopback = is_loopback(url);
        let (cell, proxies, tls) = match url.scheme() {
            "http" if loopback || !http_proxy_is_set() => (&self.plain, false, false),
            "https" if loopback => (&self.direct, false, true),
            _ => (&self.remote, true, true),
        };
        if let Some(client) = cell.get() {
            return Ok(client);
        }
        let config = if tls {
            self.trusting()?
        } else {
            trusting_nobody()?
        };
        let mut builder = reqwest::Client::builder()
            .tls_backend_preconfigured(config)
            .redirect(reqwest::redirect::Policy::none())
            // Retries are ours: they must know what has been handed out.
            .retry(reqwest::retry::never())
            .http1_only()
            .connect_timeout(self.timeouts.connect)
            .tcp_nodelay(true)
            .referer(false)
            .user_agent(concat!("microsandbox-image/", env!("CARGO_PKG_VERSION")));
        if !proxies {
            builder = builder.no_proxy();
        }
        let client = builder
            .build()
            .map_err(|source| Error::HttpSetup { source })?;
        Ok(cell.get_or_init(|| client))
    }

    /// Trusts whom the system trusts, and the extra roots.
    fn trusting(&self) -> Result<ClientConfig, Error> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .map_err(|source| Error::TlsSetup { source })?;
        let extra = || self.extra_roots.iter().cloned();
        let platform = Verifier::new_with_extra_roots(extra(), Arc::clone(&provider));
        let verifier: Arc<dyn ServerCertVerifier> = match platform {
            Ok(verifier) => Arc::new(verifier),
            // A machine without certificates of its own still trusts those that were given.
            Err(source) => {
                let mut roots = RootCertStore::empty();
                roots.add_parsable_certificates(extra());
                WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider)
                    .build()
                    .map_err(|_| Error::TlsSetup { source })?
            }
        };
        let verifier = PinnedOr::new(verifier, self.extra_roots.clone());
        Ok(builder
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(verifier))
            .with_no_client_auth())
    }
}

/// For plain HTTP: costs nothing to make, and lets no TLS connection through.
fn trusting_nobody() -> Result<ClientConfig, Error> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    Ok(ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|source| Error::TlsSetup { source })?
        .with_root_certificates(RootCertStore::empty())
        .with_no_client_auth())
}

fn is_loopback(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    let address = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost"
        || address.parse::<Ipv4Addr>().is_ok_and(|ip| ip.is_loopback())
        || address.parse::<Ipv6Addr>().is_ok_and(|ip| ip.is_loopback())
}

/// Whether requests over plain HTTP may have to go through a proxy.
fn http_proxy_is_set() -> bool {
    ["http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"]
        .iter()
        .any(|name| std::env::var_os(name).is_some())
}

/// The TLS error inside of `error`.
pub(crate) fn tls_error(error: &reqwest::Error) -> Option<&rustls::Error> {
    causes(error).find_map(|cause| cause.downcast_ref::<rustls::Error>())
}

/// Whether the peer of a failed connection seems to speak no TLS: it answered with something else, hung up, or said nothing.
pub(crate) fn speaks_no_tls(error: &reqwest::Error) -> bool {
    if !error.is_connect() {
        return false;
    }
    if let Some(tls) = tls_error(error) {
        return matches!(tls, rustls::Error::InvalidMessage(_));
    }
    // Only asked of loopback, where a connection itself never takes that long: the handshake did.
    error.is_timeout()
        || causes(error)
            .filter_map(|cause| cause.downcast_ref::<io::Error>())
            .any(|cause| {
                matches!(
                    cause.kind(),
                    io::ErrorKind::UnexpectedEof
                        | io::ErrorKind::ConnectionReset
                        | io::ErrorKind::BrokenPipe
                )
            })
}

/// Whether nobody listens.
pub(crate) fn is_refused(error: &reqwest::Error) -> bool {
    causes(error)
        .filter_map(|cause| cause.downcast_ref::<io::Error>())
        .any(|cause| cause.kind() == io::ErrorKind::ConnectionRefused)
}

/// `error` and all its causes. `io::Error` hides the error that it wraps from `source`, so that is looked into as well.
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
