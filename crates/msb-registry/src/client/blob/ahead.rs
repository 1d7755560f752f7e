//! Which ranges of a blob are fetched ahead of the reader, and whether that is worth it.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::super::sender::Sender;
use super::super::source::BlobSource;
use super::body::Body;
use super::pace::{Measured, Pace};
use super::segment::{Segment, SegmentFault, SegmentRequest, Stage};

/// The longest range, in bytes: at 20 MB/s, a request costs little beside it.
const MAX_SEGMENT_BYTES: u64 = 8 << 20;
/// The shortest range, except at the end of a blob, in bytes.
const MIN_SEGMENT_BYTES: u64 = 1 << 20;
/// Where fewer bytes remain, no further connection is opened.
const MIN_REMAINING_BYTES: u64 = 16 << 20;
/// At this rate, no further connection is opened.
const FAST_BYTES_PER_SEC: u64 = 128 << 20;
/// More ranges that fail than complete, by this number, and the blob continues as a single stream.
const MAX_FAULTS: u32 = 3;
/// A range may take this many times as long as the slowest of the others.
const STRAGGLER_FACTOR: u32 = 3;
/// In addition to that.
const STRAGGLER_TIME: Duration = Duration::from_secs(1);

/// The ranges of one blob that are fetched ahead.
///
/// ```text
///   handed out │ front            │ queue[0]   │ queue[1]   │ queue[2]   │ not asked for
///              ▲ position         ▲            each adjacent to the next
///                                 └ behind the front, which is the response of the single stream, or a segment
///
///   width 1 ──the reader waits for the network──▶ width 2 ──1.25 times faster──▶ width 4 ──...──▶ the limit
///                                                    └──not faster──▶ back, and no more attempts
/// ```
///
/// # Invariants
///
/// The segments are in order and adjacent, and the first begins at or behind the position of the reader. There are fewer than `width`,
/// so that with the front, at most `width` requests are under way.
#[derive(Debug)]
pub(super) struct Ahead {
    /// The largest width; 1 once ranges are turned off.
    limit: usize,
    /// The number of requests at once, that of the front included.
    width: usize,
    widening: Widening,
    /// The rate of the single stream, in bytes per second.
    single_rate: u64,
    queue: VecDeque<Segment>,
    /// Bytes that arrived in segments.
    received: Arc<AtomicU64>,
    /// Bytes that arrived in the response of the single stream.
    received_directly: u64,
    pace: Pace,
    entity_tag: Option<Arc<str>>,
    /// Segments that failed, less those that completed since.
    faults: u32,
}

/// Whether a further connection is worth trying.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Widening {
    Watching,
    /// New connections have begun, and are not at their full speed.
    Warming {
        before: u64,
    },
    /// The rate with the new connections is measured, a second time if it is no higher.
    Measuring {
        before: u64,
        is_second: bool,
    },
    Settled,
}

impl Ahead {
    /// Returns a queue for up to `ranges` requests at once.
    pub(super) fn new(ranges: u32) -> Self {
        Self {
            limit: usize::try_from(ranges).unwrap_or(usize::MAX).max(1),
            width: 1,
            widening: Widening::Watching,
            single_rate: 0,
            queue: VecDeque::new(),
            received: Arc::default(),
            received_directly: 0,
            pace: Pace::new(),
            entity_tag: None,
            faults: 0,
        }
    }

    /// Continues as a single stream. Bytes that were fetched ahead are lost.
    pub(super) fn turn_off(&mut self) {
        self.queue.clear();
        self.limit = 1;
        self.width = 1;
        self.widening = Widening::Settled;
    }

    /// Notes what the response of the single stream shows about ranges.
    pub(super) fn note_body(&mut self, body: &Body) {
        self.entity_tag = body.entity_tag().map(Arc::from);
        if !body.may_have_ranges() {
            self.turn_off();
        }
    }

