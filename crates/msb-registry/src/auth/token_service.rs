//! Asking a token service for a token.
//!
//! Specifications: "Token Authentication Specification" and "OAuth2 Token Authentication" of the distribution project.

use bytes::Bytes;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_encode};
use reqwest::header::HeaderValue;
use reqwest::{Method, StatusCode, Url};
use zeroize::{Zeroize as _, Zeroizing};

use super::challenge::Challenge;
use super::provider::Held;
use super::registry_auth::RegistryAuth;
use super::scope::scopes;
use super::site::Site;
use super::token::{Token, parse_token};
use crate::context::Step;
use crate::error::{CredentialUse, Error, TokenProblem};
use crate::exchange::Exchange;
use crate::exchange::content::RequestBody;
use crate::exchange::hosts::same_origin;
use crate::exchange::redirect::without_query;
use crate::exchange::request::{Authorization, Request, Response};
use crate::host::RegistryHost;
use crate::notice::Observer;

const ACCEPT_JSON: &str = "application/json";
const FORM: &str = "application/x-www-form-urlencoded";
/// The name of this client, which the OAuth2 flow requires.
const CLIENT_ID: &str = "microsandbox-image";
/// Everything but the characters that a form leaves as they are.
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_');

/// A token service, and what to ask it for.
#[derive(Debug, Clone)]
pub(super) struct TokenSource {
    realm: Url,
    /// As the challenge has it; any bytes.
    service: Option<Vec<u8>>,
    scopes: Vec<String>,
}

impl TokenSource {
    /// Takes the service that a challenge of `site` names, if it may be used. Returns `None` if it names none.
    pub(super) fn new(
        challenge: &Challenge,
        site: &Site<'_>,
        exchange: &Exchange,
    ) -> Result<Option<Self>, Error> {
        let Some(bytes) = challenge.param("realm") else {
            return Ok(None);
        };
        let text = String::from_utf8_lossy(bytes);
        let unusable = |problem| Error::TokenService {
            context: exchange.context(&site.token_request(site.base.clone()), &site.base),
            realm: without_query(&text, &exchange.secrets),
            problem,
        };
        let mut realm = Url::parse(&text).map_err(|_| unusable(TokenProblem::NotAUrl))?;
        // As in a redirect, a user in a URL would become a header. Fails only where there can be none.
        let _ = realm.set_username("");
        let _ = realm.set_password(None);
        let may_be_plain = || {
            site.base.scheme() == "http"
                && (same_origin(&realm, &site.base) || exchange.rules.plain.contains(&realm))
        };
        match realm.scheme() {
            "https" => {}
            "http" if may_be_plain() => {}
            _ => return Err(unusable(TokenProblem::PlainHttp)),
        }
        if !exchange.rules.allow_address(&realm, &site.base) {
            return Err(unusable(TokenProblem::PrivateAddress));
        }
        Ok(Some(Self {
            realm,
            service: challenge.param("service").map(<[u8]>::to_vec),
            scopes: scopes(challenge.text("scope"), &site.scope, &site.access),
        }))
    }

