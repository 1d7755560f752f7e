use std::collections::BTreeMap;
use std::io::{self, Write as _};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use microsandbox_image::{PullProgress, Reference};

use super::tally::{Tally, merged_text, retry_text};
use crate::output::{Bytes, one_line, short};

/// Maximum number of layers with a bar of their own; the total includes the others.
const MAX_LAYER_BARS: usize = 6;
/// Maximum width of an image's name, in characters.
const MAX_NAME: usize = 36;
/// Maximum number of redraws per second.
const DRAWS_PER_SECOND: u8 = 12;

// All of these fit into 80 columns.
const TOTAL: &str = "{prefix}\n  {bar:26.} {bytes:>10}/{total_bytes:<10} {msg}";
const LAYER: &str = "  {bar:26.} {bytes:>10}/{total_bytes:<10} {prefix}";
const UNPACKING: &str = "  {bar:26.} {msg:>21} {prefix}";
const TEXT_ONLY: &str = "{prefix}";

/// The bars on the screen, for other writers to stderr. One pull at a time has bars.
static ON_SCREEN: Mutex<Option<MultiProgress>> = Mutex::new(None);

/// Runs `write`, which writes to stderr, with the bars off the screen.
pub(crate) fn without_bars<T>(write: impl FnOnce() -> T) -> T {
    let bars = ON_SCREEN.lock().unwrap_or_else(PoisonError::into_inner);
    match &*bars {
        Some(bars) => bars.suspend(write),
        None => write(),
    }
}

/// A bar for the image and one for each layer that is downloaded. Nothing is drawn before the manifest is known.
#[derive(Debug)]
pub(crate) struct Bars {
    name: String,
    tally: Tally,
    screen: Option<Screen>,
}

#[derive(Debug)]
struct Screen {
    multi: MultiProgress,
    total: ProgressBar,
    layers: BTreeMap<usize, LayerBar>,
    /// All layers are in the cache, so nothing is downloaded any more.
    is_merging: bool,
}

#[derive(Debug)]
struct LayerBar {
    bar: ProgressBar,
    /// The text beside the bar while bytes arrive.
    text: String,
    /// Bytes of the blob that are unpacked.
    unpacked_bytes: u64,
    /// The blob is complete, and the bar shows the unpacked bytes.
    is_downloaded: bool,
}

impl Bars {
    pub(crate) fn new(reference: &Reference) -> Self {
        Self {
            name: short_name(reference),
            tally: Tally::default(),
            screen: None,
        }
    }

    pub(crate) fn show(&mut self, event: &PullProgress, now: Instant) {
        self.tally.add(event, now);
        if matches!(event, PullProgress::Resolved { .. }) {
            self.screen = Some(Screen::new(self.tally.total_bytes));
        }
        if let PullProgress::Retrying {
            attempt,
            limit,
            pause,
            error,
            ..
        } = event
        {
            let retry = retry_text(*attempt, *limit, *pause);
            let line = format!("{}: {retry}: {}\n", self.name, one_line(error));
            // A failure to write has nowhere to be reported.
            let _ = without_bars(|| io::stderr().lock().write_all(line.as_bytes()));
        }
        if let Some(screen) = &mut self.screen {
            screen.layer_event(event);
            match event {
                PullProgress::Merging => screen.merging(&self.name, None),
                PullProgress::MergeProgress { .. } if screen.is_merging => {
                    screen.merging(&self.name, merged_text(event));
                }
                _ => {}
            }
        }
        self.tick(now);
    }

    /// Updates values that change with time alone.
    pub(crate) fn tick(&mut self, now: Instant) {
        if let Some(screen) = &mut self.screen {
            screen.total(&self.name, &mut self.tally, now);
            screen.stalls(&self.tally, now);
        }
    }
}

impl Screen {
    fn new(total_bytes: u64) -> Self {
        let target = ProgressDrawTarget::stderr_with_hz(DRAWS_PER_SECOND);
        let multi = MultiProgress::with_draw_target(target);
        let total = multi.add(ProgressBar::new(total_bytes));
        total.set_style(style(TOTAL));
        *ON_SCREEN.lock().unwrap_or_else(PoisonError::into_inner) = Some(multi.clone());
        Self {
            multi,
            total,
            layers: BTreeMap::new(),
            is_merging: false,
        }
    }

