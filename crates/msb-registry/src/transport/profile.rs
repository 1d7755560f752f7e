//! The TLS settings of one host.

use std::time::Duration;

use reqwest::Url;
use rustls::pki_types::CertificateDer;
use tokio::sync::OnceCell;

use super::tls::{self, Identity};
use super::{Transport, build, is_loopback};
use crate::error::Error;
use crate::hosts::ClientCertificate;

/// Connections to a host that shares none with other hosts. Set up upon its first use.
#[derive(Debug)]
pub(crate) struct Profile {
    /// Authorities that are trusted beside those of the client.
    pub(crate) roots: Vec<CertificateDer<'static>>,
    pub(crate) certificates: Vec<ClientCertificate>,
    pub(crate) skip_verify: bool,
    pub(crate) dial_timeout: Option<Duration>,
    pub(crate) http: OnceCell<reqwest::Client>,
    pub(crate) https: OnceCell<reqwest::Client>,
}

impl Profile {
    /// Returns the client for `url`, which is of this host. TLS is set up on a blocking thread.
    pub(super) async fn client(
        &self,
        transport: &Transport,
        url: &Url,
    ) -> Result<&reqwest::Client, Error> {
        let mut timeouts = transport.timeouts.clone();
        timeouts.connect = self.dial_timeout.unwrap_or(timeouts.connect);
        let loopback = url.host_str().is_some_and(is_loopback);
        let proxies = (!loopback).then(|| transport.proxies());
        if url.scheme() == "http" {
            let make = || async { build(tls::without_roots()?, proxies, &timeouts) };
            return self.http.get_or_try_init(make).await;
        }
        self.https
            .get_or_try_init(|| async {
                let mut roots = transport.extra_roots.clone();
                roots.extend(self.roots.iter().cloned());
                let identity = Identity {
                    certificates: self.certificates.clone(),
                    skip_verify: self.skip_verify,
                };
                let timeouts = timeouts.clone();
                tokio::task::spawn_blocking(move || {
                    build(tls::with_roots(roots, identity)?, proxies, &timeouts)
                })
                .await
                .map_err(|_| Error::Worker)?
            })
            .await
    }
}
