//! Requests to the hosts of a registry, under the scheme that each speaks.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use msb_oci::{Digest, Reference};
use reqwest::Url;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::ask::Ask;
use super::candidates::{Candidate, Candidates};
use super::endpoint::{Endpoint, Schemes, below, root};
use super::guard::{Left, guard};
use super::health::Turn;
use super::retry::Retry;
use super::upstream::Upstream;
use super::upstreams::Upstreams;
use crate::auth::Auth;
use crate::context::{RequestContext, Step};
use crate::error::{CredentialUse, Error, Wait};
use crate::exchange::Exchange;
use crate::exchange::request::{Request, Response};
use crate::host::RegistryHost;
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
    upstreams: Upstreams,
    /// The mirror that served each blob last; bounded.
    served: Mutex<HashMap<Digest, Arc<Upstream>>>,
    /// Permits for the segments that all blobs of the client keep in memory.
    segments: Arc<Semaphore>,
}

/// The largest number of ranges at once, whatever the limits state.
pub(super) const MAX_RANGES: u32 = 64;

/// The largest number of blobs whose mirror is remembered.
const MAX_SERVED: usize = 1024;

/// A response, and what became of the credentials.
type Sent = (Response, CredentialUse);

impl Sender {
    pub(super) fn new(auth: Auth, upstreams: Upstreams) -> Self {
        let ranges = auth.exchange.limits.ranges;
        // OK because of the minimum.
        let segments = usize::try_from(ranges.min(MAX_RANGES)).unwrap_or_default();
        Self {
            inner: Arc::new(Inner {
                segments: Arc::new(Semaphore::new(segments)),
                auth,
                schemes: Schemes::default(),
                upstreams,
                served: Mutex::default(),
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

    pub(super) fn without_observer(&self) -> Self {
        self.with_observer(Observer::default())
    }

    /// Returns a permit to keep one segment of a blob in memory, if one is free.
    pub(super) fn try_segment(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.inner.segments).try_acquire_owned().ok()
    }

    pub(super) fn has_free_segment(&self) -> bool {
        self.inner.segments.available_permits() > 0
    }

    /// Returns the context of a blob, for errors that come without a request.
    pub(super) fn blob_context(
        &self,
        step: Step,
        reference: &Reference,
        digest: &Digest,
    ) -> Result<RequestContext, Error> {
        let api = self.endpoint(reference, false)?.api;
        let ask = Ask::blob(step, reference, digest);
        let url = below(&api, &ask.path, None, None);
        let request = Request::get(step, reference, api, url, "*/*");
        Ok(self.exchange().context(&request, &request.url))
    }

    pub(super) fn exchange(&self) -> &Exchange {
        &self.inner.auth.exchange
    }

    pub(super) fn new_retry(&self) -> Retry {
        let exchange = self.exchange();
        Retry::new(&exchange.timeouts, &exchange.limits, self.observer.clone())
    }

    /// Returns the API of the registry itself.
    pub(super) fn endpoint(
        &self,
        reference: &Reference,
        tls_only: bool,
    ) -> Result<Endpoint, Error> {
        let exchange = self.exchange();
        let tls_only = tls_only || exchange.transport.has_extra_roots();
        self.inner
            .schemes
            .endpoint(reference, &exchange.rules.plain, tls_only)
    }

    /// Returns the hosts that may serve `ask`, in the order in which they are tried.
    pub(super) async fn candidates(&self, ask: &Ask<'_>) -> Result<Candidates, Error> {
        let registry = RegistryHost::of(ask.reference);
        let exchange = self.exchange();
        let hosts = self.inner.upstreams.of(&registry, exchange).await?;
        let hosts: Vec<(Arc<Upstream>, Turn)> = hosts
            .iter()
            .filter(|host| ask.fits(host.capabilities))
            .filter(|host| !ask.is_of_server() || !host.is_mirror)
            .map(|host| (Arc::clone(host), host.health.turn()))
            .collect();
        if hosts.is_empty() {
            return Err(Error::NoCapableHost {
                registry,
                capability: ask.capability(),
            });
        }
        for (host, turn) in &hosts {
            if *turn == Turn::LastAndProbe {
                self.probe(ask, host);
            }
        }
        Ok(Candidates::new(hosts, exchange.timeouts.host_rest))
    }

    /// Returns the URL at which the upload that `response` answers to continues.
    pub(super) fn upload_url(
        &self,
        ask: &Ask<'_>,
        upstream: &Upstream,
        response: &Response,
    ) -> Result<Url, Error> {
        let exchange = self.exchange();
        let endpoint = self.endpoint_of(upstream, ask.reference)?;
        let request = request(upstream, ask, &endpoint.api);
        let (url, secrets) = (&response.url, &exchange.secrets);
        let target = exchange
            .rules
            .target(&request, url, &response.inner, secrets);
        target.map_err(|problem| Error::UploadUrl {
            context: response.context.clone(),
            problem,
        })
    }

    /// Remembers the mirror that serves a blob, for the case that its bytes turn out to be wrong.
    pub(super) fn note_served(&self, digest: &Digest, upstream: &Arc<Upstream>) {
        let mut served = self
            .inner
            .served
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if !upstream.is_mirror {
            served.remove(digest);
            return;
        }
        if served.len() >= MAX_SERVED {
            served.clear();
        }
        served.insert(*digest, Arc::clone(upstream));
    }

    /// Leaves out the mirror that served wrong bytes for `digest` from now on. Returns whether that changes anything.
    pub(super) fn reject(&self, digest: &Digest) -> bool {
        let mut served = self
            .inner
            .served
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        served
            .remove(digest)
            .is_some_and(|upstream| upstream.reject(digest))
    }

    /// Sends a request to the first host that serves it. Every status but a success is an error.
    pub(super) async fn send(&self, ask: &Ask<'_>) -> Result<(Response, Arc<Upstream>), Error> {
        let mut candidates = self.candidates(ask).await?;
        loop {
            let candidate = candidates.next()?;
            match self.send_to(&candidate, ask).await {
                Ok((response, _)) => return Ok((response, candidate.upstream)),
                Err(error) => candidates.fail(&candidate, error)?,
            }
        }
    }

    /// Sends a request to one host, and leaves the host if it is guarded and does not answer.
    pub(super) async fn send_to(
        &self,
        candidate: &Candidate,
        ask: &Ask<'_>,
    ) -> Result<Sent, Error> {
        let upstream = &candidate.upstream;
        let sent = if candidate.is_guarded {
            let limit = upstream.unresponsive;
            let guarded = guard(
                self.send_unguarded(upstream, ask),
                self.reach(upstream, ask),
                limit,
            );
            match guarded.await {
                Ok(sent) => sent,
                Err(Left::Failed(error)) => Err(error),
                Err(Left::Silent) => Err(Error::Timeout {
                    context: self.context(upstream, ask)?,
                    wait: Wait::FirstByte,
                    limit,
                }),
            }
        } else {
            self.send_unguarded(upstream, ask).await
        };
        if sent.is_ok() {
            upstream.health.recover();
        }
        sent
    }

    async fn send_unguarded(&self, upstream: &Upstream, ask: &Ask<'_>) -> Result<Sent, Error> {
        let endpoint = self.endpoint_of(upstream, ask.reference)?;
        let over_tls = request(upstream, ask, &endpoint.api);
        let response = self.dispatch(&over_tls).await;
        if !endpoint.may_be_plain {
            return response;
        }
        let own_context = self.exchange().context(&over_tls, &over_tls.url);
        let lacks_tls = match &response {
            // Of the registry itself, not of a host that it points at.
            Err(Error::Connect { context, source }) if context.url == own_context.url => {
                source.may_lack_tls()
                    || (ask.reference.port().is_none() && *source == TransportFault::Refused)
            }
            _ => false,
        };
        if !lacks_tls {
            if response.is_ok() {
                self.inner.schemes.remember(ask.reference, "https");
            }
            return response;
        }
        let plain = request(upstream, ask, &root("http", ask.reference)?);
        let response = self.dispatch(&plain).await;
        if !matches!(response, Err(Error::Connect { .. })) {
            self.inner.schemes.remember(ask.reference, "http");
        }
        response
    }

    async fn dispatch(&self, request: &Request<'_>) -> Result<Sent, Error> {
        let auth = &self.inner.auth;
        auth.send(request, &self.observer).await
    }

    /// Waits for any answer of the host to a request for the root of its API.
    async fn reach(&self, upstream: &Upstream, ask: &Ask<'_>) -> Result<(), Error> {
        let endpoint = self.endpoint_of(upstream, ask.reference)?;
        let (own, url) = (endpoint.api.clone(), endpoint.api);
        let mut request = Request::get(Step::Challenge, ask.reference, own, url, "*/*");
        request.peer.clone_from(&upstream.peer);
        match self.exchange().reach(&request).await {
            // It hangs up on TLS, which is an answer too.
            Err(Error::Connect { source, .. })
                if endpoint.may_be_plain && source.may_lack_tls() =>
            {
                Ok(())
            }
            reached => reached,
        }
    }

    /// Finds out in the background whether a resting host is back.
    fn probe(&self, ask: &Ask<'_>, upstream: &Arc<Upstream>) {
        let (sender, upstream) = (self.clone(), Arc::clone(upstream));
        let reference = ask.reference.clone();
        tokio::spawn(async move {
            let ask = Ask::sign_in(&reference);
            let reached = sender.reach(&upstream, &ask);
            match tokio::time::timeout(upstream.unresponsive, reached).await {
                Ok(Ok(())) => upstream.health.recover(),
                _ => {
                    let rest = sender.exchange().timeouts.host_rest;
                    upstream.health.rest(rest);
                }
            }
        });
    }

    fn endpoint_of(&self, upstream: &Upstream, reference: &Reference) -> Result<Endpoint, Error> {
        match &upstream.api {
            Some(api) => Ok(Endpoint {
                api: api.clone(),
                may_be_plain: false,
            }),
            None => self.endpoint(reference, upstream.is_tls_only()),
        }
    }

    fn context(&self, upstream: &Upstream, ask: &Ask<'_>) -> Result<RequestContext, Error> {
        let endpoint = self.endpoint_of(upstream, ask.reference)?;
        let request = request(upstream, ask, &endpoint.api);
        Ok(self.exchange().context(&request, &request.url))
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

/// Returns the request that asks `upstream`, whose API is at `api`.
fn request<'a>(upstream: &Upstream, ask: &Ask<'a>, api: &Url) -> Request<'a> {
    let url = match &ask.url {
        Some(url) => url.clone(),
        None => below(
            api,
            &ask.path,
            ask.query.as_deref(),
            upstream.namespace.as_deref(),
        ),
    };
    Request {
        method: ask.method.clone(),
        access: ask.access.clone(),
        body: ask.body.clone(),
        range: ask.range,
        peer: upstream.peer.clone(),
        ..Request::get(ask.step, ask.reference, api.clone(), url, ask.accept)
    }
}