    fn layer_event(&mut self, event: &PullProgress) {
        match event {
            PullProgress::LayerStarted {
                layer,
                digest,
                total_bytes,
                resumed_bytes,
                ..
            } => {
                self.remove(*layer);
                if self.layers.len() >= MAX_LAYER_BARS {
                    return;
                }
                let bar = self.multi.add(ProgressBar::new(*total_bytes));
                bar.set_style(style(LAYER));
                let text = match resumed_bytes {
                    0 => format!("{} {}", layer + 1, short(digest)),
                    bytes => format!("{} resumed at {}", layer + 1, Bytes(*bytes)),
                };
                bar.set_prefix(text.clone());
                bar.set_position(*resumed_bytes);
                let layer_bar = LayerBar {
                    bar,
                    text,
                    unpacked_bytes: 0,
                    is_downloaded: false,
                };
                self.layers.insert(*layer, layer_bar);
            }
            PullProgress::LayerDownloadProgress {
                layer,
                downloaded_bytes,
                ..
            } => {
                if let Some(LayerBar { bar, .. }) = self.layers.get(layer) {
                    bar.set_position(*downloaded_bytes);
                }
            }
            PullProgress::LayerDownloaded { layer, .. } => {
                if let Some(layer) = self.layers.get_mut(layer) {
                    layer.is_downloaded = true;
                    layer.bar.set_style(style(UNPACKING));
                    layer.bar.set_message("unpacking");
                    layer.bar.set_position(layer.unpacked_bytes);
                }
            }
            PullProgress::LayerUnpackProgress {
                layer,
                unpacked_bytes,
                ..
            } => {
                if let Some(layer) = self.layers.get_mut(layer) {
                    layer.unpacked_bytes = *unpacked_bytes;
                    if layer.is_downloaded {
                        layer.bar.set_position(*unpacked_bytes);
                    }
                }
            }
            PullProgress::LayerMaterialized { layer, .. } => self.remove(*layer),
            _ => {}
        }
    }

    /// Shows that the layers are merged, and how many of them are.
    fn merging(&mut self, name: &str, merged: Option<String>) {
        self.is_merging = true;
        self.total.set_style(style(TEXT_ONLY));
        let merged = merged.map_or_else(String::new, |merged| format!(": {merged}"));
        self.total
            .set_prefix(format!("{name}  merging the layers{merged}"));
    }

    fn total(&self, name: &str, tally: &mut Tally, now: Instant) {
        if self.is_merging {
            return;
        }
        self.total.set_position(tally.present_bytes());
        let mut text = format!("{name}  {}/{} layers", tally.done_layers, tally.layer_count);
        if tally.waiting_layers() > 0 {
            text.push_str(&format!(
                ", {} wait for another pull",
                tally.waiting_layers()
            ));
        }
        self.total.set_prefix(text);
        let speed = match tally.all_stalled(now) {
            Some(silence) => format!("stalled since {} s", silence.as_secs()),
            None => format!("{}/s", Bytes(tally.speed(now))),
        };
        self.total.set_message(speed);
    }

    fn stalls(&self, tally: &Tally, now: Instant) {
        for (layer, LayerBar { bar, text, .. }) in &self.layers {
            let text = match tally.delay(*layer, now) {
                Some(delay) => format!("{} {delay}", layer + 1),
                None => text.clone(),
            };
            if bar.prefix() != text {
                bar.set_prefix(text);
            }
        }
    }

    fn remove(&mut self, layer: usize) {
        if let Some(LayerBar { bar, .. }) = self.layers.remove(&layer) {
            bar.finish_and_clear();
            self.multi.remove(&bar);
        }
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        *ON_SCREEN.lock().unwrap_or_else(PoisonError::into_inner) = None;
        // Fails if the terminal is gone.
        let _ = self.multi.clear();
        // Otherwise the bars draw themselves once more when they are dropped.
        self.multi.set_draw_target(ProgressDrawTarget::hidden());
    }
}

fn style(template: &'static str) -> ProgressStyle {
    // OK because the templates are constants; the default only looks worse.
    ProgressStyle::with_template(template)
        .unwrap_or_else(|_| ProgressStyle::default_bar())
        .progress_chars("=> ")
}

/// Returns the end of a long name, which differs more between images than the beginning.
fn short_name(reference: &Reference) -> String {
    let name = reference.to_string();
    let length = name.chars().count();
    if length <= MAX_NAME {
        return name;
    }
    let end: String = name.chars().skip(length - (MAX_NAME - 1)).collect();
    format!("…{end}")
}
