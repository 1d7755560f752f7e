//! A host that requires authentication.

use std::sync::Arc;

use msb_oci::Reference;
use reqwest::Url;

use super::scope::own_scope;
use crate::context::Step;
use crate::exchange::hosts::same_origin;
use crate::exchange::peer::Peer;
use crate::exchange::request::{Access, Request};
use crate::host::RegistryHost;

/// What an authorization is for.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct GrantKey {
    /// The root of the API.
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
    /// The root of the API, with a slash at its end.
    pub(super) api: Url,
    /// The settings of the host, if it has any.
    pub(super) peer: Option<Arc<Peer>>,
    pub(super) host: RegistryHost,
    pub(super) reference: &'a Reference,
    /// The access that is needed, as scopes that are separated by blanks; none for signing in.
    pub(super) scope: String,
    pub(super) access: Access,
}

impl<'a> Site<'a> {
    /// Returns the site of `request` that `url` belongs to.
    pub(super) fn new(request: &Request<'a>, url: &Url) -> Self {
        let peer = request.peer_at(url).and(request.peer.clone());
        let is_own = same_origin(url, &request.own) && same_origin(url, &request.url);
        let host = match &peer {
            Some(peer) => peer.host.clone(),
            None if is_own => RegistryHost::of(request.reference),
            None => RegistryHost::of_url(url),
        };
        let mut base = url.clone();
        base.set_path("/");
        base.set_query(None);
        base.set_fragment(None);
        let mut api = if is_own {
            request.own.clone()
        } else {
            base.clone()
        };
        if !is_own {
            api.set_path("/v2/");
        }
        Self {
            base,
            api,
            peer,
            host,
            reference: request.reference,
            scope: match request.step {
                // Signing in needs no access to any repository.
                Step::SignIn => String::new(),
                _ => own_scope(request.reference, &request.access),
            },
            access: request.access.clone(),
        }
    }

    pub(super) fn repository(&self) -> &str {
        self.reference.repository()
    }

    pub(super) fn key(&self) -> GrantKey {
        GrantKey {
            origin: self.api.to_string(),
            repository: self.repository().to_owned(),
            scope: self.scope.clone(),
        }
    }
}
