//! The body of a response with bytes of a blob.

use bytes::Bytes;
use reqwest::StatusCode;
use reqwest::header::{CONTENT_RANGE, CONTENT_TYPE, ETAG, HeaderName};
use tokio::time::Instant;

use super::super::content_range::ContentRange;
use super::super::rate::{Rate, Window};
use super::super::sender::Sender;
use crate::context::RequestContext;
use crate::error::{Error, Wait};
use crate::exchange::request::Response;
use crate::transport::fault::TransportFault;

/// A body, and which bytes of the blob it has.
#[derive(Debug)]
pub(super) struct Body {
    response: reqwest::Response,
    pub(super) context: RequestContext,
    /// The first byte of the blob that the response has.
    pub(super) start: u64,
    /// The next byte; `start <= position <= end`.
    position: u64,
    /// The first byte behind them that the response does not have; `end <= size`.
    end: u64,
    /// The declared size of the blob, in bytes.
    size: u64,
    rate: Rate,
    /// Whether a window of the rate ended with enough bytes since [`Body::take_passed`].
    has_passed: bool,
}

impl Body {
    /// Returns the body of a response that begins at `from`, or is the whole blob. Any other response is an error.
    pub(super) fn accept(
        response: Response,
        sender: &Sender,
        ranged: bool,
        from: u64,
        size: u64,
    ) -> Result<Self, Error> {
        let (start, end) = served_part(&response, ranged, from, size)?;
        Ok(Self {
            response: response.inner,
            context: response.context,
            start,
            position: start,
            end,
            size,
            rate: Rate::new(&sender.exchange().timeouts),
            has_passed: false,
        })
    }

    /// Waits for the next bytes; `None` at the end of the body, which may come too soon.
    pub(super) async fn next(&mut self, sender: &Sender) -> Result<Option<Bytes>, Error> {
        let timeouts = &sender.exchange().timeouts;
        loop {
            let begun = Instant::now();
            let context = || self.context.clone();
            let chunk = sender.observer.watch(
                self.response.chunk(),
                timeouts.stall,
                timeouts.stall_notice,
                context,
            );
            let chunk = match chunk.await {
                Some(Ok(Some(chunk))) if chunk.is_empty() => continue,
                Some(Ok(Some(chunk))) => chunk,
                Some(Ok(None)) => return Ok(None),
                Some(Err(source)) => {
                    return Err(Error::Body {
                        context: self.context.clone(),
                        received: self.position,
                        source: TransportFault::new(&source),
                    });
                }
                None => {
                    return Err(Error::Timeout {
                        context: self.context.clone(),
                        wait: Wait::Stall,
                        limit: timeouts.stall,
                    });
                }
            };
            let length = chunk.len() as u64;
            if length > self.end - self.position {
                return Err(self.excess());
            }
            match self.rate.add(begun.elapsed(), length) {
                // These bytes are lost with the connection; they are few.
                Window::Slow { received } if self.position + length < self.size => {
                    return Err(Error::TooSlow {
                        context: self.context.clone(),
                        received,
                        window: timeouts.least_rate_window,
                        least_rate: timeouts.least_rate,
                    });
                }
                Window::Passed => self.has_passed = true,
                Window::Open | Window::Slow { .. } => {}
            }
            self.position += length;
            return Ok(Some(chunk));
        }
    }

    /// Returns whether the response has these bytes of the blob and no others.
    pub(super) fn has_exactly(&self, start: u64, end: u64) -> bool {
        (self.start, self.end) == (start, end)
    }

    /// Returns whether a window of the rate ended with enough bytes since the last call.
    pub(super) fn take_passed(&mut self) -> bool {
        std::mem::take(&mut self.has_passed)
    }

    /// Returns the error of a body that ended before all of its bytes came.
    pub(super) fn short(&self) -> Error {
        Error::Short {
            context: self.context.clone(),
            expected: self.size,
            actual: self.position,
        }
    }

    fn excess(&self) -> Error {
        let context = self.context.clone();
        if self.end == self.size {
            Error::Long {
                context,
                expected: self.size,
            }
        } else {
            Error::Range {
                context,
                from: self.position,
                size: self.size,
            }
        }
    }

    pub(super) fn content_type(&self) -> Option<&str> {
        header(&self.response, CONTENT_TYPE)
    }

    /// Returns the `ETag` that identifies these bytes. A weak one does not.
    pub(super) fn entity_tag(&self) -> Option<&str> {
        header(&self.response, ETAG).filter(|tag| !tag.starts_with("W/"))
    }

    /// Returns whether the server may serve ranges, as far as its `Accept-Ranges` shows.
    pub(super) fn may_have_ranges(&self) -> bool {
        let accepted = header(&self.response, reqwest::header::ACCEPT_RANGES);
        accepted.is_none_or(|units| !units.trim().eq_ignore_ascii_case("none"))
    }
}

/// Returns the bytes of the blob that a response has, from its header: the first, and the first behind them.
///
/// `from` is the byte that was asked for; 0 without a range.
pub(super) fn served_part(
    response: &Response,
    ranged: bool,
    from: u64,
    size: u64,
) -> Result<(u64, u64), Error> {
    let length = response.inner.content_length();
    let content_range = header(&response.inner, CONTENT_RANGE);
    let served = content_range.and_then(ContentRange::parse);
    let serves =
        |first, last| served.is_some_and(|served| (served.start, served.end) == (first, last));
    let part = match response.inner.status() {
        StatusCode::OK if !ranged => {
            if length.is_some_and(|length| length > size) {
                return Err(Error::Long {
                    context: response.context.clone(),
                    expected: size,
                });
            }
            // A shorter length is accepted: the remaining bytes are asked for when these have come.
            Some((0, size))
        }
        // The whole blob, if its length shows that it is that. Some servers send a part under this status.
        StatusCode::OK => (length == Some(size)
            && (content_range.is_none() || serves(0, size - 1)))
        .then_some((0, size)),
        StatusCode::PARTIAL_CONTENT => served
            .filter(|served| served.start == from && served.total == size)
            .filter(|served| length.is_none_or(|length| length == served.end - from + 1))
            .map(|served| (from, served.end + 1)),
        _ => None,
    };
    part.ok_or_else(|| Error::Range {
        context: response.context.clone(),
        from,
        size,
    })
}

fn header(response: &reqwest::Response, name: HeaderName) -> Option<&str> {
    response.headers().get(name)?.to_str().ok()
}
