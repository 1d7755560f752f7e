//! The hosts of each registry, looked up once.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::OnceCell;

use super::health::HostHealth;
use super::upstream::Upstream;
use crate::error::Error;
use crate::exchange::Exchange;
use crate::host::RegistryHost;
use crate::hosts::{ClientCertificate, HostConfig, HostProvider};

/// The largest number of registries whose hosts are kept.
const MAX_REGISTRIES: usize = 256;

/// The hosts of a registry, in order; never empty.
pub(super) type Hosts = Arc<[Arc<Upstream>]>;

/// The hosts of each registry that was asked for.
#[derive(Default)]
pub(super) struct Upstreams {
    provider: Option<Arc<dyn HostProvider>>,
    certificates: HashMap<RegistryHost, ClientCertificate>,
    health: HostHealth,
    known: Mutex<HashMap<RegistryHost, Arc<OnceCell<Hosts>>>>,
}

impl Upstreams {
    pub(super) fn new(
        provider: Option<Arc<dyn HostProvider>>,
        certificates: HashMap<RegistryHost, ClientCertificate>,
        health: HostHealth,
    ) -> Self {
        Self {
            provider,
            certificates,
            health,
            known: Mutex::default(),
        }
    }

    /// Returns the hosts of `registry`, asking the provider the first time.
    pub(super) async fn of(
        &self,
        registry: &RegistryHost,
        exchange: &Exchange,
    ) -> Result<Hosts, Error> {
        let cell = {
            let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
            if known.len() >= MAX_REGISTRIES && !known.contains_key(registry) {
                known.clear();
            }
            Arc::clone(known.entry(registry.clone()).or_default())
        };
        let hosts = cell
            .get_or_try_init(|| self.look_up(registry, exchange))
            .await?;
        Ok(Arc::clone(hosts))
    }

    async fn look_up(&self, registry: &RegistryHost, exchange: &Exchange) -> Result<Hosts, Error> {
        let mut configs = match &self.provider {
            Some(provider) => {
                provider
                    .hosts(registry)
                    .await
                    .map_err(|source| Error::HostProvider {
                        registry: registry.clone(),
                        source,
                    })?
            }
            None => Vec::new(),
        };
        if configs.is_empty() {
            configs.push(HostConfig::registry());
        }
        let certificate = self.certificates.get(registry);
        let hosts = configs.into_iter().map(|mut config| {
            if let Some(certificate) = certificate.filter(|_| !config.is_mirror) {
                config = config.with_client_certificate(certificate.clone());
            }
            let (timeouts, secrets) = (&exchange.timeouts, &exchange.secrets);
            Upstream::new(config, registry, timeouts, secrets, &self.health).map(Arc::new)
        });
        hosts.collect()
    }
}

impl fmt::Debug for Upstreams {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Upstreams")
            .field("has_provider", &self.provider.is_some())
            .finish_non_exhaustive()
    }
}