    /// Fetches a token, with the credentials of `held` where they may go to the service.
    pub(super) async fn fetch(
        &self,
        site: &Site<'_>,
        held: &Held,
        exchange: &Exchange,
        observer: &Observer,
    ) -> Result<(Token, CredentialUse), Error> {
        let credentials = if held.auth.is_anonymous() {
            held.unused()
        } else if exchange.rules.allow_credentials(&self.realm) {
            CredentialUse::Sent
        } else {
            CredentialUse::WithheldFromPlainHttp {
                host: RegistryHost::of_url(&self.realm),
            }
        };
        let sent = credentials == CredentialUse::Sent;
        let mut response = None;
        if let (RegistryAuth::IdentityToken { token }, true) = (&held.auth, sent) {
            let request = self.post(site, token);
            let answer = exchange.send(&request, &[], observer).await?;
            // Services without this flow; they may still take the token as a password.
            let has_flow = !matches!(
                answer.inner.status(),
                StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED
            );
            if has_flow {
                response = Some(answer);
            } else {
                drop(exchange.message(answer).await);
            }
        }
        let response = match response {
            Some(response) => response,
            None => {
                let auth = if sent {
                    &held.auth
                } else {
                    &RegistryAuth::Anonymous
                };
                self.get(site, auth, exchange, observer).await?
            }
        };
        if response.inner.status() != StatusCode::OK {
            return Err(exchange.refused(response, credentials).await);
        }
        let (body, context) = exchange.read(response, exchange.limits.token_bytes).await?;
        let token = parse_token(&body).map_err(|problem| Error::TokenService {
            context,
            realm: without_query(self.realm.as_str(), &exchange.secrets),
            problem,
        })?;
        // Where no other handle of the body is left, it is wiped.
        if let Ok(mut body) = body.try_into_mut() {
            body.as_mut().zeroize();
        }
        Ok((token, credentials))
    }

    /// Returns the request of the OAuth2 flow.
    fn post<'a>(&self, site: &Site<'a>, token: &str) -> Request<'a> {
        let mut form = Zeroizing::new(String::new());
        push_pair(&mut form, "grant_type", b"refresh_token");
        push_pair(&mut form, "client_id", CLIENT_ID.as_bytes());
        if let Some(service) = &self.service {
            push_pair(&mut form, "service", service);
        }
        if !self.scopes.is_empty() {
            push_pair(&mut form, "scope", self.scopes.join(" ").as_bytes());
        }
        push_pair(&mut form, "refresh_token", token.as_bytes());
        let mut request = site.token_request(self.realm.clone());
        request.method = Method::POST;
        request.body = Some(RequestBody::bytes(
            FORM,
            Bytes::copy_from_slice(form.as_bytes()),
        ));
        request
    }

    /// Requests a token with a user and a password, or anonymously.
    async fn get(
        &self,
        site: &Site<'_>,
        auth: &RegistryAuth,
        exchange: &Exchange,
        observer: &Observer,
    ) -> Result<Response, Error> {
        let mut url = self.realm.clone();
        let mut query = url.query().unwrap_or_default().to_owned();
        if let Some(service) = &self.service {
            push_pair(&mut query, "service", service);
        }
        for scope in &self.scopes {
            push_pair(&mut query, "scope", scope.as_bytes());
        }
        let mut authorizations = Vec::new();
        if let Some(encoded) = auth.basic()? {
            if let RegistryAuth::Basic { username, .. } = auth {
                push_pair(&mut query, "account", username.as_bytes());
            }
            authorizations.push(authorization(&url, "Basic", encoded, exchange)?);
        }
        url.set_query(Some(&query));
        let request = site.token_request(url);
        exchange.send(&request, &authorizations, observer).await
    }
}

impl<'a> Site<'a> {
    fn token_request(&self, url: Url) -> Request<'a> {
        let own = self.api.clone();
        let mut request = Request::get(Step::Token, self.reference, own, url, ACCEPT_JSON);
        request.peer.clone_from(&self.peer);
        request
    }
}

/// Makes a value of `Authorization` for the origin of `url`, and registers its secret for redaction.
pub(super) fn authorization(
    url: &Url,
    scheme: &str,
    secret: Zeroizing<String>,
    exchange: &Exchange,
) -> Result<Authorization, Error> {
    let text = Zeroizing::new(format!("{scheme} {}", secret.as_str()));
    let mut header = HeaderValue::from_str(&text).map_err(|_| Error::Credentials)?;
    header.set_sensitive(true);
    Ok(Authorization {
        origin: url.clone(),
        header,
        _secret: exchange.secrets.add(secret),
    })
}

fn push_pair(form: &mut String, name: &str, value: &[u8]) {
    if !form.is_empty() {
        form.push('&');
    }
    form.push_str(name);
    form.push('=');
    form.extend(percent_encode(value, ESCAPED));
}
