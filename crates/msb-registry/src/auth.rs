//! Authentication: challenges, credentials, tokens.
//!
//! ```text
//!   request ──▶ remembered grant? ──▶ exchange ──2xx──▶ response
//!                                        │401 (of any hop), or 403, 404 to a stranger
//!                                        ▼
//!               challenge ──▶ credentials of that host ──▶ Basic, Bearer, or a token of its token service ──▶ again, once
//! ```

mod cache;
mod challenge;
mod provider;
mod registry_auth;
mod scope;
mod site;
mod token;
mod token_service;

use std::time::Instant;

use reqwest::header::WWW_AUTHENTICATE;
use reqwest::{StatusCode, Url};

use self::cache::{Grant, GrantCache};

use self::provider::Held;
use self::site::Site;
use self::token::is_sendable;
use self::token_service::{TokenSource, authorization};
use crate::context::Step;
use crate::error::{CredentialUse, Error};
use crate::exchange::Exchange;
use crate::exchange::hosts::same_origin;
use crate::exchange::request::{Authorization, Request, Response};
use crate::host::RegistryHost;
use crate::notice::Observer;

pub use self::challenge::Challenge;
pub(crate) use self::provider::CredentialSource;
pub use self::provider::{CredentialFuture, CredentialProvider};
pub use self::registry_auth::RegistryAuth;

/// The number of hosts along the redirects of one request that may ask for authentication.
const MAX_SITES: usize = 3;

/// Sends requests with the authorization that they need.
#[derive(Debug)]
pub(crate) struct Auth {
    pub(crate) exchange: Exchange,
    pub(crate) credentials: CredentialSource,
    grants: GrantCache,
}

impl Auth {
    pub(crate) fn new(exchange: Exchange, credentials: CredentialSource) -> Self {
        Self {
            exchange,
            credentials,
            grants: GrantCache::default(),
        }
    }

    /// Sends a request without any authorization. Every status but a success is an error.
    pub(crate) async fn send_without_credentials(
        &self,
        request: &Request<'_>,
        observer: &Observer,
    ) -> Result<Response, Error> {
        let response = self.exchange.send(request, &[], observer).await?;
        if response.inner.status().is_success() {
            return Ok(response);
        }
        Err(self
            .exchange
            .refused(response, CredentialUse::NoneGiven)
            .await)
    }

    /// Sends a request to a host of a registry, and returns what became of the credentials beside the response. Every status but a
    /// success is an error.
    pub(crate) async fn send(
        &self,
        request: &Request<'_>,
        observer: &Observer,
    ) -> Result<(Response, CredentialUse), Error> {
        let registry = Site::new(request, &request.url);
        // Never to a mirror: whatever is tried first, they are for the registry that the reference names.
        self.credentials.bind(&RegistryHost::of(request.reference));
        let mut attempt = Attempt {
            auth: self,
            request,
            observer,
            grants: Vec::new(),
            answered: Vec::new(),
        };
        if let Some(grant) = self.remembered(&registry, observer).await? {
            attempt.grants.push(grant);
        }
        loop {
            let authorizations: Vec<Authorization> = attempt
                .grants
                .iter()
                .map(|grant| grant.authorization.clone())
                .collect();
            let response = self
                .exchange
                .send(request, &authorizations, observer)
                .await?;
            match response.inner.status() {
                status if status.is_success() => {
                    let credentials = match attempt.grant_of(&registry) {
                        Some(grant) => grant.credentials.clone(),
                        None => CredentialUse::NotRequested,
                    };
                    return Ok((response, credentials));
                }
                StatusCode::UNAUTHORIZED => attempt.answer(response).await?,
                // Some registries deny to strangers that there is anything.
                StatusCode::NOT_FOUND | StatusCode::FORBIDDEN
                    if !response.left
                        && attempt.grants.is_empty()
                        && !self
                            .credentials
                            .get(&registry.host, registry.repository())
                            .await?
                            .auth
                            .is_anonymous()
                        && attempt.introduce(&registry).await? =>
                {
                    drop(self.exchange.message(response).await);
                }
                _ => {
                    let site = Site::new(request, &response.url);
                    let credentials = attempt.credential_use(&site).await?;
                    return Err(self.exchange.refused(response, credentials).await);
                }
            }
        }
    }

