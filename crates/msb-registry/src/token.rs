//! Tokens: who hands them out, for what, and until when they hold.
//!
//! Specification: "Token Authentication Specification" of the distribution project.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use msb_oci::{Excerpt, Reference};
use reqwest::header::{HeaderValue, WWW_AUTHENTICATE};
use reqwest::{Response, StatusCode, Url};
use serde_json::Value;

use crate::auth::RegistryAuth;
use crate::challenge::Challenge;
use crate::client::Inner;
use crate::error::{CredentialsSeen, Error, TokenProblem};
use crate::exchange::Question;
use crate::origin::same_origin;
use crate::shown::{At, Step};

/// A token's life if the service does not say (from the specification).
const DEFAULT_LIFE: Duration = Duration::from_secs(60);
/// No token is kept longer, whatever the service says.
const MAX_LIFE: Duration = Duration::from_secs(3600);

/// The `Authorization` headers that work, one for each origin and repository.
#[derive(Debug, Default)]
pub(crate) struct Tokens(Mutex<HashMap<(String, String), SharedSlot>>);

type SharedSlot = Arc<tokio::sync::Mutex<Slot>>;

/// Locked while a token is fetched, so that all who need it wait for one fetch.
#[derive(Debug, Default)]
pub(crate) struct Slot {
    header: Option<HeaderValue>,
    /// `None` holds for good.
    until: Option<Instant>,
}

impl Slot {
    fn current(&self) -> Option<&HeaderValue> {
        self.header
            .as_ref()
            .filter(|_| self.until.is_none_or(|until| Instant::now() < until))
    }
}

impl Tokens {
    fn slot(&self, base: &Url, reference: &Reference) -> SharedSlot {
        let key = (base.to_string(), reference.repository().to_owned());
        let mut slots = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(slots.entry(key).or_default())
    }
}

impl Inner {
    /// The header to start with; a token that is being fetched is waited for.
    pub(crate) async fn authorization(
        &self,
        base: &Url,
        reference: &Reference,
    ) -> Result<Option<HeaderValue>, Error> {
        if let RegistryAuth::Bearer { token } = &self.auth {
            return if self.may_send_credentials(base) {
                bearer(token).map(Some)
            } else {
                Ok(None)
            };
        }
        let slot = self.tokens.slot(base, reference);
        let slot = slot.lock().await;
        Ok(slot.current().cloned())
    }

    /// A header to try after a 401 that answered `used`; `None` if there is no other.
    pub(crate) async fn renew(
        &self,
        base: &Url,
        reference: &Reference,
        used: Option<&HeaderValue>,
        refusal: &Response,
    ) -> Result<Option<HeaderValue>, Error> {
        if matches!(self.auth, RegistryAuth::Bearer { .. }) {
            return Ok(None);
        }
        let slot = self.tokens.slot(base, reference);
        let mut slot = slot.lock().await;
        if let Some(header) = slot.current().filter(|header| Some(*header) != used) {
            // Someone else has renewed it in the meantime.
            return Ok(Some(header.clone()));
        }
        *slot = Slot::default();
        let challenges: Vec<Challenge> = refusal
            .headers()
            .get_all(WWW_AUTHENTICATE)
            .iter()
            .filter_map(|value| value.to_str().ok())
            .flat_map(Challenge::parse_all)
            .collect();
        let find = |scheme| {
            challenges
                .iter()
                .find(|challenge| challenge.scheme == scheme)
        };
        if let Some((challenge, realm)) =
            find("bearer").and_then(|found| Some((found, found.param("realm")?)))
        {
            let (header, life) = self
                .fetch_token(base, reference, realm, challenge.param("service"))
                .await?;
            *slot = Slot {
                header: Some(header),
                until: Some(Instant::now() + life),
            };
        } else if find("basic").is_some() && self.may_send_credentials(base) {
            let header = self.basic()?;
            // The same credentials again would be refused again.
            if header.as_ref() == used {
                return Ok(None);
            }
            *slot = Slot {
                header,
                until: None,
            };
        }
        Ok(slot.header.clone())
    }

    async fn fetch_token(
        &self,
        base: &Url,
        reference: &Reference,
        realm: &str,
        service: Option<&str>,
    ) -> Result<(HeaderValue, Duration), Error> {
        let question = Question {
            step: Step::Token,
            reference,
            accept: "application/json",
            from: 0,
        };
        let unusable = |at: At, problem| Error::TokenService {
            at,
            realm: Excerpt::new(without_query(realm)),
            problem,
        };
        let mut url =
            Url::parse(realm).map_err(|_| unusable(question.at(base), TokenProblem::NotAUrl))?;
        // See the redirects: a user in a URL would become a header. Fails only where there can be none.
        let _ = url.set_username("");
        let _ = url.set_password(None);
        let plain_is_fine =
            || base.scheme() == "http" && (same_origin(&url, base) || self.plain_hosts.allow(&url));
        if url.scheme() != "https" && !(url.scheme() == "http" && plain_is_fine()) {
            return Err(unusable(question.at(base), TokenProblem::PlainHttp));
        }
        let authorization = if self.may_send_credentials(&url) {
            self.basic()?
        } else {
            None
        };
        {
            let mut query = url.query_pairs_mut();
            if let Some(service) = service {
                query.append_pair("service", service);
            }
            query.append_pair(
                "scope",
                &format!("repository:{}:pull", reference.repository()),
            );
            if let (RegistryAuth::Basic { username, .. }, Some(_)) = (&self.auth, &authorization) {
                query.append_pair("account", username);
            }
        }
        let answer = self
            .exchange(&question, &url, authorization.as_ref())
            .await?;
        let at = answer.at.clone();
        match answer.response.status() {
            StatusCode::OK => {}
            StatusCode::UNAUTHORIZED => {
                let credentials = self.seen(&url);
                return Err(Error::Unauthorized {
                    at,
                    credentials,
                    said: self.said(answer).await,
                });
            }
            _ => return Err(self.refused(answer).await),
        }
        let (body, at) = self.read(answer, self.limits.token_bytes).await?;
        parse_token(&body).map_err(|problem| unusable(at, problem))
    }

