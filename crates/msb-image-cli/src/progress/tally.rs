use std::collections::VecDeque;
use std::time::{Duration, Instant};

use microsandbox_image::PullProgress;

/// The speed is the mean of this time.
const SPEED_WINDOW: Duration = Duration::from_secs(4);
/// Arrivals this close together are one sample.
const SAMPLE: Duration = Duration::from_millis(50);
/// A download is called stalled after this long without a byte.
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
    /// When the last byte arrived; `None` unless the layer is being downloaded.
    last_byte: Option<Instant>,
    is_waiting: bool,
    is_done: bool,
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
                // Also when a layer starts over.
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

    /// Returns for how long a layer's download has received nothing, once that is worth telling.
    pub(crate) fn stalled(&self, layer: usize, now: Instant) -> Option<Duration> {
        let last_byte = self.layers.get(layer)?.last_byte?;
        Some(now.saturating_duration_since(last_byte)).filter(|silence| *silence >= STALL)
    }

    /// Returns for how long all downloads have received nothing, once that is worth telling.
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
        layer.last_byte = Some(now);
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

impl Arrivals {
    fn add(&mut self, bytes: u64, now: Instant) {
        self.bytes += bytes;
        match self.recent.back_mut() {
            // Bounds the number of samples however often bytes arrive.
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
        // Less than the window at the beginning, more when the last arrival is older.
        let millis = now
            .saturating_duration_since(*first)
            .max(Duration::from_millis(100));
        let millis = u64::try_from(millis.as_millis()).unwrap_or(u64::MAX);
        (self.bytes - bytes_then).saturating_mul(1000) / millis
    }

    /// Forgets what is older than the window, but for the last of it.
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
