//! Configuring a client.

use std::collections::HashMap;
use std::sync::Arc;

use msb_oci::Excerpt;
use rustls::pki_types::CertificateDer;

use super::Client;
use super::health::HostHealth;
use super::upstreams::Upstreams;
use crate::auth::{Auth, CredentialProvider, CredentialSource, RegistryAuth};
use crate::error::Error;
use crate::exchange::Exchange;
use crate::exchange::redirect::HostRules;
use crate::host::RegistryHost;
use crate::hosts::{ClientCertificate, HostProvider};
use crate::limits::{Limits, Timeouts};
use crate::secrets::Secrets;
use crate::transport::Transport;
use crate::transport::certificates::parse_bundle;

/// Configures a [`Client`]. Made by [`Client::builder`].
#[derive(Clone, Default)]
#[must_use]
pub struct ClientBuilder {
    auth: RegistryAuth,
    named_auth: Vec<(String, RegistryAuth)>,
    provider: Option<Arc<dyn CredentialProvider>>,
    hosts: Option<Arc<dyn HostProvider>>,
    health: HostHealth,
    certificates: Vec<(String, ClientCertificate)>,
    plain_hosts: Vec<String>,
    private_hosts: Vec<String>,
    /// Names and contents.
    ca_bundles: Vec<(Option<String>, Vec<u8>)>,
    limits: Limits,
    timeouts: Timeouts,
}

impl Client {
    /// Returns a builder with everything at its default.
    pub fn builder() -> ClientBuilder {
        ClientBuilder::default()
    }
}

impl ClientBuilder {
    /// Sets the credentials for the first registry that the client is asked for. Default: none.
    ///
    /// They are bound to the registry that the first request's reference names, and are sent to no other. A client for several
    /// registries names the host of each with [`auth_for`](Self::auth_for), or uses a provider.
    pub fn auth(mut self, auth: RegistryAuth) -> Self {
        self.auth = auth;
        self
    }

    /// Sets the credentials for the registry `host`, given as `HOST` or `HOST:PORT`. May be called repeatedly; the last call for a
    /// host counts, and comes before [`auth`](Self::auth) and the provider.
    pub fn auth_for(mut self, host: impl Into<String>, auth: RegistryAuth) -> Self {
        self.named_auth.push((host.into(), auth));
        self
    }

    /// Sets the provider that is asked for the credentials of every host that has none yet.
    pub fn credentials(mut self, provider: impl CredentialProvider + 'static) -> Self {
        self.provider = Some(Arc::new(provider));
        self
    }

    /// Sets the provider that is asked for the hosts of each registry: mirrors, and settings for TLS and headers. Default: every
    /// registry is its own only host.
    pub fn hosts(mut self, provider: impl HostProvider + 'static) -> Self {
        self.hosts = Some(Arc::new(provider));
        self
    }

    /// Shares the state of hosts with other clients: a host that failed for one of them is tried last by all. Default: every client
    /// has a state of its own.
    pub fn host_health(mut self, health: HostHealth) -> Self {
        self.health = health;
        self
    }

    /// Presents a client certificate to the registry `host`, given as `HOST` or `HOST:PORT`, and to no mirror of it. May be called
    /// repeatedly; the last call for a host counts.
    pub fn client_certificate(
        mut self,
        host: impl Into<String>,
        certificate: ClientCertificate,
    ) -> Self {
        self.certificates.push((host.into(), certificate));
        self
    }

    /// Uses plain HTTP for `host`, given as `HOST:PORT`, or as `HOST` for all its ports, and sends credentials over it. May be
    /// called repeatedly.
    ///
    /// Redirects and token services over plain HTTP need to be named too, unless they stay on the registry's own origin.
    pub fn plain_http(mut self, host: impl Into<String>) -> Self {
        self.plain_hosts.push(host.into());
        self
    }

