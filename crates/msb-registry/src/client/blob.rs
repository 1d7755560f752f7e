//! A blob's bytes, resumed after every fault.

use bytes::BytesMut;
use msb_oci::{Digest, Reference};
use reqwest::StatusCode;
use reqwest::header::{CONTENT_RANGE, CONTENT_TYPE};
use tokio::time::Instant;

use super::blob_request::{BlobEvent, BlobRequest};
use super::content_range::ContentRange;
use super::rate::{Rate, Window};
use super::retry::Retry;
use super::sender::Sender;
use super::source::{BlobSource, Place};
use crate::context::{RequestContext, Step};
use crate::document::{Document, shown_type};
use crate::error::{Error, Wait};
use crate::exchange::request::Response;
use crate::notice::Notice;
use crate::transport::fault::TransportFault;

/// The number of windows in a row in which a blob may be too slow, each on a new connection.
const MAX_SLOW_WINDOWS: u32 = 2;

/// A blob that is being downloaded.
///
/// ```text
///   connect ──200 / 206 with the right Content-Range──▶ Data, Data, ... ──declared size reached──▶ None
///      ▲
///      ├── cut, stalled, slow or short body, 429, 5xx: pause, then the closed range from the bytes handed out
///      └── the range is refused, or contradicted: one request without a range ──200──▶ Restarted, then from byte 0
/// ```
///
/// **The length is checked here, the digest is not**: the caller hashes the bytes, on a thread of its own. For
/// small blobs [`Client::blob_bytes`](crate::Client::blob_bytes) does all of it.
///
/// # Invariants
///
/// Since the start or the last [`BlobEvent::Restarted`], exactly [`BlobStream::position`] bytes precede the next
/// `Data`; never more than the declared size is handed out, and `None` comes only at exactly that size. No error is returned
/// for a fault of a range before the blob was asked for without one.
#[derive(Debug)]
pub struct BlobStream {
    sender: Sender,
    source: BlobSource,
    /// The declared size, in bytes.
    size: u64,
    /// Bytes handed out, counted from the blob's start; `0 <= position <= size`.
    position: u64,
    body: Option<Body>,
    retry: Retry,
    restarts: u32,
    /// Windows in a row in which the blob was too slow.
    slow_windows: u32,
    ranges: Ranges,
    content_type: Option<String>,
}

#[derive(Debug)]
struct Body {
    response: reqwest::Response,
    context: RequestContext,
    /// The first byte of the blob that the response has.
    start: u64,
    /// The first byte behind it that the response does not have; `start <= position <= end`.
    end: u64,
    rate: Rate,
}

/// Whether the next request has a range.
#[derive(Debug, Default)]
struct Ranges {
    /// Temporary faults of requests with a range, since bytes came or one without a range was sent.
    faults: u32,
    /// The next request has none.
    avoid: bool,
    /// A request without a range was sent since bytes came.
    avoided: bool,
}

impl Ranges {
    /// Counts a temporary fault. It may have nothing to do with the range: the second time in a row, that is found out.
    fn count_fault(&mut self) {
        self.faults += 1;
        self.avoid = self.faults > 1;
    }
}

impl BlobStream {
    pub(super) fn new(
        sender: Sender,
        reference: Reference,
        request: BlobRequest,
        step: Step,
    ) -> Self {
        Self {
            retry: sender.new_retry(),
            sender,
            source: BlobSource {
                reference,
                step,
                digest: request.digest,
                urls: request.urls,
                place: Place::Registry,
                served_by: None,
            },
            size: request.size,
            position: request.offset,
            body: None,
            restarts: 0,
            slow_windows: 0,
            ranges: Ranges::default(),
            content_type: None,
        }
    }

    /// Returns where the next `Data` begins, in bytes from the blob's start.
    #[must_use]
    pub fn position(&self) -> u64 {
        self.position
    }

