//! One request: redirects, limits and timeouts. Knows nothing of credentials but where a given header may go.

pub(crate) mod address;
mod body;
pub(crate) mod content;
pub(crate) mod hosts;
pub(crate) mod peer;
pub(crate) mod redirect;
pub(crate) mod request;
pub(crate) mod retry_after;

use std::sync::Arc;

use reqwest::Url;
use reqwest::header::{ACCEPT, ACCEPT_ENCODING, AUTHORIZATION, CONTENT_RANGE, CONTENT_TYPE, RANGE};

use self::hosts::same_origin;
use self::redirect::HostRules;
use self::request::{Authorization, Request, Response};
use crate::context::RequestContext;
use crate::error::{Error, RedirectProblem, Wait};
use crate::limits::{Limits, Timeouts};
use crate::notice::Observer;
use crate::redact::RedactedUrl;
use crate::secrets::Secrets;
use crate::transport::Transport;
use crate::transport::fault::TransportFault;

/// Sends requests.
#[derive(Debug)]
pub(crate) struct Exchange {
    pub(crate) transport: Transport,
    pub(crate) rules: HostRules,
    pub(crate) limits: Limits,
    pub(crate) timeouts: Timeouts,
    pub(crate) secrets: Arc<Secrets>,
}

impl Exchange {
    pub(crate) fn context(&self, request: &Request<'_>, url: &Url) -> RequestContext {
        let url = RedactedUrl::new(url, &self.secrets);
        RequestContext::new(request.step, request.reference, url)
    }

    /// Sends `request` and follows its redirects ([`HostRules::next_hop`]).
    ///
    /// Each origin receives the one of `authorizations` that is for it. That of the first origin is not sent any more once a
    /// redirect has led elsewhere, even if another one leads back.
    pub(crate) async fn send(
        &self,
        request: &Request<'_>,
        authorizations: &[Authorization],
        observer: &Observer,
    ) -> Result<Response, Error> {
        let mut url = request.url.clone();
        let mut left = false;
        for _ in 0..=self.limits.redirects {
            let response = self
                .hop(request, &url, left, authorizations, observer)
                .await?;
            if !matches!(response.status().as_u16(), 301 | 302 | 303 | 307 | 308) {
                return Ok(Response {
                    inner: response,
                    context: self.context(request, &url),
                    url,
                    left,
                });
            }
            let next = self
                .rules
                .next_hop(request, &url, &response, &self.secrets)
                .map_err(|problem| Error::Redirect {
                    context: self.context(request, &url),
                    problem,
                })?;
            left = left || !same_origin(&next, &request.url);
            url = next;
        }
        Err(Error::Redirect {
            context: self.context(request, &url),
            problem: RedirectProblem::TooMany {
                limit: self.limits.redirects,
            },
        })
    }

    /// Waits for the header of any response to `request`, without authorization: the host is there.
    pub(crate) async fn reach(&self, request: &Request<'_>) -> Result<(), Error> {
        let url = &request.url;
        let observer = Observer::default();
        self.hop(request, url, false, &[], &observer)
            .await
            .map(drop)
    }

    async fn hop(
        &self,
        request: &Request<'_>,
        url: &Url,
        left: bool,
        authorizations: &[Authorization],
        observer: &Observer,
    ) -> Result<reqwest::Response, Error> {
        let peer = request.peer_at(url);
        let profile = peer.and_then(|peer| peer.profile.as_ref());
        let client = self.transport.client(url, profile).await?;
        let mut builder = client.request(request.method.clone(), url.clone());
        let has_returned = left && same_origin(url, &request.url);
        let authorization = authorizations
            .iter()
            .find(|authorization| same_origin(&authorization.origin, url))
            .filter(|_| !has_returned);
        if let Some(peer) = peer {
            let mut headers = peer.headers.clone();
            if authorization.is_some() {
                headers.remove(AUTHORIZATION);
            }
            builder = builder.headers(headers);
        }
        builder = builder
            .header(ACCEPT, request.accept)
            // A digest is that of the bytes as they are, so nothing on the way may compress them.
            .header(ACCEPT_ENCODING, "identity");
        if let Some((first, last)) = request.range {
            builder = builder.header(RANGE, format!("bytes={first}-{last}"));
        }
        let mut transmission = None;
        if let Some(body) = &request.body {
            let (content, watched) = body.content.transmit();
            transmission = watched;
            builder = builder
                .header(CONTENT_TYPE, &body.content_type)
                .body(content);
            if let Some((first, last)) = body.range {
                builder = builder.header(CONTENT_RANGE, format!("{first}-{last}"));
            }
        }
        if let Some(authorization) = authorization {
            builder = builder.header(AUTHORIZATION, &authorization.header);
        }
        let context = || self.context(request, url);
        let limit = self.timeouts.first_byte;
        let interval = self.timeouts.stall_notice;
        let sent = match &transmission {
            Some(transmission) => transmission.watch(builder.send(), limit).await,
            None => {
                observer
                    .watch(builder.send(), limit, interval, context)
                    .await
            }
        };
        match sent {
            None => Err(Error::Timeout {
                context: context(),
                wait: Wait::FirstByte,
                limit,
            }),
            Some(Err(source)) => {
                let unread = transmission.and_then(|transmission| transmission.take_fault());
                if let Some(source) = unread {
                    return Err(Error::UploadSource {
                        context: context(),
                        source,
                    });
                }
                let fault = TransportFault::new(&source);
                let context = context();
                if !source.is_connect() {
                    return Err(Error::Request {
                        context,
                        source: fault,
                    });
                }
                let proxy = self.transport.proxy_of(url);
                Err(match proxy.filter(|_| fault.may_be_of_proxy()) {
                    Some(proxy) => Error::Proxy {
                        context,
                        proxy: RedactedUrl::new(&proxy, &self.secrets),
                        source: fault,
                    },
                    None => Error::Connect {
                        context,
                        source: fault,
                    },
                })
            }
            Some(Ok(response)) => Ok(response),
        }
    }
}
