//! Putting a client together.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

use crate::auth::RegistryAuth;
use crate::client::{Client, Inner};
use crate::error::Error;
use crate::limits::{Limits, Timeouts};
use crate::origin::PlainHosts;
use crate::token::Tokens;
use crate::transport::Transport;

/// What a [`Client`] is to know. Made by [`Client::builder`].
#[derive(Debug, Clone, Default)]
#[must_use]
pub struct ClientBuilder {
    auth: RegistryAuth,
    plain_hosts: Vec<String>,
    ca_certs: Vec<Vec<u8>>,
    limits: Limits,
    timeouts: Timeouts,
}

impl ClientBuilder {
    /// The credentials. Anonymous, if nothing is said.
    pub fn auth(mut self, auth: RegistryAuth) -> Self {
        self.auth = auth;
        self
    }

    /// Speaks plain HTTP to `host`, given as `HOST:PORT`, or as `HOST` for all its ports. May be called repeatedly.
    ///
    /// Redirects and token services over plain HTTP need to be named too, unless they stay on the registry's own origin.
    pub fn plain_http(mut self, host: impl Into<String>) -> Self {
        self.plain_hosts.push(host.into());
        self
    }

    /// Trusts the certificates in `pem` too. May be called repeatedly. Loopback registries are then TLS only.
    pub fn ca_cert(mut self, pem: impl Into<Vec<u8>>) -> Self {
        self.ca_certs.push(pem.into());
        self
    }

    /// Caps on answers.
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// Limits on waiting.
    pub fn timeouts(mut self, timeouts: Timeouts) -> Self {
        self.timeouts = timeouts;
        self
    }

    /// Builds the client. Costs next to nothing: connections and TLS are set up with the first request.
    ///
    /// # Errors
    ///
    /// [`Error::CaCertificate`] and [`Error::PlainHttpHost`] for what cannot be parsed.
    pub fn build(self) -> Result<Client, Error> {
        let mut plain_hosts = PlainHosts::default();
        for host in &self.plain_hosts {
            plain_hosts.add(host)?;
        }
        let mut roots = Vec::new();
        for (position, pem) in self.ca_certs.iter().enumerate() {
            roots.extend(parse_pem(pem).ok_or(Error::CaCertificate { position })?);
        }
        let inner = Inner {
            auth: self.auth,
            plain_hosts,
            limits: self.limits,
            transport: Transport::new(roots, self.timeouts.clone()),
            timeouts: self.timeouts,
            tokens: Tokens::default(),
            loopback_schemes: Mutex::new(HashMap::new()),
        };
        Ok(Client {
            inner: Arc::new(inner),
        })
    }
}

/// At least one certificate, and nothing that cannot be read or trusted.
fn parse_pem(pem: &[u8]) -> Option<Vec<CertificateDer<'static>>> {
    let certificates: Vec<_> = CertificateDer::pem_slice_iter(pem)
        .collect::<Result<_, _>>()
        .ok()?;
    let mut store = rustls::RootCertStore::empty();
    let (_, ignored) = store.add_parsable_certificates(certificates.iter().cloned());
    (!certificates.is_empty() && ignored == 0).then_some(certificates)
}
