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

/// The number of hosts whose credentials are remembered.
const MAX_HOSTS: usize = 64;

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
/// It is asked about the host of the registry that a reference names, and about the host that a redirect leads to if that host
/// requires authentication; each time before anything is sent there that the answer would be needed for. The answer is used for
/// that host, and for the token service that it points at, alone. A host is asked about again after it refused the credentials.
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
    held: Mutex<HashMap<RegistryHost, Arc<Held>>>,
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
    pub(super) fn known(&self, host: &RegistryHost) -> Option<Arc<Held>> {
        let held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(held) = held.get(host) {
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
        Some(self.hold(host, auth.clone()))
    }

    /// Returns the credentials for `host`, asking the provider if necessary.
    pub(super) async fn get(&self, host: &RegistryHost) -> Result<Arc<Held>, Error> {
        if let Some(held) = self.known(host) {
            return Ok(held);
        }
        let auth =
            match &self.provider {
                Some(provider) => provider.credentials(host).await.map_err(|source| {
                    Error::CredentialProvider {
                        host: host.clone(),
                        source,
                    }
                })?,
                None => RegistryAuth::Anonymous,
            };
        Ok(self.hold(host, auth))
    }

    /// Asks the provider again when credentials for `host` are needed next.
    pub(super) fn forget(&self, host: &RegistryHost) {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        held.remove(host);
    }

    fn hold(&self, host: &RegistryHost, auth: RegistryAuth) -> Arc<Held> {
        let encoded = auth.basic().ok().flatten();
        let secrets = [auth.secret(), encoded]
            .into_iter()
            .flatten()
            .map(|secret: Zeroizing<String>| self.secrets.add(secret))
            .collect();
        let bound_to = self.bound_to.get().filter(|bound| *bound != host);
        let entry = Arc::new(Held {
            bound_to: bound_to.filter(|_| auth.is_anonymous()).cloned(),
            auth,
            _secrets: secrets,
        });
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        if held.len() >= MAX_HOSTS {
            held.clear();
        }
        held.insert(host.clone(), Arc::clone(&entry));
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
