//! One request and its redirects.

use std::time::{Duration, SystemTime};

use bytes::{Bytes, BytesMut};
use msb_oci::Reference;
use reqwest::header::{
    ACCEPT, ACCEPT_ENCODING, AUTHORIZATION, HeaderValue, LOCATION, RANGE, RETRY_AFTER,
};
use reqwest::{Response, StatusCode, Url};

use crate::client::Inner;
use crate::error::{Error, RedirectProblem, Wait};
use crate::origin::same_origin;
use crate::retry::parse_retry_after;
use crate::shown::{At, Said, ShownUrl, Step};

/// What to ask for.
#[derive(Debug, Clone)]
pub(crate) struct Question<'a> {
    pub(crate) step: Step,
    pub(crate) reference: &'a Reference,
    pub(crate) accept: &'static str,
    /// First byte wanted; from 0 on, no `Range` is sent.
    pub(crate) from: u64,
}

impl Question<'_> {
    pub(crate) fn at(&self, url: &Url) -> At {
        At {
            step: self.step,
            reference: Box::new(self.reference.clone()),
            url: ShownUrl::new(url),
        }
    }
}

/// The header of an answer, with the body still to come.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) response: Response,
    pub(crate) at: At,
    /// Whether a redirect led to another origin than was asked first.
    pub(crate) left: bool,
}

impl Inner {
    /// Asks `url` and follows redirects by these rules:
    ///
    /// - `Authorization` stays with the first origin, and is gone for good once that is left;
    /// - never from HTTPS to HTTP; from HTTP to HTTP only within an origin or to a host that is named for it.
    pub(crate) async fn exchange(
        &self,
        question: &Question<'_>,
        first: &Url,
        authorization: Option<&HeaderValue>,
    ) -> Result<Answer, Error> {
        let mut url = first.clone();
        let mut left = false;
        for _ in 0..=self.limits.redirects {
            let at = question.at(&url);
            let mut request = self
                .transport
                .client(&url)?
                .get(url.clone())
                .header(ACCEPT, question.accept);
            // A blob is what its bytes are; nothing on the way may pack them again.
            request = request.header(ACCEPT_ENCODING, "identity");
            if question.from > 0 {
                request = request.header(RANGE, format!("bytes={}-", question.from));
            }
            if let Some(authorization) = authorization.filter(|_| !left) {
                request = request.header(AUTHORIZATION, authorization);
            }
            let limit = self.timeouts.first_byte;
            let response = match tokio::time::timeout(limit, request.send()).await {
                Err(_) => {
                    return Err(Error::Timeout {
                        at,
                        wait: Wait::FirstByte,
                        limit,
                    });
                }
                Ok(Err(source)) => return Err(failed(at, source)),
                Ok(Ok(response)) => response,
            };
            if !is_redirect(response.status()) {
                return Ok(Answer { response, at, left });
            }
            let next = self
                .next_hop(&url, &response)
                .map_err(|problem| Error::Redirect { at, problem })?;
            left = left || !same_origin(&next, first);
            url = next;
        }
        let problem = RedirectProblem::TooMany {
            limit: self.limits.redirects,
        };
        Err(Error::Redirect {
            at: question.at(&url),
            problem,
        })
    }

    fn next_hop(&self, url: &Url, response: &Response) -> Result<Url, RedirectProblem> {
        let location = response
            .headers()
            .get(LOCATION)
            .and_then(|value| value.to_str().ok());
        let mut next = location
            .and_then(|location| url.join(location).ok())
            .ok_or(RedirectProblem::NoLocation)?;
        // A user in a URL would become an `Authorization` of the server's choice. Fails only where there can be none.
        let _ = next.set_username("");
        let _ = next.set_password(None);
        let allowed = match next.scheme() {
            "https" => true,
            "http" => {
                url.scheme() == "http" && (same_origin(&next, url) || self.plain_hosts.allow(&next))
            }
            _ => {
                return Err(RedirectProblem::Scheme {
                    to: ShownUrl::new(&next),
                });
            }
        };
        if allowed {
            Ok(next)
        } else {
            Err(RedirectProblem::PlainHttp {
                to: ShownUrl::new(&next),
            })
        }
    }

    /// The whole body of `answer`, at most `limit` bytes.
    pub(crate) async fn read(&self, mut answer: Answer, limit: u64) -> Result<(Bytes, At), Error> {
        let declared = answer.response.content_length();
        if declared.is_some_and(|declared| declared > limit) {
            return Err(Error::OverLimit {
                at: answer.at,
                limit,
            });
        }
        let at = answer.at.clone();
        let body = async {
            let mut body = BytesMut::new();
            loop {
                let stall = self.timeouts.stall;
                let received = body.len() as u64;
                match tokio::time::timeout(stall, answer.response.chunk()).await {
                    Err(_) => {
                        return Err(Error::Timeout {
                            at: answer.at,
                            wait: Wait::Stall,
                            limit: stall,
                        });
                    }
                    Ok(Err(source)) => {
                        return Err(Error::Body {
                            at: answer.at,
                            received,
                            source: source.without_url(),
                        });
                    }
                    Ok(Ok(None)) => return Ok((body.freeze(), answer.at)),
                    Ok(Ok(Some(chunk))) if received.saturating_add(chunk.len() as u64) > limit => {
                        return Err(Error::OverLimit {
                            at: answer.at,
                            limit,
                        });
                    }
                    Ok(Ok(Some(chunk))) => body.extend_from_slice(&chunk),
                }
            }
        };
        let limit = self.timeouts.document;
        match tokio::time::timeout(limit, body).await {
            Ok(read) => read,
            Err(_) => Err(Error::Timeout {
                at,
                wait: Wait::Document,
                limit,
            }),
        }
    }

    /// Reads what a refusal says; nothing, if that takes long or is long. Also frees the connection for the next request.
    pub(crate) async fn said(&self, answer: Answer) -> Said {
        let patience = self.timeouts.stall.min(Duration::from_secs(5));
        match tokio::time::timeout(patience, self.read(answer, self.limits.error_bytes)).await {
            Ok(Ok((body, _))) => Said::parse(&body),
            _ => Said::default(),
        }
    }

    /// The error for a status that is neither success nor 401.
    pub(crate) async fn refused(&self, answer: Answer) -> Error {
        let (at, status) = (answer.at.clone(), answer.response.status());
        let retry_after = answer
            .response
            .headers()
            .get(RETRY_AFTER)
            .and_then(|value| value.to_str().ok());
        let retry_after = retry_after.and_then(|text| parse_retry_after(text, SystemTime::now()));
        let said = self.said(answer).await;
        match status {
            StatusCode::NOT_FOUND => Error::NotFound { at, said },
            StatusCode::FORBIDDEN => Error::Denied { at, said },
            _ => Error::Status {
                at,
                status: status.as_u16(),
                retry_after,
                said,
            },
        }
    }
}

fn is_redirect(status: StatusCode) -> bool {
    matches!(status.as_u16(), 301 | 302 | 303 | 307 | 308)
}

fn failed(at: At, source: reqwest::Error) -> Error {
    let source = source.without_url();
    if source.is_connect() {
        Error::Connect { at, source }
    } else {
        Error::Request { at, source }
    }
}
