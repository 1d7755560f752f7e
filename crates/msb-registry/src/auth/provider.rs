//! Where credentials come from.

use std::collections::HashMap;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use zeroize::Zeroizing;

use super::registry_auth::RegistryAuth;
use crate::error::{CredentialUse, Error};
use crate::host::RegistryHost;
use crate::secrets::{Secret, Secrets};

/// The number of repositories whose credentials are remembered.
const MAX_REPOSITORIES: usize = 256;

/// What a [`CredentialProvider`] returns.
pub type CredentialFuture<'a> = Pin<
    Box<
        dyn Future<Output = Result<RegistryAuth, Box<dyn std::error::Error + Send + Sync>>>
            + Send
            + 'a,
    >,
>;

/// Looks up credentials, for example in a file or with a helper program.
///
/// A client asks for a host when that host first requires authentication: the registry that a reference names, a mirror of it, or
/// the target of a redirect. It uses the result for that host, and for the token service that the host points at, alone. It
/// asks again after the host refused the credentials.
///
/// ```
/// use msb_registry::{CredentialFuture, CredentialProvider, RegistryAuth, RegistryHost};
///
/// #[derive(Debug)]
/// struct OneHost;
///
/// impl CredentialProvider for OneHost {
///     fn credentials<'a>(&'a self, host: &'a RegistryHost) -> CredentialFuture<'a> {
///         Box::pin(async move {
///             Ok(match host.as_str() {
///                 "ghcr.io" => RegistryAuth::Basic { username: "me".into(), password: "pat".into() },
///                 _ => RegistryAuth::Anonymous,
///             })
///         })
///     }
/// }
///
/// let client = msb_registry::Client::builder().credentials(OneHost).build()?;
/// # Ok::<(), msb_registry::Error>(())
/// ```
pub trait CredentialProvider: Send + Sync {
    /// Returns the credentials for `host`, or [`RegistryAuth::Anonymous`] if there are none.
    ///
    /// The future runs on the caller's executor and must not block it.
    fn credentials<'a>(&'a self, host: &'a RegistryHost) -> CredentialFuture<'a>;

    /// Returns whether there may be credentials for single repositories. Default: no. A client then asks once for each host.
    fn has_repository_credentials(&self) -> bool {
        false
    }

    /// Returns the credentials for one repository of `host`. Default: those of the host.
    ///
    /// A client calls it in place of [`credentials`](Self::credentials) if
    /// [`has_repository_credentials`](Self::has_repository_credentials).
    fn repository_credentials<'a>(
        &'a self,
        host: &'a RegistryHost,
        repository: &'a str,
    ) -> CredentialFuture<'a> {
        let _ = repository;
        self.credentials(host)
    }
}

/// The credentials that a client was built with.
pub(crate) struct CredentialSource {
    /// By host, as named.
    named: HashMap<RegistryHost, RegistryAuth>,
    /// Of no named host: for the first registry that is asked.
    unnamed: RegistryAuth,
    provider: Option<Arc<dyn CredentialProvider>>,
    secrets: Arc<Secrets>,
    bound_to: OnceLock<RegistryHost>,
    /// By host, and by repository if the provider distinguishes them.
    held: Mutex<HashMap<(RegistryHost, String), Arc<Held>>>,
}

/// The credentials of a host, with their secrets known for redaction.
#[derive(Debug)]
pub(crate) struct Held {
    pub(crate) auth: RegistryAuth,
    /// The host that unnamed credentials are bound to, where those are the only ones and it is another host.
    pub(crate) bound_to: Option<RegistryHost>,
    _secrets: Vec<Arc<Secret>>,
}

impl CredentialSource {
    pub(crate) fn new(
        named: HashMap<RegistryHost, RegistryAuth>,
        unnamed: RegistryAuth,
        provider: Option<Arc<dyn CredentialProvider>>,
        secrets: Arc<Secrets>,
    ) -> Self {
        Self {
            named,
            unnamed,
            provider,
            secrets,
            bound_to: OnceLock::new(),
            held: Mutex::default(),
        }
    }

    /// Binds unnamed credentials to `registry`, unless they are bound already.
    pub(super) fn bind(&self, registry: &RegistryHost) {
        if !self.unnamed.is_anonymous() {
            let _ = self.bound_to.set(registry.clone());
        }
    }

    /// Returns the credentials for `host` if no provider has to be asked for them.
    pub(super) fn known(&self, host: &RegistryHost, repository: &str) -> Option<Arc<Held>> {
        let key = self.key(host, repository);
        let held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(held) = held.get(&key) {
            return Some(Arc::clone(held));
        }
        drop(held);
        let is_bound = self.bound_to.get() == Some(host);
        let auth = match self.named.get(host) {
            Some(auth) => auth,
            None if is_bound && !self.unnamed.is_anonymous() => &self.unnamed,
            None if self.provider.is_some() => return None,
            None => &RegistryAuth::Anonymous,
        };
        Some(self.hold(key, auth.clone()))
    }

    /// Returns the credentials for `host`, asking the provider if necessary.
    pub(super) async fn get(
        &self,
        host: &RegistryHost,
        repository: &str,
    ) -> Result<Arc<Held>, Error> {
        if let Some(held) = self.known(host, repository) {
            return Ok(held);
        }
        let auth = match &self.provider {
            Some(provider) => {
                let asked = if provider.has_repository_credentials() {
                    provider.repository_credentials(host, repository)
                } else {
                    provider.credentials(host)
                };
                asked.await.map_err(|source| Error::CredentialProvider {
                    host: host.clone(),
                    source,
                })?
            }
            None => RegistryAuth::Anonymous,
        };
        Ok(self.hold(self.key(host, repository), auth))
    }

    fn key(&self, host: &RegistryHost, repository: &str) -> (RegistryHost, String) {
        let provider = self.provider.as_ref();
        let is_by_repository =
            provider.is_some_and(|provider| provider.has_repository_credentials());
        let repository = if is_by_repository { repository } else { "" };
        (host.clone(), repository.to_owned())
    }

    /// Forgets credentials, so that the provider is asked again when they are needed next.
    pub(super) fn forget(&self, host: &RegistryHost, repository: &str) {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        held.remove(&self.key(host, repository));
    }

    fn hold(&self, key: (RegistryHost, String), auth: RegistryAuth) -> Arc<Held> {
        let encoded = auth.basic().ok().flatten();
        let secrets = [auth.secret(), encoded]
            .into_iter()
            .flatten()
            .map(|secret: Zeroizing<String>| self.secrets.add(secret))
            .collect();
        let bound_to = self.bound_to.get().filter(|bound| **bound != key.0);
        let entry = Arc::new(Held {
            bound_to: bound_to.filter(|_| auth.is_anonymous()).cloned(),
            auth,
            _secrets: secrets,
        });
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        if held.len() >= MAX_REPOSITORIES {
            held.clear();
        }
        held.insert(key, Arc::clone(&entry));
        entry
    }
}

impl Held {
    /// Returns why there are no credentials.
    pub(super) fn unused(&self) -> CredentialUse {
        match &self.bound_to {
            Some(bound_to) => CredentialUse::BoundToOtherHost {
                bound_to: bound_to.clone(),
            },
            None => CredentialUse::NoneGiven,
        }
    }
}

impl fmt::Debug for CredentialSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CredentialSource")
            .field("named", &self.named.keys())
            .field("bound_to", &self.bound_to.get())
            .finish_non_exhaustive()
    }
}
