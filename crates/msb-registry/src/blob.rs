//! A blob's bytes, resumed as often as it takes.

use bytes::{Bytes, BytesMut};
use msb_oci::{Digest, Reference};
use reqwest::header::{CONTENT_RANGE, CONTENT_TYPE};
use reqwest::{Response, StatusCode};

use crate::client::Client;
use crate::document::{Document, shown_type};
use crate::error::{Error, Wait};
use crate::exchange::Question;
use crate::retry::Retry;
use crate::shown::{At, Step};

/// Which blob, and from where on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BlobRequest {
    /// The blob's digest. It is only asked for here; whoever takes the bytes checks it.
    pub digest: Digest,
    /// The size that the descriptor declares, in bytes.
    pub size: u64,
    /// How many bytes from the start the caller has already.
    pub offset: u64,
}

impl BlobRequest {
    /// The whole blob.
    #[must_use]
    pub fn new(digest: Digest, size: u64) -> Self {
        Self {
            digest,
            size,
            offset: 0,
        }
    }

    /// The blob without its first `offset` bytes.
    #[must_use]
    pub fn from_offset(self, offset: u64) -> Self {
        Self { offset, ..self }
    }
}

/// What a [`BlobStream`] gives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BlobEvent {
    /// The next bytes; never empty.
    Data(Bytes),
    /// The registry cannot go on in the middle. All bytes so far are void, also those before
    /// [`BlobRequest::offset`]: what follows starts at byte 0.
    Restarted,
}

/// A blob on its way.
///
/// ```text
///   connect ──200 / 206 with the right Content-Range──▶ Data, Data, ... ──declared size reached──▶ None
///      ▲  └──200, 416 or another range on a resume──▶ Restarted, then from byte 0
///      └──────── cut, stalled or short body, 429, 5xx: pause, then Range from the bytes handed out
/// ```
///
/// **Length is checked here, the digest is not**: the caller hashes what it takes, on a thread of its own. For
/// small blobs [`Client::blob_bytes`] does all of it.
///
/// # Invariants
///
/// Since the start or the last [`BlobEvent::Restarted`], exactly [`BlobStream::position`] bytes precede the next
/// `Data`; never more than the declared size is handed out, and `None` comes only at exactly that size.
#[derive(Debug)]
pub struct BlobStream {
    client: Client,
    reference: Reference,
    request: BlobRequest,
    step: Step,
    /// Bytes handed out, counted from the blob's start; `0 <= position <= request.size`.
    position: u64,
    body: Option<Body>,
    retry: Retry,
    restarts: u32,
    content_type: Option<String>,
}

#[derive(Debug)]
struct Body {
    response: Response,
    at: At,
}

/// How the registry answered.
enum Opened {
    /// From where we are.
    Goes(Body),
    /// From byte 0, though asked for the middle.
    FromStart(Body),
    /// Not from where we are; ask again from byte 0.
    Refuses(At),
}

impl BlobStream {
    pub(crate) fn new(
        client: Client,
        reference: Reference,
        request: BlobRequest,
        step: Step,
    ) -> Self {
        let retry = client.inner.new_retry();
        let position = request.offset;
        Self {
            client,
            reference,
            request,
            step,
            position,
            body: None,
            retry,
            restarts: 0,
            content_type: None,
        }
    }

    /// Where the next `Data` begins, in bytes from the blob's start.
    #[must_use]
    pub fn position(&self) -> u64 {
        self.position
    }

    /// The next bytes, `Restarted`, or `None` when the blob is complete.
    ///
    /// Dropping the future loses nothing. After an error the stream may be asked again, and will try again.
    ///
    /// # Errors
    ///
    /// Temporary faults come only after the retries; [`Error::Long`] if there are more bytes than declared.
    pub async fn next_event(&mut self) -> Result<Option<BlobEvent>, Error> {
        // More bytes on disk than the blob has: they are of something else.
        if self.position > self.request.size {
            self.position = 0;
            return Ok(Some(BlobEvent::Restarted));
        }
        loop {
            let Some(body) = &mut self.body else {
                if self.position == self.request.size {
                    return Ok(None);
                }
                match self.open().await {
                    Ok(Opened::Goes(body)) => self.body = Some(body),
                    Ok(Opened::FromStart(body)) => {
                        self.count_restart(&body.at)?;
                        self.body = Some(body);
                        return Ok(Some(BlobEvent::Restarted));
                    }
                    Ok(Opened::Refuses(at)) => {
                        self.count_restart(&at)?;
                        return Ok(Some(BlobEvent::Restarted));
                    }
                    Err(error) => self.retry.after(error).await?,
                }
                continue;
            };
            let limit = self.client.inner.timeouts.stall;
            let chunk = tokio::time::timeout(limit, body.response.chunk()).await;
            let complete = self.position == self.request.size;
            let at = || body.at.clone();
            let fault = match chunk {
                Ok(Ok(Some(chunk))) if chunk.is_empty() => continue,
                Ok(Ok(Some(chunk))) => {
                    let length = chunk.len() as u64;
                    if length <= self.request.size - self.position {
                        self.position += length;
                        self.retry.progress(length);
                        return Ok(Some(BlobEvent::Data(chunk)));
                    }
                    Error::Long {
                        at: at(),
                        expected: self.request.size,
                    }
                }
                // All bytes are here; how the connection ends no longer matters.
                _ if complete => {
                    self.body = None;
                    return Ok(None);
                }
                Ok(Ok(None)) => Error::Short {
                    at: at(),
                    expected: self.request.size,
                    actual: self.position,
                },
                Ok(Err(source)) => Error::Body {
                    at: at(),
                    received: self.position,
                    source: source.without_url(),
                },
                Err(_) => Error::Timeout {
                    at: at(),
                    wait: Wait::Stall,
                    limit,
                },
            };
            self.body = None;
            self.retry.after(fault).await?;
        }
    }

