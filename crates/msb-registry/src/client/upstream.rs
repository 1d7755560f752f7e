//! One host of a registry, ready for requests.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use msb_oci::{Digest, Excerpt};
use reqwest::Url;
use reqwest::header::{
    ACCEPT, ACCEPT_ENCODING, CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, HeaderMap, RANGE,
    TRANSFER_ENCODING,
};
use tokio::sync::OnceCell;
use zeroize::Zeroizing;

use super::health::{Health, HostHealth};
use crate::error::Error;
use crate::exchange::peer::Peer;
use crate::host::RegistryHost;
use crate::hosts::{Capabilities, HostConfig};
use crate::limits::Timeouts;
use crate::secrets::Secrets;
use crate::transport::certificates::parse_bundle;
use crate::transport::profile::Profile;

/// A mirror, or the registry itself.
#[derive(Debug)]
pub(super) struct Upstream {
    /// The root of the API; `None` is the registry, by the client's rules for the scheme.
    pub(super) api: Option<Url>,
    pub(super) namespace: Option<String>,
    pub(super) capabilities: Capabilities,
    pub(super) is_mirror: bool,
    pub(super) peer: Option<Arc<Peer>>,
    /// How long the host may be silent where another one can be tried.
    pub(super) unresponsive: Duration,
    pub(super) health: Arc<Health>,
    /// Blobs that the host served with other bytes; bounded.
    rejected: Mutex<HashSet<Digest>>,
}

/// The largest number of blobs of a host that are known to be wrong.
const MAX_REJECTED: usize = 256;

impl Upstream {
    /// Prepares the host `config` of `registry`.
    pub(super) fn new(
        config: HostConfig,
        registry: &RegistryHost,
        timeouts: &Timeouts,
        secrets: &Secrets,
        health: &HostHealth,
    ) -> Result<Self, Error> {
        let (host, health) = match &config.api {
            Some(api) => {
                let origin = api.origin().ascii_serialization();
                (RegistryHost::of_url(api), health.of(&origin))
            }
            None => (registry.clone(), health.of(registry.as_str())),
        };
        let mut roots = Vec::new();
        for (name, pem) in &config.ca_bundles {
            let (certificates, unreadable) = parse_bundle(pem);
            if certificates.is_empty() {
                let reason = unreadable.first().map(|first| Excerpt::new(&first.reason));
                let name = Excerpt::new(name);
                return Err(Error::CaCertificate { name, reason });
            }
            roots.extend(certificates);
        }
        let mut headers = HeaderMap::new();
        let mut held = Vec::new();
        for (name, value) in config.headers {
            // Those that the client sends itself.
            let own = [
                ACCEPT,
                ACCEPT_ENCODING,
                CONNECTION,
                CONTENT_LENGTH,
                CONTENT_TYPE,
                RANGE,
                TRANSFER_ENCODING,
            ];
            if own.contains(&name) {
                tracing::warn!(%host, header = %name, "a header of the host's settings is not sent, because the client sets it");
                continue;
            }
            if let Ok(text) = value.to_str() {
                held.push(secrets.add(Zeroizing::new(text.to_owned())));
            }
            headers.append(name, value);
        }
        let has_profile = !roots.is_empty()
            || !config.certificates.is_empty()
            || config.skip_verify
            || config.dial_timeout.is_some();
        let profile = has_profile.then(|| Profile {
            roots,
            certificates: config.certificates,
            skip_verify: config.skip_verify,
            dial_timeout: config.dial_timeout,
            http: OnceCell::new(),
            https: OnceCell::new(),
        });
        let has_settings = config.api.is_some() || profile.is_some() || !headers.is_empty();
        let peer = has_settings.then(|| {
            Arc::new(Peer {
                host,
                headers,
                profile,
                _secrets: held,
            })
        });
        Ok(Self {
            api: config.api,
            namespace: config.namespace,
            capabilities: config.capabilities,
            is_mirror: config.is_mirror,
            peer,
            unresponsive: timeouts
                .unresponsive
                .max(config.dial_timeout.unwrap_or_default()),
            health,
            rejected: Mutex::default(),
        })
    }

    /// Notes that the host served other bytes than those of `digest`. Returns whether that is new.
    pub(super) fn reject(&self, digest: &Digest) -> bool {
        let mut rejected = self.rejected.lock().unwrap_or_else(PoisonError::into_inner);
        rejected.len() < MAX_REJECTED && rejected.insert(*digest)
    }

    pub(super) fn is_rejected(&self, digest: &Digest) -> bool {
        let rejected = self.rejected.lock().unwrap_or_else(PoisonError::into_inner);
        rejected.contains(digest)
    }

    /// Returns whether the host is spoken to over TLS only, although the registry is loopback.
    pub(super) fn is_tls_only(&self) -> bool {
        let profile = self.peer.as_ref().and_then(|peer| peer.profile.as_ref());
        profile.is_some_and(|profile| !profile.roots.is_empty() || !profile.certificates.is_empty())
    }
}