    /// Lets registries lead to `host`, given as `HOST` or `HOST:PORT`, although it is a loopback, link-local or private address. May
    /// be called repeatedly.
    ///
    /// Without it, redirects, token services and URLs of layers may lead to such an address only where it is the registry's own
    /// host, or is named for plain HTTP or for credentials.
    pub fn private_host(mut self, host: impl Into<String>) -> Self {
        self.private_hosts.push(host.into());
        self
    }

    /// Trusts the certificates in `pem` too. May be called repeatedly. Loopback registries are then TLS only.
    ///
    /// A certificate that cannot be used is skipped, with a warning in the log that names it.
    pub fn ca_cert(mut self, pem: impl Into<Vec<u8>>) -> Self {
        self.ca_bundles.push((None, pem.into()));
        self
    }

    /// Trusts certificates like [`ca_cert`](Self::ca_cert), with a name for warnings and errors, such as the file's.
    pub fn named_ca_cert(mut self, name: impl Into<String>, pem: impl Into<Vec<u8>>) -> Self {
        self.ca_bundles.push((Some(name.into()), pem.into()));
        self
    }

    /// Sets the limits on what a registry may send.
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// Sets the limits on waiting.
    pub fn timeouts(mut self, timeouts: Timeouts) -> Self {
        self.timeouts = timeouts;
        self
    }

    /// Builds the client. Connections and TLS are set up with the first request.
    ///
    /// # Errors
    ///
    /// [`Error::CaCertificate`], [`Error::PlainHttpHost`] and [`Error::Host`] for input that cannot be parsed.
    pub fn build(self) -> Result<Client, Error> {
        let mut rules = HostRules::default();
        for host in &self.plain_hosts {
            let add = rules.plain.add(host).and_then(|()| rules.known.add(host));
            add.ok_or_else(|| Error::PlainHttpHost {
                input: Excerpt::new(host),
            })?;
        }
        for host in &self.private_hosts {
            // Parsed for its error; the port that it has, or lacks, counts as it is written.
            host.parse::<RegistryHost>()?;
            let _ = rules.known.add(host);
        }
        let secrets = Arc::new(Secrets::default());
        let mut named = HashMap::new();
        for (host, auth) in self.named_auth {
            let host: RegistryHost = host.parse()?;
            rules.known.add_registry(&host);
            named.insert(host, auth);
        }
        let credentials =
            CredentialSource::new(named, self.auth, self.provider, Arc::clone(&secrets));
        let mut certificates = HashMap::new();
        for (host, certificate) in self.certificates {
            certificates.insert(host.parse::<RegistryHost>()?, certificate);
        }
        let mut roots = Vec::new();
        for (index, (name, pem)) in self.ca_bundles.into_iter().enumerate() {
            roots.extend(read_bundle(index, name, &pem)?);
        }
        let exchange = Exchange {
            transport: Transport::new(roots, self.timeouts.clone()),
            rules,
            limits: self.limits,
            timeouts: self.timeouts,
            secrets,
        };
        let upstreams = Upstreams::new(self.hosts, certificates, self.health);
        Ok(Client::new(Auth::new(exchange, credentials), upstreams))
    }
}

fn read_bundle(
    index: usize,
    name: Option<String>,
    pem: &[u8],
) -> Result<Vec<CertificateDer<'static>>, Error> {
    let name = Excerpt::new(&name.unwrap_or_else(|| (index + 1).to_string()));
    let (certificates, unreadable) = parse_bundle(pem);
    if certificates.is_empty() {
        let first = unreadable.first();
        return Err(Error::CaCertificate {
            name,
            reason: first.map(|first| Excerpt::new(&first.reason)),
        });
    }
    for certificate in unreadable {
        tracing::warn!(
            "CA bundle {name}: certificate {} (line {}) cannot be used and is skipped: {}",
            certificate.number,
            certificate.line,
            Excerpt::new(&certificate.reason)
        );
    }
    Ok(certificates)
}

impl std::fmt::Debug for ClientBuilder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ClientBuilder")
            .field("auth", &self.auth)
            .field("plain_hosts", &self.plain_hosts)
            .field("limits", &self.limits)
            .field("timeouts", &self.timeouts)
            .finish_non_exhaustive()
    }
}
