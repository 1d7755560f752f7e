//! Connections: the HTTP client for a URL, set up when it is first needed.

pub(crate) mod certificates;
pub(crate) mod fault;
mod pinned;
pub(crate) mod profile;
mod proxy;
mod tls;
mod unverified;

use std::sync::{Arc, OnceLock};

use reqwest::Url;
use rustls::pki_types::CertificateDer;
use tokio::sync::OnceCell;

use self::profile::Profile;
use self::proxy::Proxies;
use self::tls::Identity;
use crate::error::Error;
use crate::limits::Timeouts;

/// Three HTTP clients, each set up upon its first use: reading the system's certificates takes longer than a pull from
/// the cache may, and such a pull makes no request. A host with settings of its own has a [`Profile`] in their place.
///
/// ```text
///   http,  loopback or no proxy set   plain    no TLS roots, no proxy
///   https, loopback                   direct   TLS, no proxy
///   everything else                   remote   TLS, and the proxies of HTTPS_PROXY, HTTP_PROXY, ALL_PROXY and NO_PROXY
/// ```
#[derive(Debug)]
pub(crate) struct Transport {
    extra_roots: Vec<CertificateDer<'static>>,
    timeouts: Timeouts,
    proxies: OnceLock<Arc<Proxies>>,
    plain: OnceCell<reqwest::Client>,
    direct: OnceCell<reqwest::Client>,
    remote: OnceCell<reqwest::Client>,
}

impl Transport {
    pub(crate) fn new(extra_roots: Vec<CertificateDer<'static>>, timeouts: Timeouts) -> Self {
        Self {
            extra_roots,
            timeouts,
            proxies: OnceLock::new(),
            plain: OnceCell::new(),
            direct: OnceCell::new(),
            remote: OnceCell::new(),
        }
    }

    pub(crate) fn has_extra_roots(&self) -> bool {
        !self.extra_roots.is_empty()
    }

    /// Returns the proxy that requests to `url` go through.
    pub(crate) fn proxy_of(&self, url: &Url) -> Option<Url> {
        let loopback = url.host_str().is_some_and(is_loopback);
        let proxy = self.proxies();
        proxy.of(url).filter(|_| !loopback).cloned()
    }

    /// Returns the client for `url`, of `profile` if there is one. TLS is set up on a blocking thread, because that reads the
    /// system's certificates.
    pub(crate) async fn client<'a>(
        &'a self,
        url: &Url,
        profile: Option<&'a Profile>,
    ) -> Result<&'a reqwest::Client, Error> {
        if let Some(profile) = profile {
            return profile.client(self, url).await;
        }
        let loopback = url.host_str().is_some_and(is_loopback);
        let (cell, proxies, tls) = match url.scheme() {
            "http" if loopback || self.proxies().is_empty() => (&self.plain, None, false),
            "https" if loopback => (&self.direct, None, true),
            _ => (&self.remote, Some(self.proxies()), true),
        };
        cell.get_or_try_init(|| async {
            if !tls {
                return build(tls::without_roots()?, proxies, &self.timeouts);
            }
            let (roots, timeouts) = (self.extra_roots.clone(), self.timeouts.clone());
            tokio::task::spawn_blocking(move || {
                let config = tls::with_roots(roots, Identity::default())?;
                build(config, proxies, &timeouts)
            })
            .await
            .map_err(|_| Error::Worker)?
        })
        .await
    }

    fn proxies(&self) -> Arc<Proxies> {
        let from_env = || Arc::new(Proxies::from_vars(|name| std::env::var(name).ok()));
        Arc::clone(self.proxies.get_or_init(from_env))
    }
}

fn build(
    config: rustls::ClientConfig,
    proxies: Option<Arc<Proxies>>,
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
        .user_agent(concat!("microsandbox-image/", env!("CARGO_PKG_VERSION")))
        // The library's own reading of NO_PROXY ignores ports.
        .no_proxy();
    if let Some(proxies) = proxies.filter(|proxies| !proxies.is_empty()) {
        let proxy = reqwest::Proxy::custom(move |url| proxies.of(url).cloned());
        builder = builder.proxy(proxy);
    }
    builder.build().map_err(|error| Error::HttpSetup {
        source: error.into(),
    })
}

/// Returns whether `host`, as a URL has it, is this machine.
pub(crate) fn is_loopback(host: &str) -> bool {
    let address = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost"
        || address
            .parse::<std::net::IpAddr>()
            .is_ok_and(|ip| ip.is_loopback())
}