    /// Returns the grant to begin with. A token that is being fetched is waited for, and one that expires is renewed.
    async fn remembered(
        &self,
        site: &Site<'_>,
        observer: &Observer,
    ) -> Result<Option<Grant>, Error> {
        let slot = self.grants.slot(&site.key());
        let mut slot = slot.lock().await;
        match &mut *slot {
            Some(grant) if grant.is_current() => return Ok(Some(grant.clone())),
            Some(Grant {
                source: Some(source),
                ..
            }) => {
                let held = self.credentials.get(&site.host, site.repository()).await?;
                let source = source.clone();
                match self.fetch(source, site, &held, observer).await {
                    Ok(grant) => {
                        *slot = Some(grant.clone());
                        return Ok(Some(grant));
                    }
                    // The registry's next challenge may name another service.
                    Err(error) => tracing::debug!(%error, "a token cannot be renewed"),
                }
                *slot = None;
            }
            _ => *slot = None,
        }
        // A bearer token needs no challenge; with one at hand, none is waited for.
        if let Some(held) = self.credentials.known(&site.host, site.repository())
            && matches!(held.auth, RegistryAuth::Bearer { .. })
        {
            *slot = self.static_grant(site, &held, "bearer")?;
        }
        Ok(slot.clone())
    }

    /// Returns a grant that answers the challenges of `site`, other than the one that was `used`. `None` if there is none.
    async fn renew(
        &self,
        site: &Site<'_>,
        challenges: &[Challenge],
        used: Option<&Grant>,
        observer: &Observer,
    ) -> Result<Option<Grant>, Error> {
        let slot = self.grants.slot(&site.key());
        let mut slot = slot.lock().await;
        let used = used.map(|grant| &grant.authorization.header);
        if let Some(grant) = &*slot
            && grant.is_current()
            && Some(&grant.authorization.header) != used
        {
            // Another request has renewed it in the meantime.
            return Ok(Some(grant.clone()));
        }
        *slot = None;
        let held = self.credentials.get(&site.host, site.repository()).await?;
        let find = |scheme| challenges.iter().find(|found| found.scheme == scheme);
        let bearer = find("bearer").filter(|_| !matches!(held.auth, RegistryAuth::Bearer { .. }));
        let source = match bearer {
            Some(challenge) => TokenSource::new(challenge, site, &self.exchange)?,
            None => None,
        };
        let grant = match source {
            Some(source) => Some(self.fetch(source, site, &held, observer).await?),
            // A bearer token answers any challenge.
            None if matches!(held.auth, RegistryAuth::Bearer { .. }) => {
                self.static_grant(site, &held, "bearer")?
            }
            None if find("basic").is_some() => self.static_grant(site, &held, "basic")?,
            None => None,
        };
        // The same header again would be refused again.
        let grant = grant.filter(|grant| Some(&grant.authorization.header) != used);
        slot.clone_from(&grant);
        Ok(grant)
    }

    async fn fetch(
        &self,
        source: TokenSource,
        site: &Site<'_>,
        held: &Held,
        observer: &Observer,
    ) -> Result<Grant, Error> {
        let (token, credentials) = source.fetch(site, held, &self.exchange, observer).await?;
        Ok(Grant {
            authorization: authorization(&site.base, "Bearer", token.text, &self.exchange)?,
            credentials,
            expires: Some(Instant::now() + token.life),
            source: Some(source),
        })
    }

    /// Returns the grant that the credentials are by themselves, for a challenge of `scheme`.
    fn static_grant(
        &self,
        site: &Site<'_>,
        held: &Held,
        scheme: &str,
    ) -> Result<Option<Grant>, Error> {
        if !self.exchange.rules.allow_credentials(&site.base) {
            return Ok(None);
        }
        let authorization = match (&held.auth, scheme) {
            (RegistryAuth::Basic { .. } | RegistryAuth::IdentityToken { .. }, "basic") => {
                let Some(encoded) = held.auth.basic()? else {
                    return Ok(None);
                };
                authorization(&site.base, "Basic", encoded, &self.exchange)?
            }
            (RegistryAuth::Bearer { token }, "bearer") => {
                if !is_sendable(token) {
                    return Err(Error::Credentials);
                }
                authorization(&site.base, "Bearer", token.clone().into(), &self.exchange)?
            }
            _ => return Ok(None),
        };
        Ok(Some(Grant {
            authorization,
            credentials: CredentialUse::Sent,
            expires: None,
            source: None,
        }))
    }
}

