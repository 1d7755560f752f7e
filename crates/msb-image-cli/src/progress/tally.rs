use std::time::{Duration, Instant};

use microsandbox_image::PullProgress;

use super::arrivals::Arrivals;
use crate::output::count;

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

/// The progress of one layer.
#[derive(Clone, Debug, Default)]
pub(crate) struct Layer {
    /// Downloaded, resumed or cached.
    pub(crate) present_bytes: u64,
    pub(crate) total_bytes: u64,
    /// Bytes of a partial blob, after which the download resumed.
    pub(crate) resumed_bytes: u64,
    /// Bytes of the blob that are unpacked.
    pub(crate) unpacked_bytes: u64,
    /// It is being downloaded or unpacked.
    pub(crate) is_active: bool,
    pub(crate) is_downloaded: bool,
    arrivals: Arrivals,
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
                self.arrivals.add(0, now);
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
                let started = self.layer(*layer);
                *started = Layer {
                    present_bytes: *resumed_bytes,
                    total_bytes: *total_bytes,
                    resumed_bytes: *resumed_bytes,
                    is_active: true,
                    last_byte: Some(now),
                    ..Layer::default()
                };
                started.arrivals.add(0, now);
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
                layer.resumed_bytes = *from_bytes;
            }
            PullProgress::LayerDownloaded { layer, .. } => {
                let total_bytes = self.layer(*layer).total_bytes;
                self.arrived(*layer, total_bytes, now);
                let layer = self.layer(*layer);
                (layer.last_byte, layer.is_downloaded) = (None, true);
            }
            PullProgress::LayerUnpackProgress {
                layer,
                unpacked_bytes,
                ..
            } => self.layer(*layer).unpacked_bytes = *unpacked_bytes,
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
    pub(crate) fn speed(&self, now: Instant) -> u64 {
        self.arrivals.speed(now)
    }

    /// Returns the time that the rest of the downloads takes at the speed of the last seconds; `None` while nothing arrives.
    pub(crate) fn time_left(&self, now: Instant) -> Option<Duration> {
        time_left(self.total_bytes, self.present_bytes(), self.speed(now))
    }

    /// Returns the layers that are being downloaded or unpacked, with their numbers from 0.
    pub(crate) fn active_layers(&self) -> impl Iterator<Item = (usize, &Layer)> {
        let layers = self.layers.iter().enumerate();
        layers.filter(|(_, layer)| layer.is_active)
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
        layer.arrivals.add(new, now);
        self.arrivals.add(new, now);
    }

    fn done(&mut self, event: &PullProgress) {
        if let PullProgress::LayerCached { layer, .. }
        | PullProgress::LayerMaterialized { layer, .. } = event
        {
            let layer = self.layer(*layer);
            (layer.is_done, layer.is_waiting, layer.last_byte) = (true, false, None);
            layer.is_active = false;
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

impl Layer {
    /// Returns the speed of the last seconds, in bytes per second.
    pub(crate) fn speed(&self, now: Instant) -> u64 {
        self.arrivals.speed(now)
    }

    /// Returns the time that the rest of the download takes at that speed; `None` while nothing arrives.
    pub(crate) fn time_left(&self, now: Instant) -> Option<Duration> {
        time_left(self.total_bytes, self.present_bytes, self.speed(now))
    }
}

fn time_left(total_bytes: u64, present_bytes: u64, speed: u64) -> Option<Duration> {
    let rest = total_bytes.saturating_sub(present_bytes);
    Some(Duration::from_secs(rest.div_ceil(speed.max(1)))).filter(|_| speed > 0)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_left_follows_the_speed_and_ends_with_it() {
        let start = Instant::now();
        let mut tally = Tally {
            total_bytes: 10_000,
            ..Tally::default()
        };
        tally.arrivals.add(0, start);
        tally.arrived(0, 2_000, start + Duration::from_secs(2));
        let after = |seconds| start + Duration::from_secs(seconds);
        assert_eq!(tally.time_left(after(2)), Some(Duration::from_secs(8)));
        assert_eq!(tally.time_left(after(20)), None);
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
