//! The body of a request.

use std::fmt;
use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use read_at::ReadAt;
use reqwest::header::HeaderValue;
use tokio::sync::mpsc;

/// The number of bytes of a source that are read at once. At most three such pieces of a body are in memory.
const PIECE_BYTES: u64 = 256 << 10;

/// A body that can be sent repeatedly, with its media type.
#[derive(Debug, Clone)]
pub(crate) struct RequestBody {
    pub(crate) content_type: HeaderValue,
    pub(crate) content: Content,
    /// First and last byte, for a chunk of an upload.
    pub(crate) range: Option<(u64, u64)>,
}

/// The bytes of a body.
#[derive(Clone)]
pub(crate) enum Content {
    Bytes(Bytes),
    /// Bytes that are read while they are sent.
    Source(SourceRange),
}

/// `length` bytes of a source.
#[derive(Clone)]
pub(crate) struct SourceRange {
    pub(crate) source: Arc<dyn ReadAt + Send + Sync>,
    pub(crate) offset: u64,
    pub(crate) length: u64,
}

/// How far one transmission of a source has come.
#[derive(Debug, Default)]
pub(crate) struct Transmission {
    /// Bytes that the connection has taken.
    taken: AtomicU64,
    fault: Mutex<Option<io::Error>>,
}

impl RequestBody {
    pub(crate) fn bytes(content_type: &'static str, bytes: Bytes) -> Self {
        Self {
            content_type: HeaderValue::from_static(content_type),
            content: Content::Bytes(bytes),
            range: None,
        }
    }
}

impl Content {
    /// Starts a transmission. Must be called on a tokio runtime.
    pub(crate) fn transmit(&self) -> (reqwest::Body, Option<Arc<Transmission>>) {
        match self {
            Self::Bytes(bytes) => (bytes.clone().into(), None),
            Self::Source(range) => {
                let transmission = Arc::<Transmission>::default();
                let body = SourceBody::new(range, Arc::clone(&transmission));
                (reqwest::Body::wrap(body), Some(transmission))
            }
        }
    }
}

impl Transmission {
    /// Takes the error of the source, if reading it failed.
    pub(crate) fn take_fault(&self) -> Option<io::Error> {
        let mut fault = self.fault.lock().unwrap_or_else(PoisonError::into_inner);
        fault.take()
    }

    /// Waits for `future`. Returns `None` if for `limit` neither it ended nor the connection took any bytes.
    pub(crate) async fn watch<T>(
        &self,
        future: impl Future<Output = T>,
        limit: Duration,
    ) -> Option<T> {
        let mut future = std::pin::pin!(future);
        let mut seen = 0;
        loop {
            if let Ok(output) = tokio::time::timeout(limit, &mut future).await {
                return Some(output);
            }
            let taken = self.taken.load(Ordering::Relaxed);
            if taken == seen {
                return None;
            }
            seen = taken;
        }
    }
}

/// A body that a task reads ahead of the connection, on blocking threads.
struct SourceBody {
    pieces: mpsc::Receiver<io::Result<Bytes>>,
    left: u64,
    transmission: Arc<Transmission>,
}

impl SourceBody {
    fn new(range: &SourceRange, transmission: Arc<Transmission>) -> Self {
        let (sender, pieces) = mpsc::channel(1);
        tokio::spawn(read_pieces(range.clone(), sender));
        Self {
            pieces,
            left: range.length,
            transmission,
        }
    }
}

/// Reads the pieces of `range` until all are sent or the receiver is dropped.
async fn read_pieces(range: SourceRange, sender: mpsc::Sender<io::Result<Bytes>>) {
    let (mut offset, mut left) = (range.offset, range.length);
    while left > 0 {
        let length = left.min(PIECE_BYTES);
        let source = Arc::clone(&range.source);
        let read = tokio::task::spawn_blocking(move || {
            // OK because of the length of a piece.
            let mut piece = vec![0; usize::try_from(length).unwrap_or_default()];
            source.read_exact_at(&mut piece, offset)?;
            Ok(Bytes::from(piece))
        });
        let piece = match read.await {
            Ok(piece) => piece,
            Err(_) => Err(io::Error::other(
                "a background task panicked or was aborted",
            )),
        };
        let has_failed = piece.is_err();
        if sender.send(piece).await.is_err() || has_failed {
            return;
        }
        offset = offset.saturating_add(length);
        left -= length;
    }
}

impl Body for SourceBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        if self.left == 0 {
            return Poll::Ready(None);
        }
        let piece = match self.pieces.poll_recv(context) {
            Poll::Pending => return Poll::Pending,
            Poll::Ready(Some(piece)) => piece,
            // The runtime is shutting down.
            Poll::Ready(None) => Err(io::ErrorKind::UnexpectedEof.into()),
        };
        match piece {
            Ok(bytes) => {
                let length = bytes.len() as u64;
                self.left = self.left.saturating_sub(length);
                self.transmission.taken.fetch_add(length, Ordering::Relaxed);
                Poll::Ready(Some(Ok(Frame::data(bytes))))
            }
            Err(error) => {
                let fault = &self.transmission.fault;
                let mut fault = fault.lock().unwrap_or_else(PoisonError::into_inner);
                let kind = error.kind();
                *fault = Some(error);
                Poll::Ready(Some(Err(kind.into())))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.left == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}

impl fmt::Debug for Content {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // A form may hold a secret.
        match self {
            Self::Bytes(bytes) => write!(f, "{} bytes", bytes.len()),
            Self::Source(range) => write!(f, "{} bytes from {}", range.length, range.offset),
        }
    }
}