    async fn open(&mut self) -> Result<Opened, Error> {
        let (from, size) = (self.position, self.request.size);
        let question = Question {
            step: self.step,
            reference: &self.reference,
            accept: "application/octet-stream, */*",
            from,
        };
        let answer = self
            .client
            .inner
            .send(&question, &format!("blobs/{}", self.request.digest))
            .await?;
        let (response, at) = (answer.response, answer.at);
        let header = |name| {
            response
                .headers()
                .get(name)
                .and_then(|value| value.to_str().ok())
        };
        self.content_type = header(CONTENT_TYPE).map(str::to_owned);
        let range = header(CONTENT_RANGE).and_then(ContentRange::parse);
        let goes_on = range.is_some_and(|range| range.start == from && range.total == size);
        match response.status() {
            // A shorter length is not held against it: the rest is asked for when it has come.
            StatusCode::OK
                if response
                    .content_length()
                    .is_some_and(|length| length > size) =>
            {
                Err(Error::Long { at, expected: size })
            }
            StatusCode::OK if from == 0 => Ok(Opened::Goes(Body { response, at })),
            StatusCode::OK => Ok(Opened::FromStart(Body { response, at })),
            StatusCode::PARTIAL_CONTENT if goes_on => Ok(Opened::Goes(Body { response, at })),
            _ if from > 0 => Ok(Opened::Refuses(at)),
            status => {
                let said = crate::Said::default();
                Err(Error::Status {
                    at,
                    status: status.as_u16(),
                    retry_after: None,
                    said,
                })
            }
        }
    }

    /// Starts over at byte 0, unless that has happened too often.
    fn count_restart(&mut self, at: &At) -> Result<(), Error> {
        if self.restarts >= self.client.inner.limits.retries {
            return Err(Error::Short {
                at: at.clone(),
                expected: self.request.size,
                actual: self.position,
            });
        }
        tracing::debug!(%at, position = self.position, "the registry does not resume; starting over");
        self.restarts += 1;
        self.position = 0;
        Ok(())
    }

    /// All of it, in memory, with its digest checked.
    pub(crate) async fn collect(mut self) -> Result<Document, Error> {
        let mut bytes = BytesMut::new();
        while let Some(event) = self.next_event().await? {
            match event {
                BlobEvent::Data(data) => bytes.extend_from_slice(&data),
                BlobEvent::Restarted => bytes.clear(),
            }
        }
        let expected = self.request.digest;
        let actual = Digest::of(expected.algorithm(), &bytes);
        if actual != expected {
            let at = self
                .client
                .inner
                .at_blob(self.step, &self.reference, &expected)?;
            return Err(Error::DigestMismatch {
                at,
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

/// `bytes 10-19/20` (RFC 9110, section 14.4). A `*` in place of the total is no answer to rely on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct ContentRange {
    start: u64,
    /// `start <= end < total`.
    end: u64,
    total: u64,
}

impl ContentRange {
    fn parse(text: &str) -> Option<Self> {
        let (unit, range) = text.trim().split_once(' ')?;
        let (span, total) = range.trim().split_once('/')?;
        let (start, end) = span.split_once('-')?;
        let number = |text: &str| {
            text.bytes()
                .all(|b| b.is_ascii_digit())
                .then(|| text.parse().ok())?
        };
        let range = Self {
            start: number(start)?,
            end: number(end)?,
            total: number(total)?,
        };
        (unit.eq_ignore_ascii_case("bytes") && range.start <= range.end && range.end < range.total)
            .then_some(range)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_ranges() {
        let range = ContentRange {
            start: 10,
            end: 19,
            total: 20,
        };
        assert_eq!(ContentRange::parse("bytes 10-19/20"), Some(range));
        for odd in [
            "",
            "bytes",
            "bytes */20",
            "bytes 10-19/*",
            "bytes 19-10/20",
            "bytes 10-20/20",
            "items 10-19/20",
            "bytes +1-2/3",
            "bytes 1-2",
        ] {
            assert_eq!(ContentRange::parse(odd), None, "{odd}");
        }
    }
}