    /// Whether credentials may go to `url`: over TLS, or where plain HTTP was asked for by name.
    pub(crate) fn may_send_credentials(&self, url: &Url) -> bool {
        url.scheme() == "https" || self.plain_hosts.allow(url)
    }

    /// What `url`'s server has seen of our credentials, for an error.
    pub(crate) fn seen(&self, url: &Url) -> CredentialsSeen {
        if self.auth.is_anonymous() {
            CredentialsSeen::None
        } else if self.may_send_credentials(url) {
            CredentialsSeen::Sent
        } else {
            CredentialsSeen::Withheld
        }
    }

    fn basic(&self) -> Result<Option<HeaderValue>, Error> {
        let RegistryAuth::Basic { username, password } = &self.auth else {
            return Ok(None);
        };
        // A colon would move the rest of the name into the password (RFC 7617).
        if username.contains(':') {
            return Err(Error::Credentials);
        }
        let pair = base64(format!("{username}:{password}").as_bytes());
        secret(&format!("Basic {pair}"))
            .map(Some)
            .ok_or(Error::Credentials)
    }
}

fn bearer(token: &str) -> Result<HeaderValue, Error> {
    Some(token)
        .filter(|token| is_token(token))
        .and_then(|token| secret(&format!("Bearer {token}")))
        .ok_or(Error::Credentials)
}

/// Nothing but what can be seen: a line break would begin another header.
fn is_token(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_graphic())
}

/// A header value that `Debug` does not show.
fn secret(text: &str) -> Option<HeaderValue> {
    let mut value = HeaderValue::from_str(text).ok()?;
    value.set_sensitive(true);
    Some(value)
}

fn parse_token(body: &[u8]) -> Result<(HeaderValue, Duration), TokenProblem> {
    let answer: Value = serde_json::from_slice(body).map_err(|_| TokenProblem::Answer)?;
    let text = |name: &str| {
        answer
            .get(name)
            .and_then(Value::as_str)
            .filter(|text| !text.is_empty())
    };
    // The specification has both names for the same thing.
    let token = text("token")
        .or_else(|| text("access_token"))
        .ok_or(TokenProblem::Missing)?;
    let header = Some(token)
        .filter(|token| is_token(token))
        .and_then(|token| secret(&format!("Bearer {token}")));
    let life = answer
        .get("expires_in")
        .and_then(Value::as_u64)
        .map_or(DEFAULT_LIFE, Duration::from_secs)
        .min(MAX_LIFE);
    // A little less, so that it does not run out on its way.
    Ok((header.ok_or(TokenProblem::Characters)?, life.mul_f32(0.9)))
}

fn without_query(url: &str) -> &str {
    url.split(['?', '#']).next().unwrap_or_default()
}

/// RFC 4648, section 4.
fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for group in bytes.chunks(3) {
        let byte = |index: usize| usize::from(group.get(index).copied().unwrap_or(0));
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        for (position, shift) in [18, 12, 6, 0].into_iter().enumerate() {
            out.push(if position <= group.len() {
                char::from(ALPHABET[bits >> shift & 63])
            } else {
                '='
            });
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_as_in_the_rfc() {
        for (plain, coded) in [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foob", "Zm9vYg=="),
            ("foobar", "Zm9vYmFy"),
        ] {
            assert_eq!(base64(plain.as_bytes()), coded);
        }
    }

    #[test]
    fn tokens_with_line_breaks_are_refused() {
        assert_eq!(
            parse_token(br#"{"token":"a\r\nX-Evil: 1"}"#).unwrap_err(),
            TokenProblem::Characters
        );
        assert_eq!(
            parse_token(br#"{"token":"a b"}"#).unwrap_err(),
            TokenProblem::Characters
        );
        assert_eq!(parse_token(b"<html>").unwrap_err(), TokenProblem::Answer);
        assert_eq!(
            parse_token(br#"{"token":""}"#).unwrap_err(),
            TokenProblem::Missing
        );
    }

    #[test]
    fn both_names_and_the_life_of_a_token() {
        let (header, life) = parse_token(br#"{"access_token":"abc","expires_in":300}"#).unwrap();
        assert_eq!(header, "Bearer abc");
        assert_eq!(life.as_secs(), 270);
        assert!(!format!("{header:?}").contains("abc"));
        assert_eq!(parse_token(br#"{"token":"abc"}"#).unwrap().1.as_secs(), 54);
        assert!(
            parse_token(br#"{"token":"abc","expires_in":18446744073709551615}"#)
                .unwrap()
                .1
                <= MAX_LIFE
        );
    }
}
