//! A request, and the header of its response.

use std::sync::Arc;

use msb_oci::Reference;
use reqwest::header::HeaderValue;
use reqwest::{Method, Url};

use super::content::RequestBody;
use super::hosts::same_origin;
use super::peer::Peer;
use crate::context::{RequestContext, Step};
use crate::secrets::Secret;

/// A request of any method.
#[derive(Debug, Clone)]
pub(crate) struct Request<'a> {
    pub(crate) method: Method,
    pub(crate) url: Url,
    pub(crate) step: Step,
    /// The image that the request is for.
    pub(crate) reference: &'a Reference,
    pub(crate) accept: &'static str,
    /// First and last byte of a range.
    pub(crate) range: Option<(u64, u64)>,
    pub(crate) body: Option<RequestBody>,
    /// The access that an authorization must grant.
    pub(crate) access: Access,
    /// The root of the API of the host that is asked, with a slash at its end. Private addresses are allowed where they have the same
    /// host.
    pub(crate) own: Url,
    /// The settings of that host, if it has any.
    pub(crate) peer: Option<Arc<Peer>>,
    /// Whether only HTTPS is allowed, whatever hosts are named for plain HTTP.
    pub(crate) https_only: bool,
}

impl<'a> Request<'a> {
    /// Returns a GET request for `url`, of the host whose API is at `own`.
    pub(crate) fn get(
        step: Step,
        reference: &'a Reference,
        own: Url,
        url: Url,
        accept: &'static str,
    ) -> Self {
        Self {
            method: Method::GET,
            own,
            peer: None,
            url,
            step,
            reference,
            accept,
            range: None,
            body: None,
            access: Access::Pull,
            https_only: false,
        }
    }

    /// Returns the settings for a hop to `url`.
    pub(crate) fn peer_at(&self, url: &Url) -> Option<&Peer> {
        let peer = self.peer.as_deref();
        peer.filter(|_| same_origin(url, &self.own))
    }
}

/// What a request does with the repository of its reference.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Access {
    /// Reads from it.
    Pull,
    /// Reads from it and writes to it.
    Push {
        /// Another repository of the registry, from which a blob is mounted.
        from: Option<String>,
    },
}

/// A value of `Authorization`, and the origin that it is for.
#[derive(Debug, Clone)]
pub(crate) struct Authorization {
    /// A URL of the origin.
    pub(crate) origin: Url,
    /// Marked as sensitive, so that `Debug` does not show it.
    pub(crate) header: HeaderValue,
    /// Keeps the secret in the header known for redaction.
    pub(crate) _secret: Arc<Secret>,
}

/// The header of a response, with the body still to come.
#[derive(Debug)]
pub(crate) struct Response {
    pub(crate) inner: reqwest::Response,
    pub(crate) context: RequestContext,
    /// The last URL of the redirects.
    pub(crate) url: Url,
    /// Whether a redirect led to another origin than the first, even if another one led back.
    pub(crate) left: bool,
}