/// One request and the challenges that it met.
struct Attempt<'a, 'r> {
    auth: &'a Auth,
    request: &'a Request<'r>,
    observer: &'a Observer,
    /// One for each origin.
    grants: Vec<Grant>,
    /// The origins whose challenge was answered.
    answered: Vec<Url>,
}

impl Attempt<'_, '_> {
    /// Finds an answer to a 401, or returns the error.
    async fn answer(&mut self, response: Response) -> Result<(), Error> {
        let site = Site::new(self.request, &response.url);
        let has_returned = response.left && same_origin(&site.base, &self.request.url);
        let is_answered = self.answered.iter().any(|url| same_origin(url, &site.base));
        let mut fresh = None;
        if !has_returned && !is_answered && self.answered.len() < MAX_SITES {
            fresh = self.renew(&site, &challenges(&response)).await?;
        }
        match fresh {
            Some(grant) => {
                drop(self.auth.exchange.message(response).await);
                self.take(&site, grant);
                Ok(())
            }
            None => {
                let credentials = self.credential_use(&site).await?;
                if credentials == CredentialUse::Sent {
                    self.auth.credentials.forget(&site.host, site.repository());
                }
                Err(self.auth.exchange.refused(response, credentials).await)
            }
        }
    }

    /// Asks the registry for a challenge where the request itself met none. Returns whether there is an answer to it.
    async fn introduce(&mut self, site: &Site<'_>) -> Result<bool, Error> {
        let (own, url) = (site.api.clone(), site.api.clone());
        let mut request = Request::get(Step::Challenge, self.request.reference, own, url, "*/*");
        request.peer.clone_from(&site.peer);
        let response = self
            .auth
            .exchange
            .send(&request, &[], self.observer)
            .await?;
        if response.left || response.inner.status() != StatusCode::UNAUTHORIZED {
            return Ok(false);
        }
        let fresh = self.renew(site, &challenges(&response)).await?;
        drop(self.auth.exchange.message(response).await);
        match fresh {
            Some(grant) => {
                self.take(site, grant);
                Ok(true)
            }
            None => Ok(false),
        }
    }

    async fn renew(
        &self,
        site: &Site<'_>,
        challenges: &[Challenge],
    ) -> Result<Option<Grant>, Error> {
        let used = self.grant_of(site);
        self.auth.renew(site, challenges, used, self.observer).await
    }

    fn take(&mut self, site: &Site<'_>, grant: Grant) {
        self.grants
            .retain(|grant| !same_origin(&grant.authorization.origin, &site.base));
        self.grants.push(grant);
        self.answered.push(site.base.clone());
    }

    fn grant_of(&self, site: &Site<'_>) -> Option<&Grant> {
        self.grants
            .iter()
            .find(|grant| same_origin(&grant.authorization.origin, &site.base))
    }

    /// Returns what became of the credentials for `site`.
    async fn credential_use(&self, site: &Site<'_>) -> Result<CredentialUse, Error> {
        if let Some(grant) = self.grant_of(site) {
            return Ok(grant.credentials.clone());
        }
        let held = self
            .auth
            .credentials
            .get(&site.host, site.repository())
            .await?;
        Ok(if held.auth.is_anonymous() {
            held.unused()
        } else if self.auth.exchange.rules.allow_credentials(&site.base) {
            CredentialUse::NotRequested
        } else {
            CredentialUse::WithheldFromPlainHttp {
                host: RegistryHost::of_url(&site.base),
            }
        })
    }
}

fn challenges(response: &Response) -> Vec<Challenge> {
    response
        .inner
        .headers()
        .get_all(WWW_AUTHENTICATE)
        .iter()
        .flat_map(|value| Challenge::parse_all(value.as_bytes()))
        .collect()
}
