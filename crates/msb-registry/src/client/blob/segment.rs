//! A range of a blob that is fetched before the bytes in front of it have been handed out.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use tokio::sync::{Notify, OwnedSemaphorePermit};
use tokio::task::AbortHandle;
use tokio::time::Instant;

use super::super::sender::Sender;
use super::super::source::HostSource;
use super::body::Body;
use crate::context::RequestContext;
use crate::error::{Error, Wait};

/// Bytes are kept in pieces of this length, however a server divides them: one piece for each byte would cost forty times as much.
const PIECE_BYTES: usize = 256 << 10;

/// A range that a task of its own fetches into memory. Dropping it ends the task, and with it the request.
///
/// # Invariants
///
/// Never more than `end - start` bytes are kept. The bytes are those of the blob from `start` on, as far as the server's header shows.
#[derive(Debug)]
pub(super) struct Segment {
    /// The first byte.
    pub(super) start: u64,
    /// The first byte behind it; `start < end`.
    pub(super) end: u64,
    pub(super) context: RequestContext,
    begun: Instant,
    shared: Arc<Shared>,
    task: AbortHandle,
}

/// What a segment asks for.
#[derive(Debug)]
pub(super) struct SegmentRequest {
    pub(super) source: HostSource,
    pub(super) start: u64,
    pub(super) end: u64,
    /// The declared size of the blob, in bytes.
    pub(super) size: u64,
    /// The `ETag` of the bytes before it.
    pub(super) entity_tag: Option<Arc<str>>,
}

/// Why a segment ended early.
#[derive(Debug)]
pub(super) struct SegmentFault {
    pub(super) error: Error,
    /// Whether the server refused the range, or contradicted it.
    pub(super) is_refusal: bool,
}

/// The state of a segment whose bytes need not all have come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    /// The header of the response has not come.
    Requested,
    /// The server serves the range.
    Accepted,
    /// All bytes came, after this time.
    Complete(Duration),
    /// A fault that may have nothing to do with the range.
    Failed,
    /// The server refused the range, or contradicted it.
    Refused,
}

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    changed: Notify,
    /// Bounds the memory of all segments of a client, so it is kept as long as the bytes.
    _permit: OwnedSemaphorePermit,
}

#[derive(Debug)]
struct State {
    pieces: VecDeque<Bytes>,
    /// The last piece, while it grows.
    open: BytesMut,
    stage: Stage,
    fault: Option<Error>,
}

impl Segment {
    /// Starts to fetch a range. `received` counts its bytes as they arrive.
    pub(super) fn fetch(
        request: SegmentRequest,
        sender: &Sender,
        permit: OwnedSemaphorePermit,
        received: Arc<AtomicU64>,
    ) -> Result<Self, Error> {
        let shared = Arc::new(Shared {
            state: Mutex::new(State {
                pieces: VecDeque::new(),
                open: BytesMut::new(),
                stage: Stage::Requested,
                fault: None,
            }),
            changed: Notify::new(),
            _permit: permit,
        });
        let (start, end) = (request.start, request.end);
        let context = request.source.context(sender)?;
        let begun = Instant::now();
        let task = Task {
            shared: Arc::clone(&shared),
            sender: sender.without_observer(),
            request,
            received,
            begun,
        };
        Ok(Self {
            start,
            end,
            context,
            begun,
            shared,
            task: tokio::spawn(task.run()).abort_handle(),
        })
    }

    /// Waits for the next bytes; `None` after all of them. Dropping the future loses nothing.
    pub(super) async fn next(&self) -> Result<Option<Bytes>, SegmentFault> {
        loop {
            // Before the state is read, so that a change in between wakes it.
            let changed = self.shared.changed.notified();
            {
                let mut state = self.shared.lock();
                if let Some(bytes) = state.take_bytes() {
                    return Ok(Some(bytes));
                }
                match state.stage {
                    Stage::Complete(_) => return Ok(None),
                    Stage::Failed | Stage::Refused => {
                        return Err(SegmentFault {
                            error: state.fault.take().unwrap_or(Error::Worker),
                            is_refusal: state.stage == Stage::Refused,
                        });
                    }
                    Stage::Requested | Stage::Accepted => {}
                }
            }
            changed.await;
        }
    }

    pub(super) fn stage(&self) -> Stage {
        self.shared.lock().stage
    }

