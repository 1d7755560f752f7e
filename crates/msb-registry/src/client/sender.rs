//! Requests to a registry, under the scheme that it speaks.

use std::sync::Arc;

use msb_oci::{Digest, Reference};
use reqwest::Url;

use super::endpoint::{Endpoint, Schemes, below, root};
use super::retry::Retry;
use crate::auth::Auth;
use crate::context::{RequestContext, Step};
use crate::error::Error;
use crate::exchange::Exchange;
use crate::exchange::request::{Request, Response};
use crate::notice::Observer;
use crate::transport::fault::TransportFault;

/// What a client and its streams share.
#[derive(Debug, Clone)]
pub(super) struct Sender {
    inner: Arc<Inner>,
    pub(super) observer: Observer,
}

#[derive(Debug)]
struct Inner {
    auth: Auth,
    schemes: Schemes,
}

impl Sender {
    pub(super) fn new(auth: Auth) -> Self {
        Self {
            inner: Arc::new(Inner {
                auth,
                schemes: Schemes::default(),
            }),
            observer: Observer::default(),
        }
    }

    pub(super) fn with_observer(&self, observer: Observer) -> Self {
        Self {
            inner: Arc::clone(&self.inner),
            observer,
        }
    }

    /// Returns the context of a blob, for errors that come without a request.
    pub(super) fn blob_context(
        &self,
        step: Step,
        reference: &Reference,
        digest: &Digest,
    ) -> Result<RequestContext, Error> {
        let root = self.endpoint(reference)?.root;
        let url = below(&root, reference, &format!("blobs/{digest}"))?;
        let request = Request::get(step, reference, url, "*/*");
        Ok(self.exchange().context(&request, &request.url))
    }

    pub(super) fn exchange(&self) -> &Exchange {
        &self.inner.auth.exchange
    }

    pub(super) fn new_retry(&self) -> Retry {
        let exchange = self.exchange();
        Retry::new(&exchange.timeouts, &exchange.limits, self.observer.clone())
    }

    pub(super) fn endpoint(&self, reference: &Reference) -> Result<Endpoint, Error> {
        let exchange = self.exchange();
        let tls_only = exchange.transport.has_extra_roots();
        self.inner
            .schemes
            .endpoint(reference, &exchange.rules.plain, tls_only)
    }

    /// Sends one request to the registry that `reference` names, for `path` below the repository, with the scheme and the
    /// authorization that it requires. Every status but a success is an error.
    pub(super) async fn send(
        &self,
        step: Step,
        reference: &Reference,
        path: &str,
        accept: &'static str,
        range: Option<(u64, u64)>,
    ) -> Result<Response, Error> {
        let request = |root: &Url| {
            let url = below(root, reference, path)?;
            Ok::<_, Error>(Request {
                range,
                ..Request::get(step, reference, url, accept)
            })
        };
        let endpoint = self.endpoint(reference)?;
        let over_tls = request(&endpoint.root)?;
        let response = self.inner.auth.send(&over_tls, &self.observer).await;
        if !endpoint.may_be_plain {
            return response;
        }
        let own_context = self.exchange().context(&over_tls, &over_tls.url);
        let lacks_tls = match &response {
            // Of the registry itself, not of a host that it points at.
            Err(Error::Connect { context, source }) if context.url == own_context.url => {
                source.may_lack_tls()
                    || (reference.port().is_none() && *source == TransportFault::Refused)
            }
            _ => false,
        };
        if !lacks_tls {
            if response.is_ok() {
                self.inner.schemes.remember(reference, "https");
            }
            return response;
        }
        let plain = request(&root("http", reference)?)?;
        let response = self.inner.auth.send(&plain, &self.observer).await;
        if !matches!(response, Err(Error::Connect { .. })) {
            self.inner.schemes.remember(reference, "http");
        }
        response
    }

    /// Sends a request without credentials to any host. Every status but a success is an error.
    pub(super) async fn send_without_credentials(
        &self,
        request: &Request<'_>,
    ) -> Result<Response, Error> {
        let auth = &self.inner.auth;
        auth.send_without_credentials(request, &self.observer).await
    }
}
