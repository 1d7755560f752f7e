use std::collections::VecDeque;
use std::time::{Duration, Instant};

use microsandbox_image::PullProgress;

use crate::output::count;

/// Period over which the speed is averaged.
const SPEED_WINDOW: Duration = Duration::from_secs(4);
/// Arrivals within this time are merged into one sample.
const SAMPLE: Duration = Duration::from_millis(50);
/// A download without a byte for this long is stalled.
const STALL: Duration = Duration::from_secs(5);

/// The progress of a pull, summed over its layers.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub(crate) layer_count: usize,
    /// Bytes of all blobs, as the manifest declares them.
    pub(crate) total_bytes: u64,
    /// Layers that are in the cache now.
    pub(crate) done_layers: usize,
    layers: Vec<Layer>,
    arrivals: Arrivals,
}

#[derive(Clone, Debug, Default)]
struct Layer {
    present_bytes: u64,
    total_bytes: u64,
    /// Time of the last byte; `None` unless the layer is being downloaded.
    last_byte: Option<Instant>,
    /// The next retry.
    retry: Option<Retry>,
    is_waiting: bool,
    is_done: bool,
}

/// A failed request that will be repeated.
#[derive(Clone, Copy, Debug)]
struct Retry {
    /// Counted from 1.
    attempt: u32,
    limit: u32,
    at: Instant,
}

/// Bytes that arrived from the registry in this pull.
#[derive(Debug, Default)]
struct Arrivals {
    bytes: u64,
    /// Time and `bytes` of the arrivals in the window, and of the last one before it.
    recent: VecDeque<(Instant, u64)>,
}

impl Tally {
    pub(crate) fn add(&mut self, event: &PullProgress, now: Instant) {
        match event {
            PullProgress::Resolved {
                layer_count,
                total_bytes,
                ..
            } => {
                *self = Self {
                    layer_count: *layer_count,
                    total_bytes: *total_bytes,
                    ..Self::default()
                };
                self.arrivals.recent.push_back((now, 0));
            }
            PullProgress::LayerWaiting { layer, .. } => self.layer(*layer).is_waiting = true,
            PullProgress::LayerCached {
                layer, total_bytes, ..
            } => {
                let layer = self.layer(*layer);
                (layer.present_bytes, layer.total_bytes) = (*total_bytes, *total_bytes);
                self.done(event);
            }
            PullProgress::LayerStarted {
                layer,
                total_bytes,
                resumed_bytes,
                ..
            } => {
                // A layer that starts over is reset too.
                *self.layer(*layer) = Layer {
                    present_bytes: *resumed_bytes,
                    total_bytes: *total_bytes,
                    last_byte: Some(now),
                    ..Layer::default()
                };
                self.count();
            }
            PullProgress::LayerDownloadProgress {
                layer,
                downloaded_bytes,
                ..
            } => self.arrived(*layer, *downloaded_bytes, now),
            PullProgress::LayerRetrying {
                layer,
                attempt,
                limit,
                pause,
                ..
            } => {
                self.layer(*layer).retry = Some(Retry {
                    attempt: *attempt,
                    limit: *limit,
                    at: now + *pause,
                });
            }
            PullProgress::LayerStalled {
                layer, silent_for, ..
            } => {
                // Measured on arrival, which is more exact than the time of the display.
                let layer = self.layer(*layer);
                layer.last_byte = now.checked_sub(*silent_for).or(layer.last_byte);
            }
            PullProgress::LayerResumed {
                layer, from_bytes, ..
            } => {
                let layer = self.layer(*layer);
                (layer.present_bytes, layer.retry) = (*from_bytes, None);
            }
            PullProgress::LayerDownloaded { layer, .. } => {
                let total_bytes = self.layer(*layer).total_bytes;
                self.arrived(*layer, total_bytes, now);
                self.layer(*layer).last_byte = None;
            }
            PullProgress::LayerMaterialized { .. } => self.done(event),
            _ => {}
        }
    }

    /// Returns the bytes that are present: downloaded, resumed or cached.
    pub(crate) fn present_bytes(&self) -> u64 {
        self.layers.iter().map(|layer| layer.present_bytes).sum()
    }

    /// Returns the number of layers that another pull is building.
    pub(crate) fn waiting_layers(&self) -> usize {
        self.layers.iter().filter(|layer| layer.is_waiting).count()
    }

    /// Returns the speed of the last seconds, in bytes per second. It falls to 0 when nothing arrives.
    pub(crate) fn speed(&mut self, now: Instant) -> u64 {
        self.arrivals.speed(now)
    }

    /// Returns why a layer's download is delayed, in a few words: `retry 2 of 5 in 3 s`, `stalled since 12 s`.
    pub(crate) fn delay(&self, layer: usize, now: Instant) -> Option<String> {
        if let Some(retry) = self.layers.get(layer)?.retry {
            let pause = retry.at.saturating_duration_since(now);
            return Some(retry_text(retry.attempt, retry.limit, pause));
        }
        let silence = self.stalled(layer, now)?;
        Some(format!("stalled since {} s", silence.as_secs()))
    }

    /// Returns for how long a layer's download has been stalled.
    pub(crate) fn stalled(&self, layer: usize, now: Instant) -> Option<Duration> {
        let last_byte = self.layers.get(layer)?.last_byte?;
        Some(now.saturating_duration_since(last_byte)).filter(|silence| *silence >= STALL)
    }

    /// Returns for how long all downloads have been stalled.
    pub(crate) fn all_stalled(&self, now: Instant) -> Option<Duration> {
        let mut shortest = None;
        for place in 0..self.layers.len() {
            if self.layers[place].last_byte.is_some() {
                let stalled = self.stalled(place, now)?;
                shortest = Some(shortest.map_or(stalled, |least: Duration| least.min(stalled)));
            }
        }
        shortest
    }