    /// Returns where the first segment begins.
    pub(super) fn start(&self) -> Option<u64> {
        self.queue.front().map(|first| first.start)
    }

    /// Returns the first segment if it begins at `position`.
    pub(super) fn take(&mut self, position: u64) -> Option<Segment> {
        if self.start() == Some(position) {
            return self.queue.pop_front();
        }
        None
    }

    /// Returns where a response that has reached `position` and continues must stop, because a segment that the server serves
    /// begins there. Discards segments that begin before `position` and may still be refused: without them, the response continues.
    pub(super) fn stop_before(&mut self, position: u64) -> Option<u64> {
        loop {
            let first = self.queue.front()?;
            if first.start > position {
                return None;
            }
            match first.stage() {
                Stage::Accepted | Stage::Complete(_) => return Some(first.start),
                Stage::Requested => {}
                Stage::Failed | Stage::Refused => self.faults += 1,
            }
            self.queue.pop_front();
            if self.faults >= MAX_FAULTS {
                self.turn_off();
            }
        }
    }

    /// Notes bytes that were handed out: how long the reader waited for them, and how many came in the response of the single
    /// stream.
    pub(super) fn count(&mut self, waited: Duration, received_directly: u64) {
        self.pace.waited(waited);
        self.received_directly += received_directly;
    }

    /// Notes that a segment was handed out completely.
    pub(super) fn complete(&mut self) {
        self.faults = self.faults.saturating_sub(1);
    }

    /// Notes a fault of a segment.
    pub(super) fn fail(&mut self, fault: &SegmentFault) {
        self.faults += 1;
        if fault.is_refusal || self.faults >= MAX_FAULTS {
            self.turn_off();
        }
    }

    /// Returns whether `front` takes far longer than the segments behind it, all of which are complete. Where there are none, it is
    /// compared with the single stream.
    pub(super) fn is_straggler(&self, front: &Segment) -> bool {
        if !matches!(front.stage(), Stage::Requested | Stage::Accepted) {
            return false;
        }
        let mut slowest = Duration::ZERO;
        for segment in &self.queue {
            match segment.stage() {
                Stage::Complete(took) => slowest = slowest.max(took),
                _ => return false,
            }
        }
        if self.queue.is_empty() {
            let millis = (front.end - front.start) * 1000 / self.single_rate.max(1);
            slowest = Duration::from_millis(millis);
        }
        front.age() > slowest * STRAGGLER_FACTOR + STRAGGLER_TIME
    }

    /// Measures, and asks for further segments. `front_end` is where the front ends if it is a segment.
    pub(super) fn advance(
        &mut self,
        sender: &Sender,
        source: &BlobSource,
        (position, size): (u64, u64),
        front_end: Option<u64>,
    ) {
        if self.limit == 1 {
            return;
        }
        if self
            .queue
            .iter()
            .any(|segment| segment.stage() == Stage::Refused)
        {
            tracing::debug!(digest = %source.digest, "ranges are refused; the blob continues as a single stream");
            self.turn_off();
            return;
        }
        let received = self.received_directly + self.received.load(Ordering::Relaxed);
        if let Some(measured) = self.pace.measure(received) {
            let may_grow = size - position >= MIN_REMAINING_BYTES && sender.has_free_segment();
            self.adapt(measured, may_grow);
        }
        while self.queue.len() + 1 < self.width {
            let last = self.queue.back().map(|last| last.end).or(front_end);
            let from = last.unwrap_or_else(|| position.saturating_add(self.length(position, size)));
            if from >= size || !self.fetch(sender, source, from, size) {
                return;
            }
        }
    }

