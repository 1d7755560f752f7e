//! A blob's bytes, resumed after every fault.

mod ahead;
mod body;
mod pace;
mod segment;

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use msb_oci::{Digest, Reference};
use tokio::time::Instant;

use self::ahead::Ahead;
use self::body::{Body, served_part};
use self::segment::{Segment, SegmentFault};
use super::blob_request::{BlobEvent, BlobRequest};
use super::retry::Retry;
use super::sender::{MAX_RANGES, Sender};
use super::source::{BlobSource, Place};
use crate::context::{RequestContext, Step};
use crate::document::{Document, shown_type};
use crate::error::Error;
use crate::exchange::request::Response;
use crate::notice::Notice;

/// How often a segment that brings nothing is compared with the others.
const TICK: Duration = Duration::from_secs(1);
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
/// Where a single connection is too slow, ranges behind these bytes are fetched at the same time ([`Limits::ranges`](crate::Limits::ranges)),
/// by tasks on the caller's runtime. The order of the bytes stays the same, and the drawing holds for whatever those ranges do not bring.
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
    /// The offset in the blob of the next byte to hand out; at most `size` after the first event.
    position: u64,
    front: Option<Front>,
    ahead: Ahead,
    /// Whether the last front ended as it should, so that a new response is no resumed download.
    has_ended: bool,
    retry: Retry,
    restarts: u32,
    /// Windows in a row in which the blob was too slow.
    slow_windows: u32,
    ranges: Ranges,
    content_type: Option<String>,
}