    fn arrived(&mut self, layer: usize, present_bytes: u64, now: Instant) {
        let layer = self.layer(layer);
        let new = present_bytes.saturating_sub(layer.present_bytes);
        layer.present_bytes = present_bytes;
        (layer.last_byte, layer.retry) = (Some(now), None);
        self.arrivals.add(new, now);
    }

    fn done(&mut self, event: &PullProgress) {
        if let PullProgress::LayerCached { layer, .. }
        | PullProgress::LayerMaterialized { layer, .. } = event
        {
            let layer = self.layer(*layer);
            (layer.is_done, layer.is_waiting, layer.last_byte) = (true, false, None);
            self.count();
        }
    }

    fn count(&mut self) {
        self.done_layers = self.layers.iter().filter(|layer| layer.is_done).count();
    }

    fn layer(&mut self, layer: usize) -> &mut Layer {
        if self.layers.len() <= layer {
            self.layers.resize(layer + 1, Layer::default());
        }
        &mut self.layers[layer]
    }
}

/// Returns how far a merge is: `3 of 7 layers, 12345 entries`.
pub(crate) fn merged_text(event: &PullProgress) -> Option<String> {
    let PullProgress::MergeProgress {
        merged_layers,
        layer_count,
        entries,
        ..
    } = event
    else {
        return None;
    };
    Some(format!(
        "{merged_layers} of {}, {entries} entries",
        count(*layer_count as u64, "layer")
    ))
}

/// Returns `retry 2 of 5 in 3 s`, or `retry 2 of 5` for one that is due.
pub(crate) fn retry_text(attempt: u32, limit: u32, pause: Duration) -> String {
    // Rounded up, so that it counts down to 1.
    match pause.as_millis().div_ceil(1000) {
        0 => format!("retry {attempt} of {limit}"),
        seconds => format!("retry {attempt} of {limit} in {seconds} s"),
    }
}

impl Arrivals {
    fn add(&mut self, bytes: u64, now: Instant) {
        self.bytes += bytes;
        match self.recent.back_mut() {
            // Bounds the number of samples, however often bytes arrive.
            Some((at, sum)) if now.saturating_duration_since(*at) < SAMPLE => *sum = self.bytes,
            _ => self.recent.push_back((now, self.bytes)),
        }
        self.forget(now);
    }

    fn speed(&mut self, now: Instant) -> u64 {
        self.forget(now);
        let Some((first, bytes_then)) = self.recent.front() else {
            return 0;
        };
        // Shorter than the window at the beginning, longer if the last arrival is older.
        let millis = now
            .saturating_duration_since(*first)
            .max(Duration::from_millis(100));
        let millis = u64::try_from(millis.as_millis()).unwrap_or(u64::MAX);
        (self.bytes - bytes_then).saturating_mul(1000) / millis
    }

    /// Removes samples older than the window, except the newest of them.
    fn forget(&mut self, now: Instant) {
        let is_old = |at: Instant| now.saturating_duration_since(at) > SPEED_WINDOW;
        while self.recent.get(1).is_some_and(|(at, _)| is_old(*at)) {
            self.recent.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_speed_falls_to_zero_when_nothing_arrives() {
        let start = Instant::now();
        let at = |millis| start + Duration::from_millis(millis);
        let mut arrivals = Arrivals::default();
        assert_eq!(arrivals.speed(start), 0);
        arrivals.add(0, start);
        for tenth in 1..=100 {
            arrivals.add(1000, at(tenth * 100));
        }
        let steady = arrivals.speed(at(10_000));
        assert!((9_000..=11_000).contains(&steady), "{steady}");
        let falling = arrivals.speed(at(12_000));
        assert!((1..8_000).contains(&falling), "{falling}");
        assert_eq!(arrivals.speed(at(15_000)), 0);
        // Memory is bounded by the window.
        assert!(arrivals.recent.len() <= 2);
    }

    #[test]
    fn a_retry_counts_down_until_bytes_arrive() {
        let start = Instant::now();
        let mut tally = Tally::default();
        tally.arrived(0, 10, start);
        tally.layer(0).retry = Some(Retry {
            attempt: 2,
            limit: 5,
            at: start + Duration::from_millis(2500),
        });
        let after = |seconds| start + Duration::from_secs(seconds);
        assert_eq!(
            tally.delay(0, start).as_deref(),
            Some("retry 2 of 5 in 3 s")
        );
        assert_eq!(
            tally.delay(0, after(2)).as_deref(),
            Some("retry 2 of 5 in 1 s")
        );
        assert_eq!(tally.delay(0, after(9)).as_deref(), Some("retry 2 of 5"));
        tally.arrived(0, 20, after(9));
        assert_eq!(tally.delay(0, after(9)), None);
    }

    #[test]
    fn a_download_without_bytes_is_stalled() {
        let start = Instant::now();
        let mut tally = Tally::default();
        tally.layer(1).last_byte = Some(start);
        assert_eq!(tally.stalled(1, start + Duration::from_secs(4)), None);
        let silence = Duration::from_secs(10);
        assert_eq!(tally.stalled(1, start + silence), Some(silence));
        assert_eq!(tally.all_stalled(start + silence), Some(silence));
        // Another layer that receives bytes.
        tally.arrived(0, 5, start + Duration::from_secs(9));
        assert_eq!(tally.stalled(1, start + silence), Some(silence));
        assert_eq!(tally.all_stalled(start + silence), None);
        // Neither is one that is not downloaded.
        assert_eq!(tally.stalled(2, start + silence), None);
    }
}
