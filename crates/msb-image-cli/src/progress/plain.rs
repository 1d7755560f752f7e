use std::fmt;
use std::io::{self, Write as _};
use std::time::{Duration, Instant};

use microsandbox_image::{PullProgress, Reference};

use super::tally::{Tally, merged_text, retry_text};
use crate::output::{Bytes, count, one_line, short, time_left};

/// Time between two lines with byte counts.
const INTERVAL: Duration = Duration::from_secs(3);
/// Time between two lines about the same stall.
const STALL_INTERVAL: Duration = Duration::from_secs(10);

/// Prints one line for each event, and byte counts every few seconds.
#[derive(Debug)]
pub(crate) struct Plain {
    reference: String,
    tally: Tally,
    /// Time of the last line with byte counts.
    counted: Instant,
    /// Time of the last line about a stall.
    stalled: Option<Instant>,
    is_merging: bool,
}

impl Plain {
    pub(crate) fn new(reference: &Reference) -> Self {
        Self {
            reference: reference.to_string(),
            tally: Tally::default(),
            counted: Instant::now(),
            stalled: None,
            is_merging: false,
        }
    }

    pub(crate) fn show(&mut self, event: &PullProgress, now: Instant) {
        self.tally.add(event, now);
        match event {
            PullProgress::Resolving { .. } => self.line(format_args!("resolving")),
            PullProgress::Resolved {
                manifest_digest,
                layer_count,
                total_bytes,
                ..
            } => {
                self.counted = now;
                self.line(format_args!(
                    "{}, {}, {}",
                    short(manifest_digest),
                    count(*layer_count as u64, "layer"),
                    Bytes(*total_bytes)
                ));
            }
            PullProgress::LayerWaiting { layer, .. } => {
                self.layer(
                    *layer,
                    format_args!("waiting for another pull that builds it"),
                );
            }
            PullProgress::LayerCached { layer, .. } => self.layer(*layer, format_args!("cached")),
            PullProgress::LayerStarted {
                layer,
                digest,
                total_bytes,
                resumed_bytes,
                ..
            } => {
                let (digest, total) = (short(digest), Bytes(*total_bytes));
                match resumed_bytes {
                    0 => self.layer(*layer, format_args!("downloading {digest}, {total}")),
                    resumed => self.layer(
                        *layer,
                        format_args!("resuming {digest}, {total}, at {}", Bytes(*resumed)),
                    ),
                }
            }
            PullProgress::LayerDownloadProgress { .. } => self.bytes(now),
            PullProgress::Retrying {
                attempt,
                limit,
                pause,
                error,
                ..
            } => {
                let retry = retry_text(*attempt, *limit, *pause);
                self.line(format_args!("{retry}: {}", one_line(error)));
            }
            PullProgress::LayerRetrying {
                layer,
                attempt,
                limit,
                pause,
                error,
                ..
            } => {
                let retry = retry_text(*attempt, *limit, *pause);
                self.layer(*layer, format_args!("{retry}: {}", one_line(error)));
            }
            PullProgress::LayerResumed {
                layer, from_bytes, ..
            } => self.layer(*layer, format_args!("resuming at {}", Bytes(*from_bytes))),
            PullProgress::LayerDownloaded { layer, .. } => {
                self.layer(*layer, format_args!("downloaded"));
            }
            PullProgress::LayerMaterialized { layer, bytes, .. } => {
                self.layer(*layer, format_args!("done, {} unpacked", Bytes(*bytes)))
            }
            PullProgress::Merging => {
                (self.is_merging, self.counted) = (true, now);
                self.line(format_args!("merging the layers"));
            }
            PullProgress::MergeProgress { .. } if self.is_merging && self.is_due(now) => {
                self.counted = now;
                if let Some(merged) = merged_text(event) {
                    self.line(format_args!("merging the layers: {merged}"));
                }
            }
            PullProgress::Complete { cached, .. } => {
                let how = if *cached { ", all from the cache" } else { "" };
                self.line(format_args!("complete{how}"));
            }
            // Details that other lines contain. The command prints the error of a failed pull.
            _ => {}
        }
    }

    /// Prints stalls, at intervals.
    pub(crate) fn tick(&mut self, now: Instant) {
        let Some(silence) = self.tally.all_stalled(now) else {
            self.stalled = None;
            return;
        };
        let is_due = |printed: Instant| now.saturating_duration_since(printed) >= STALL_INTERVAL;
        if self.stalled.is_none_or(is_due) {
            self.stalled = Some(now);
            self.line(format_args!("stalled since {} s", silence.as_secs()));
        }
    }

    /// Returns whether the last line with counts is long enough ago.
    fn is_due(&self, now: Instant) -> bool {
        now.saturating_duration_since(self.counted) >= INTERVAL
    }

    fn bytes(&mut self, now: Instant) {
        if !self.is_due(now) {
            return;
        }
        self.counted = now;
        let speed = self.tally.speed(now);
        let left = match self.tally.time_left(now) {
            Some(left) => format!(", {} left", time_left(left)),
            None => String::new(),
        };
        self.line(format_args!(
            "{} of {}, {}/s{left}, {} of {} layers",
            Bytes(self.tally.present_bytes()),
            Bytes(self.tally.total_bytes),
            Bytes(speed),
            self.tally.done_layers,
            self.tally.layer_count
        ));
    }

    fn layer(&self, layer: usize, what: fmt::Arguments<'_>) {
        let count = self.tally.layer_count;
        self.line(format_args!("layer {}/{count}: {what}", layer + 1));
    }

    fn line(&self, what: fmt::Arguments<'_>) {
        let text = format!("{}: {what}\n", self.reference);
        // A failure to write has nowhere to be reported.
        let _ = io::stderr().lock().write_all(text.as_bytes());
    }
}