/// Where the next bytes come from.
#[derive(Debug)]
enum Front {
    /// A response, mostly with all bytes up to the end of the blob.
    Body(Body),
    /// A range that was fetched ahead.
    Segment(Segment),
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
    /// Counts a temporary fault. It may have nothing to do with the range, so only after the second in a row the range is left out.
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
        let ahead = Ahead::new(sender.exchange().limits.ranges.min(MAX_RANGES));
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
            front: None,
            ahead,
            has_ended: false,
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
            match &self.front {
                None if self.position == self.size => return Ok(None),
                None => match self.ahead.take(self.position) {
                    Some(segment) => self.front = Some(Front::Segment(segment)),
                    None if self.open().await? => return Ok(Some(BlobEvent::Restarted)),
                    None => {}
                },
                Some(Front::Body(_)) => match self.read_body().await {
                    Ok(Some(bytes)) => return Ok(Some(BlobEvent::Data(bytes))),
                    Ok(None) => self.front = None,
                    Err(fault) => self.recover(fault).await?,
                },
                Some(Front::Segment(_)) => match self.read_segment().await {
                    Ok(Some(bytes)) => return Ok(Some(BlobEvent::Data(bytes))),
                    Ok(None) => {
                        self.ahead.complete();
                        self.front = None;
                        self.has_ended = true;
                    }
                    // The single stream continues; its own request shows whether that is an error.
                    Err(fault) => {
                        tracing::debug!(error = %fault.error, "a range that was fetched ahead failed");
                        self.ahead.fail(&fault);
                        self.front = None;
                        self.has_ended = false;
                    }
                },
            }
        }
    }

    /// Notes that the bytes of the blob have another digest. Returns whether another host of the registry is tried: then the stream
    /// begins again at byte 0, and the mirror that served the bytes is left out.
    pub fn reject(&mut self) -> bool {
        let is_tried = self.sender.reject(&self.source.digest);
        if is_tried {
            self.front = None;
            self.ahead.turn_off();
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
                self.ahead.note_body(&body);
                if body.start > 0 && !self.has_ended {
                    self.sender.observer.notify(&Notice::Resumed {
                        context: &body.context,
                        from_bytes: body.start,
                    });
                }
                self.has_ended = false;
                self.front = Some(Front::Body(body));
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
        let end = self.ahead.start().unwrap_or(size);
        let range = ranged.then(|| (from, end - 1));
        let check = |response: &Response| served_part(response, ranged, from, size).map(drop);
        let response = self.source.send(&self.sender, range, check).await?;
        let body = Body::accept(response, &self.sender, ranged, from, size)?;
        self.content_type = body.content_type().map(str::to_owned);
        Ok(body)
    }

    /// Waits for the next bytes of the response. Returns `None` if no more of them are needed.
    async fn read_body(&mut self) -> Result<Option<Bytes>, Error> {
        if self.ahead.stop_before(self.position).is_some() {
            self.has_ended = true;
            return Ok(None);
        }
        let Some(Front::Body(body)) = &mut self.front else {
            return Ok(None);
        };
        let begun = Instant::now();
        let mut bytes = match body.next(&self.sender).await {
            Ok(Some(bytes)) => bytes,
            Err(error @ (Error::Range { .. } | Error::Long { .. })) => return Err(error),
            // All bytes are here; how the connection ends no longer matters.
            _ if self.position == self.size => return Ok(None),
            Ok(None) => return Err(body.short()),
            Err(error) => return Err(error),
        };
        if body.take_passed() {
            self.slow_windows = 0;
        }
        let received = bytes.len() as u64;
        if let Some(stop) = self.ahead.stop_before(self.position + received) {
            // OK because the stop lies behind the position, so that the difference is no longer than the bytes.
            bytes.truncate(usize::try_from(stop - self.position).unwrap_or(bytes.len()));
        }
        self.hand_out(bytes.len() as u64);
        self.ahead.count(begun.elapsed(), received);
        self.advance(None);
        Ok(Some(bytes))
    }

    /// Waits for the next bytes of the segment; `None` at its end.
    async fn read_segment(&mut self) -> Result<Option<Bytes>, SegmentFault> {
        let Some(Front::Segment(segment)) = &self.front else {
            return Ok(None);
        };
        let begun = Instant::now();
        let interval = self.sender.exchange().timeouts.stall_notice;
        let mut noticed = Duration::ZERO;
        let bytes = loop {
            // Before the bytes are read: some may come, but slowly.
            if self.ahead.is_straggler(segment) {
                return Err(SegmentFault {
                    error: segment.too_slow(),
                    is_refusal: false,
                });
            }
            match tokio::time::timeout(TICK, segment.next()).await {
                Ok(next) => break next?,
                Err(_) => {
                    let silent_for = begun.elapsed();
                    if !interval.is_zero() && silent_for - noticed >= interval {
                        noticed = silent_for;
                        self.sender.observer.notify(&Notice::Stalled {
                            context: &segment.context,
                            silent_for,
                        });
                    }
                }
            }
        };
        let end = segment.end;
        if let Some(bytes) = &bytes {
            self.hand_out(bytes.len() as u64);
            self.ahead.count(begun.elapsed(), 0);
        }
        self.advance(Some(end));
        Ok(bytes)
    }

    /// Counts bytes that are handed out.
    fn hand_out(&mut self, length: u64) {
        self.position += length;
        self.retry.progress(length);
        self.ranges = Ranges::default();
    }

    /// Asks for further ranges if that is worth it.
    fn advance(&mut self, front_end: Option<u64>) {
        let reach = (self.position, self.size);
        self.ahead
            .advance(&self.sender, &self.source, reach, front_end);
    }

    /// Closes the response after a fault, and waits until a request may be sent again.
    async fn recover(&mut self, fault: Error) -> Result<(), Error> {
        let start = match self.front.take() {
            Some(Front::Body(body)) => body.start,
            _ => 0,
        };
        if matches!(fault, Error::TooSlow { .. }) {
            self.slow_windows += 1;
        }
        if start == self.position || fault.is_of_whole_host() {
            self.source.rest(&self.sender);
        }
        // The few bytes of slow windows are no progress that would renew the budget of retries.
        if self.slow_windows > MAX_SLOW_WINDOWS {
            self.slow_windows = 0;
            return Err(fault);
        }
        if start == 0 {
            return self.retry.after(fault).await;
        }
        if self.position == start {
            self.ranges.count_fault();
        }
        self.retry_after(fault).await
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
        self.ahead.turn_off();
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