    /// Returns the error of a segment that takes far longer than others.
    pub(super) fn too_slow(&self) -> Error {
        Error::Timeout {
            context: self.context.clone(),
            wait: Wait::Stall,
            limit: self.age(),
        }
    }

    /// Returns how long ago the request was sent.
    pub(super) fn age(&self) -> Duration {
        self.begun.elapsed()
    }
}

impl Drop for Segment {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn set(&self, stage: Stage, fault: Option<Error>) {
        {
            let mut state = self.lock();
            (state.stage, state.fault) = (stage, fault);
        }
        self.changed.notify_one();
    }
}

impl State {
    fn add(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            if self.open.is_empty() {
                self.open.reserve(PIECE_BYTES);
            }
            let (now, later) = bytes.split_at(bytes.len().min(PIECE_BYTES - self.open.len()));
            self.open.extend_from_slice(now);
            bytes = later;
            if self.open.len() == PIECE_BYTES {
                let piece = self.open.split().freeze();
                self.pieces.push_back(piece);
            }
        }
    }

    fn take_bytes(&mut self) -> Option<Bytes> {
        let piece = self.pieces.pop_front();
        piece.or_else(|| (!self.open.is_empty()).then(|| self.open.split().freeze()))
    }
}

/// The work of a segment's task.
struct Task {
    shared: Arc<Shared>,
    sender: Sender,
    request: SegmentRequest,
    received: Arc<AtomicU64>,
    begun: Instant,
}

impl Task {
    async fn run(self) {
        // A task that panics must not leave the reader waiting.
        let ended = Ended(&self.shared);
        let (stage, fault) = match self.fetch().await {
            Ok(()) => (Stage::Complete(self.begun.elapsed()), None),
            Err(fault) if fault.is_refusal => (Stage::Refused, Some(fault.error)),
            Err(fault) => (Stage::Failed, Some(fault.error)),
        };
        self.shared.set(stage, fault);
        drop(ended);
    }

    async fn fetch(&self) -> Result<(), SegmentFault> {
        let SegmentRequest {
            start, end, size, ..
        } = self.request;
        let sent = self
            .request
            .source
            .send(&self.sender, (start, end - 1))
            .await;
        let response = sent.map_err(|error| SegmentFault {
            // A server that is asked for too much at once answers with a status too.
            is_refusal: matches!(error, Error::Status { .. }) || !error.is_temporary(),
            error,
        })?;
        let refused = |error| SegmentFault {
            error,
            is_refusal: true,
        };
        let context = response.context.clone();
        let contradiction = || {
            refused(Error::Range {
                context: context.clone(),
                from: start,
                size,
            })
        };
        let mut body = Body::accept(response, &self.sender, true, start, size).map_err(refused)?;
        let is_same = match (&self.request.entity_tag, body.entity_tag()) {
            (Some(known), Some(tag)) => **known == *tag,
            _ => true,
        };
        if !body.has_exactly(start, end) || !is_same {
            return Err(contradiction());
        }
        self.shared.set(Stage::Accepted, None);
        let mut position = start;
        loop {
            match body.next(&self.sender).await {
                Ok(Some(bytes)) => {
                    // Within the range, because the body has exactly that.
                    position += bytes.len() as u64;
                    self.received
                        .fetch_add(bytes.len() as u64, Ordering::Relaxed);
                    self.shared.lock().add(&bytes);
                    self.shared.changed.notify_one();
                }
                Err(error @ (Error::Range { .. } | Error::Long { .. })) => {
                    return Err(refused(error));
                }
                // All bytes are here; how the connection ends no longer matters.
                _ if position == end => return Ok(()),
                Ok(None) => {
                    return Err(SegmentFault {
                        error: body.short(),
                        is_refusal: false,
                    });
                }
                Err(error) => {
                    return Err(SegmentFault {
                        error,
                        is_refusal: false,
                    });
                }
            }
        }
    }
}

/// Marks a segment as failed if its task ends in no other way.
struct Ended<'a>(&'a Shared);

impl Drop for Ended<'_> {
    fn drop(&mut self) {
        if matches!(self.0.lock().stage, Stage::Requested | Stage::Accepted) {
            self.0.set(Stage::Failed, Some(Error::Worker));
        }
    }
}