    /// Returns the next bytes, `Restarted`, or `None` when the blob is complete.
    ///
    /// Dropping the future loses nothing. After an error the stream may be polled again, and will try again.
    ///
    /// # Errors
    ///
    /// Temporary faults are returned only after the retries; [`Error::Long`] if there are more bytes than declared.
    pub async fn next_event(&mut self) -> Result<Option<BlobEvent>, Error> {
        // More bytes on disk than the blob has: they are of something else.
        if self.position > self.size {
            self.position = 0;
            return Ok(Some(BlobEvent::Restarted));
        }
        loop {
            if self.body.is_none() {
                if self.position == self.size {
                    return Ok(None);
                }
                if self.open().await? {
                    return Ok(Some(BlobEvent::Restarted));
                }
                continue;
            }
            match self.read().await {
                Ok(event) => return Ok(event),
                Err(fault) => {
                    let body = self.body.take();
                    let start = body.as_ref().map_or(0, |body| body.start);
                    let has_progress = body.is_some_and(|body| body.start < self.position);
                    if !has_progress || fault.is_of_whole_host() {
                        self.source.rest(&self.sender);
                    }
                    // The few bytes of slow windows are no progress that would renew the budget of retries.
                    if self.slow_windows > MAX_SLOW_WINDOWS {
                        self.slow_windows = 0;
                        return Err(fault);
                    }
                    if start == 0 {
                        self.retry.after(fault).await?;
                        continue;
                    }
                    if self.position == start {
                        self.ranges.count_fault();
                    }
                    self.retry_after(fault).await?;
                }
            }
        }
    }

    /// Notes that the bytes of the blob have another digest. Returns whether another host of the registry is tried: then the stream
    /// begins again at byte 0, and the mirror that served the bytes is left out.
    pub fn reject(&mut self) -> bool {
        let is_tried = self.sender.reject(&self.source.digest);
        if is_tried {
            self.body = None;
            self.position = 0;
        }
        is_tried
    }

    /// Opens a body if it can. Returns whether the stream starts over.
    async fn open(&mut self) -> Result<bool, Error> {
        let ranged = self.position > 0 && !self.ranges.avoid;
        let fault = match self.connect(ranged).await {
            Ok(body) => {
                let starts_over = self.position > 0 && body.start == 0;
                if starts_over {
                    self.count_restart(&body.context)?;
                }
                self.ranges.avoid = false;
                if body.start > 0 {
                    self.sender.observer.notify(&Notice::Resumed {
                        context: &body.context,
                        from_bytes: body.start,
                    });
                }
                self.body = Some(body);
                return Ok(starts_over);
            }
            Err(fault) => fault,
        };
        if !ranged {
            self.ranges = Ranges {
                avoided: true,
                ..Ranges::default()
            };
            self.retry.after(fault).await?;
            return Ok(false);
        }
        if fault.is_temporary() {
            self.ranges.count_fault();
            self.retry_after(fault).await?;
        } else {
            tracing::debug!(error = %fault, "the registry refuses a range");
            self.ranges.avoid = true;
        }
        Ok(false)
    }

    /// Waits after a fault of a request with a range. Where that would be the last one, a request without a range comes first.
    async fn retry_after(&mut self, fault: Error) -> Result<(), Error> {
        let is_last = self.retry.after(fault).await;
        if is_last.is_err() && !self.ranges.avoided {
            self.ranges.avoid = true;
            self.ranges.avoided = true;
            return Ok(());
        }
        is_last
    }

    /// Sends a request, and accepts a response only if its body begins at the byte that was asked for.
    async fn connect(&mut self, ranged: bool) -> Result<Body, Error> {
        let size = self.size;
        let from = if ranged { self.position } else { 0 };
        // The size is known, and some servers refuse an open range.
        let range = ranged.then(|| (from, size - 1));
        let check = |response: &Response| served_part(response, ranged, from, size).map(drop);
        let response = self.source.send(&self.sender, range, check).await?;
        let (start, end) = served_part(&response, ranged, from, size)?;
        self.content_type = header(&response, CONTENT_TYPE).map(str::to_owned);
        Ok(Body {
            response: response.inner,
            context: response.context,
            start,
            end,
            rate: Rate::new(&self.sender.exchange().timeouts),
        })
    }

