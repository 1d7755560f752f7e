//! A host that requires authentication.

use msb_oci::Reference;
use reqwest::Url;

use super::scope::own_scope;
use crate::exchange::hosts::same_origin;
use crate::exchange::request::Request;
use crate::host::RegistryHost;

/// What an authorization is for.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct GrantKey {
    /// Scheme, host and port.
    pub(super) origin: String,
    pub(super) repository: String,
    /// The access that the request needs, whatever the challenge calls it.
    pub(super) scope: String,
}

/// The registry that a request goes to, or the host that one of its redirects leads to.
#[derive(Debug)]
pub(super) struct Site<'a> {
    /// The root of the origin.
    pub(super) base: Url,
    pub(super) host: RegistryHost,
    pub(super) reference: &'a Reference,
    /// The access that is needed.
    pub(super) scope: String,
}

impl<'a> Site<'a> {
    /// Returns the site of `request` that `url` belongs to.
    pub(super) fn new(request: &Request<'a>, url: &Url) -> Self {
        let host = if same_origin(url, &request.url) {
            RegistryHost::of(request.reference)
        } else {
            RegistryHost::of_url(url)
        };
        let mut base = url.clone();
        base.set_path("/");
        base.set_query(None);
        base.set_fragment(None);
        Self {
            base,
            host,
            reference: request.reference,
            scope: own_scope(request.reference),
        }
    }

    pub(super) fn repository(&self) -> &str {
        self.reference.repository()
    }

    pub(super) fn key(&self) -> GrantKey {
        GrantKey {
            origin: self.base.to_string(),
            repository: self.repository().to_owned(),
            scope: self.scope.clone(),
        }
    }
}