    /// Begins a segment. Returns whether that is possible.
    fn fetch(&mut self, sender: &Sender, source: &BlobSource, start: u64, size: u64) -> bool {
        let Some((source, permit)) = source.host().zip(sender.try_segment()) else {
            return false;
        };
        let request = SegmentRequest {
            source,
            start,
            end: start + self.length(start, size),
            size,
            entity_tag: self.entity_tag.clone(),
        };
        let segment = Segment::fetch(request, sender, permit, Arc::clone(&self.received));
        match segment {
            Ok(segment) => self.queue.push_back(segment),
            // Of a reference without a URL, which the single stream reports.
            Err(_) => return false,
        }
        true
    }

    /// Returns the length of a segment at `from`: less near the end of the blob, so that all connections end at about the same time.
    fn length(&self, from: u64, size: u64) -> u64 {
        let rest = size - from;
        let share = rest.div_ceil(self.width as u64);
        share.clamp(MIN_SEGMENT_BYTES, MAX_SEGMENT_BYTES).min(rest)
    }

    fn adapt(&mut self, measured: Measured, may_grow: bool) {
        let rate = measured.bytes_per_sec;
        match self.widening {
            Widening::Watching => self.widen(measured, may_grow),
            Widening::Warming { before } => {
                self.widening = Widening::Measuring {
                    before,
                    is_second: false,
                };
            }
            Widening::Measuring { before, .. } if rate >= before / 4 * 5 => {
                self.widening = Widening::Watching;
                self.widen(measured, may_grow);
            }
            Widening::Measuring {
                before,
                is_second: false,
            } => {
                self.widening = Widening::Measuring {
                    before,
                    is_second: true,
                };
            }
            Widening::Measuring { .. } => {
                self.width = self.width.div_ceil(2);
                self.widening = Widening::Settled;
            }
            Widening::Settled => {}
        }
    }

    fn widen(&mut self, measured: Measured, may_grow: bool) {
        let rate = measured.bytes_per_sec;
        if measured.is_starved && may_grow && rate < FAST_BYTES_PER_SEC && self.width < self.limit {
            if self.width == 1 {
                self.single_rate = rate;
            }
            self.width = (self.width * 2).min(self.limit);
            self.widening = Widening::Warming { before: rate };
            tracing::debug!(
                bytes_per_sec = rate,
                ranges = self.width,
                "fetching ranges ahead"
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(rates: &[(u64, bool)]) -> usize {
        let mut ahead = Ahead::new(4);
        for &(rate, is_starved) in rates {
            let bytes_per_sec = rate << 20;
            let measured = Measured {
                bytes_per_sec,
                is_starved,
            };
            ahead.adapt(measured, true);
        }
        ahead.width
    }

    #[tokio::test]
    async fn connections_are_added_only_while_they_help() {
        let starved =
            |rates: &[u64]| -> Vec<_> { rates.iter().map(|&rate| (rate, true)).collect() };
        assert_eq!(after(&starved(&[20])), 2);
        assert_eq!(after(&starved(&[20, 20, 40])), 4);
        assert_eq!(after(&starved(&[20, 40, 40, 80, 80, 80, 80])), 4);
        // The link is the limit.
        assert_eq!(after(&starved(&[20, 20, 22, 20, 40, 80])), 1);
        assert_eq!(after(&starved(&[20, 20, 40, 40, 44, 40])), 2);
        // One measurement may be disturbed.
        assert_eq!(after(&starved(&[20, 20, 22, 40])), 4);
        // One connection is fast enough.
        assert_eq!(after(&starved(&[300, 300, 300])), 1);
        // The reader is the limit.
        assert_eq!(after(&[(20, false), (20, false)]), 1);
    }

    #[tokio::test]
    async fn segments_get_shorter_at_the_end() {
        let mut ahead = Ahead::new(4);
        ahead.width = 4;
        let size = 100 << 20;
        assert_eq!(ahead.length(0, size), MAX_SEGMENT_BYTES);
        assert_eq!(ahead.length(size - (12 << 20), size), 3 << 20);
        assert_eq!(ahead.length(size - (2 << 20), size), MIN_SEGMENT_BYTES);
        assert_eq!(ahead.length(size - 5, size), 5);
    }
}