    /// Waits for the next bytes of the body.
    async fn read(&mut self) -> Result<Option<BlobEvent>, Error> {
        let timeouts = &self.sender.exchange().timeouts;
        let size = self.size;
        loop {
            let Some(body) = &mut self.body else {
                return Ok(None);
            };
            let begun = Instant::now();
            let context = || body.context.clone();
            let chunk = self.sender.observer.watch(
                body.response.chunk(),
                timeouts.stall,
                timeouts.stall_notice,
                context,
            );
            let chunk = chunk.await;
            let context = body.context.clone();
            return match chunk {
                Some(Ok(Some(chunk))) if chunk.is_empty() => continue,
                Some(Ok(Some(chunk))) => {
                    let length = chunk.len() as u64;
                    if length > body.end - self.position {
                        return Err(if body.end == size {
                            Error::Long {
                                context,
                                expected: size,
                            }
                        } else {
                            Error::Range {
                                context,
                                from: self.position,
                                size,
                            }
                        });
                    }
                    match body.rate.add(begun.elapsed(), length) {
                        Window::Slow { received } if self.position + length < size => {
                            self.slow_windows += 1;
                            // These bytes are lost with the connection; they are few.
                            return Err(Error::TooSlow {
                                context,
                                received,
                                window: timeouts.least_rate_window,
                                least_rate: timeouts.least_rate,
                            });
                        }
                        Window::Passed => self.slow_windows = 0,
                        Window::Open | Window::Slow { .. } => {}
                    }
                    self.position += length;
                    self.retry.progress(length);
                    self.ranges = Ranges::default();
                    Ok(Some(BlobEvent::Data(chunk)))
                }
                // All bytes are here; how the connection ends no longer matters.
                _ if self.position == size => {
                    self.body = None;
                    Ok(None)
                }
                Some(Ok(None)) => Err(Error::Short {
                    context,
                    expected: size,
                    actual: self.position,
                }),
                Some(Err(source)) => Err(Error::Body {
                    context,
                    received: self.position,
                    source: TransportFault::new(&source),
                }),
                None => Err(Error::Timeout {
                    context,
                    wait: Wait::Stall,
                    limit: timeouts.stall,
                }),
            };
        }
    }

    /// Starts over at byte 0, unless that has happened too often.
    fn count_restart(&mut self, context: &RequestContext) -> Result<(), Error> {
        if self.restarts >= self.sender.exchange().limits.restarts {
            return Err(Error::Short {
                context: context.clone(),
                expected: self.size,
                actual: self.position,
            });
        }
        tracing::debug!(%context, position = self.position, "the download starts over");
        self.restarts += 1;
        self.position = 0;
        Ok(())
    }

    /// Collects a small blob, and verifies it.
    pub(super) async fn collect(mut self) -> Result<Document, Error> {
        // Grows with the bytes that come, because nothing vouches for the declared size yet.
        let mut bytes = BytesMut::new();
        let expected = self.source.digest;
        let actual = loop {
            while let Some(event) = self.next_event().await? {
                match event {
                    BlobEvent::Data(data) => bytes.extend_from_slice(&data),
                    BlobEvent::Restarted => bytes.clear(),
                }
            }
            let actual = Digest::of(expected.algorithm(), &bytes);
            if actual == expected || !self.reject() {
                break actual;
            }
            bytes.clear();
        };
        if actual != expected {
            return Err(Error::DigestMismatch {
                context: self.sender.blob_context(
                    self.source.step,
                    &self.source.reference,
                    &expected,
                )?,
                expected,
                actual,
            });
        }
        Ok(Document {
            bytes: bytes.freeze(),
            digest: actual,
            media_type: shown_type(self.content_type.as_deref()),
        })
    }
}

/// Returns the bytes of the blob that a response has, from its header: the first, and the first behind them.
///
/// `from` is the byte that was asked for; 0 without a range.
fn served_part(
    response: &Response,
    ranged: bool,
    from: u64,
    size: u64,
) -> Result<(u64, u64), Error> {
    let length = response.inner.content_length();
    let content_range = header(response, CONTENT_RANGE);
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

fn header(response: &Response, name: reqwest::header::HeaderName) -> Option<&str> {
    let value = response.inner.headers().get(name)?;
    value.to_str().ok()
}
