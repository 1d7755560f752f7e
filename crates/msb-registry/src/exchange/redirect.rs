//! Which redirects are followed.

use msb_oci::Excerpt;
use reqwest::Url;
use reqwest::header::LOCATION;

use super::address::is_private;
use super::hosts::{NamedHosts, same_origin};
use super::request::Request;
use crate::error::RedirectProblem;
use crate::redact::RedactedUrl;
use crate::secrets::Secrets;
use crate::transport::is_loopback;

/// The hosts that the user named.
#[derive(Debug, Default)]
pub(crate) struct HostRules {
    /// For plain HTTP, and for credentials over it.
    pub(crate) plain: NamedHosts,
    /// For anything: plain hosts, hosts with credentials, and hosts that are known to be private.
    pub(crate) known: NamedHosts,
}

impl HostRules {
    /// Returns whether a server may lead to `url`: not to a private address, unless that is on the same host as `own`, or named.
    pub(crate) fn allow_address(&self, url: &Url, own: &Url) -> bool {
        !is_private(url)
            || url.host_str() == own.host_str()
            || self.known.contains(url)
            // One machine has several names for itself.
            || (url.host_str().is_some_and(is_loopback) && own.host_str().is_some_and(is_loopback))
    }

    /// Returns whether credentials may go to `url`: over TLS, or where its host is named for plain HTTP.
    pub(crate) fn allow_credentials(&self, url: &Url) -> bool {
        url.scheme() == "https" || self.plain.contains(url)
    }

    /// Returns the target of a redirect, if it is followed by these rules:
    ///
    /// - never from HTTPS to HTTP; from HTTP to HTTP only within an origin or to a host that is named for it;
    /// - not to a private address that is not the registry's own and not named;
    /// - a body goes no further than its origin.
    pub(super) fn next_hop(
        &self,
        request: &Request<'_>,
        url: &Url,
        response: &reqwest::Response,
        secrets: &Secrets,
    ) -> Result<Url, RedirectProblem> {
        let next = self.target(request, url, response, secrets)?;
        let keeps_method = matches!(response.status().as_u16(), 307 | 308);
        if request.body.is_some() && !(keeps_method && same_origin(&next, &request.url)) {
            let to = RedactedUrl::new(&next, secrets);
            return Err(RedirectProblem::Body { to });
        }
        Ok(next)
    }

    /// Returns the `Location` of a response to `request` from `url`, if the client may go there.
    pub(crate) fn target(
        &self,
        request: &Request<'_>,
        url: &Url,
        response: &reqwest::Response,
        secrets: &Secrets,
    ) -> Result<Url, RedirectProblem> {
        let location = response.headers().get(LOCATION);
        let mut next = location
            .and_then(|location| str::from_utf8(location.as_bytes()).ok())
            .and_then(|location| url.join(location).ok())
            .ok_or(RedirectProblem::NoLocation)?;
        // A user in a URL would become an `Authorization` of the server's choice. Fails only where there can be none.
        let _ = next.set_username("");
        let _ = next.set_password(None);
        let to = || RedactedUrl::new(&next, secrets);
        match next.scheme() {
            "https" => {}
            "http" => {
                let named = same_origin(&next, url) || self.plain.contains(&next);
                if url.scheme() != "http" || !named || request.https_only {
                    return Err(RedirectProblem::PlainHttp { to: to() });
                }
            }
            _ => return Err(RedirectProblem::Scheme { to: to() }),
        }
        if !self.allow_address(&next, &request.own) {
            return Err(RedirectProblem::PrivateAddress { to: to() });
        }
        Ok(next)
    }
}

/// Returns `url` without its query and fragment, for an error.
pub(crate) fn without_query(url: &str, secrets: &Secrets) -> Excerpt {
    crate::redact::excerpt(url.split(['?', '#']).next().unwrap_or_default(), secrets)
}
