//! Where a blob is fetched from: the registry, or the URLs that its descriptor names.

use std::sync::Arc;

use msb_oci::{Digest, Reference};
use reqwest::Url;

use super::ask::Ask;
use super::candidates::Candidate;
use super::sender::Sender;
use super::upstream::Upstream;
use crate::context::{RequestContext, Step};
use crate::error::{Error, RedirectProblem};
use crate::exchange::request::{Request, Response};
use crate::redact::RedactedUrl;

const ACCEPT: &str = "application/octet-stream, */*";
/// The largest number of URLs of one descriptor that are tried.
const MAX_URLS: usize = 8;

/// A blob, and the place that served it last.
#[derive(Debug)]
pub(super) struct BlobSource {
    pub(super) reference: Reference,
    pub(super) step: Step,
    pub(super) digest: Digest,
    pub(super) urls: Vec<String>,
    pub(super) place: Place,
    /// The host of the registry that served it last.
    pub(super) served_by: Option<Arc<Upstream>>,
}

/// The place that served the blob last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    Registry,
    /// The index of the URL.
    Url(usize),
}

/// A blob on one host of the registry.
#[derive(Debug, Clone)]
pub(super) struct HostSource {
    reference: Reference,
    step: Step,
    digest: Digest,
    upstream: Arc<Upstream>,
}

impl HostSource {
    /// Asks this host, and no other, for a range of the blob. Every status but a success is an error.
    pub(super) async fn send(&self, sender: &Sender, range: (u64, u64)) -> Result<Response, Error> {
        let mut ask = Ask::blob(self.step, &self.reference, &self.digest);
        ask.range = Some(range);
        let candidate = Candidate::alone(&self.upstream);
        let (response, _) = sender.send_to(&candidate, &ask).await?;
        Ok(response)
    }

    /// Returns the context of the blob, for errors that come without a request.
    pub(super) fn context(&self, sender: &Sender) -> Result<RequestContext, Error> {
        sender.blob_context(self.step, &self.reference, &self.digest)
    }
}

impl BlobSource {
    /// Asks the hosts of the registry, and where none of them serves the blob, the other URLs in turn. Every status but a success
    /// is an error, and so is a response that `check` refuses.
    pub(super) async fn send(
        &mut self,
        sender: &Sender,
        range: Option<(u64, u64)>,
        check: impl Fn(&Response) -> Result<(), Error>,
    ) -> Result<Response, Error> {
        let first = match self.place {
            Place::Url(index) => index,
            Place::Registry => {
                match self.send_to_hosts(sender, range, &check).await {
                    Err(error)
                        if !self.urls.is_empty()
                            && (error.is_not_found() || error.is_unauthorized()) =>
                    {
                        tracing::debug!(%error, "trying the other URLs of the blob");
                    }
                    sent => return sent,
                }
                0
            }
        };
        let count = self.urls.len().min(MAX_URLS);
        let mut last = None;
        for index in (first..count).chain(0..first) {
            let sent = self.send_to_url(sender, &self.urls[index], range).await;
            match sent.and_then(|response| check(&response).map(|()| response)) {
                Ok(response) => {
                    self.served_by = None;
                    self.place = Place::Url(index);
                    return Ok(response);
                }
                Err(error) => {
                    tracing::debug!(%error, "a URL of the blob does not work");
                    last = Some(error);
                }
            }
        }
        self.place = Place::Registry;
        let digest = &self.digest;
        let context = sender.blob_context(self.step, &self.reference, digest)?;
        Err(match last {
            Some(source) => Error::ForeignUrls {
                context,
                tried: count,
                source: Box::new(source),
            },
            // OK because there is at least one URL here.
            None => Error::ForeignUrl {
                context,
                problem: RedirectProblem::NoLocation,
            },
        })
    }

    async fn send_to_hosts(
        &mut self,
        sender: &Sender,
        range: Option<(u64, u64)>,
        check: &impl Fn(&Response) -> Result<(), Error>,
    ) -> Result<Response, Error> {
        let mut ask = Ask::blob(self.step, &self.reference, &self.digest);
        ask.range = range;
        let mut candidates = sender.candidates(&ask).await?;
        candidates.leave_out(&self.digest);
        loop {
            let candidate = candidates.next()?;
            let sent = sender.send_to(&candidate, &ask).await;
            match sent.and_then(|(response, _)| check(&response).map(|()| response)) {
                Ok(response) => {
                    sender.note_served(&self.digest, &candidate.upstream);
                    self.served_by = Some(candidate.upstream);
                    return Ok(response);
                }
                Err(error) => candidates.fail(&candidate, error)?,
            }
        }
    }

    /// Returns the host of the registry that served the blob last, if one did.
    pub(super) fn host(&self) -> Option<HostSource> {
        Some(HostSource {
            reference: self.reference.clone(),
            step: self.step,
            digest: self.digest,
            upstream: Arc::clone(self.served_by.as_ref()?),
        })
    }

    /// Puts the host that served the blob behind the others.
    pub(super) fn rest(&self, sender: &Sender) {
        if let Some(upstream) = &self.served_by {
            let rest = sender.exchange().timeouts.host_rest;
            upstream.health.rest(rest);
        }
    }

    /// Sends a request without credentials, over HTTPS alone.
    async fn send_to_url(
        &self,
        sender: &Sender,
        url: &str,
        range: Option<(u64, u64)>,
    ) -> Result<Response, Error> {
        let exchange = sender.exchange();
        let own = sender.endpoint(&self.reference, false)?.api;
        let digest = &self.digest;
        let context = || sender.blob_context(self.step, &self.reference, digest);
        let Ok(mut url) = Url::parse(url) else {
            return Err(Error::ForeignUrl {
                context: context()?,
                problem: RedirectProblem::NoLocation,
            });
        };
        // As in a redirect, a user in a URL would become a header. Fails only where there can be none.
        let _ = url.set_username("");
        let _ = url.set_password(None);
        let to = RedactedUrl::new(&url, &exchange.secrets);
        let problem = if url.scheme() == "http" {
            Some(RedirectProblem::PlainHttp { to })
        } else if url.scheme() != "https" {
            Some(RedirectProblem::Scheme { to })
        } else if !exchange.rules.allow_address(&url, &own) {
            Some(RedirectProblem::PrivateAddress { to })
        } else {
            None
        };
        if let Some(problem) = problem {
            return Err(Error::ForeignUrl {
                context: context()?,
                problem,
            });
        }
        let request = Request {
            range,
            https_only: true,
            ..Request::get(self.step, &self.reference, own, url, ACCEPT)
        };
        sender.send_without_credentials(&request).await
    }
}
