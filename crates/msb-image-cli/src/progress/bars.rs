use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use microsandbox_image::{PullProgress, Reference};

use super::tally::Tally;
use crate::output::{Bytes, short};

/// Most layers that have a bar at once; the others show in the total alone.
const MAX_LAYER_BARS: usize = 6;
/// Widest name of an image, in characters.
const MAX_NAME: usize = 36;
/// Redraws of the screen per second, at most.
const DRAWS_PER_SECOND: u8 = 12;

// All of these fit into 80 columns.
const TOTAL: &str = "{prefix}\n  {bar:26.} {bytes:>10}/{total_bytes:<10} {msg}";
const LAYER: &str = "  {bar:26.} {bytes:>10}/{total_bytes:<10} {prefix}{msg}";
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
    layers: BTreeMap<usize, ProgressBar>,
    /// All layers are there, so nothing is downloaded any more.
    is_merging: bool,
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
        if let Some(screen) = &mut self.screen {
            screen.layer_event(event);
            if matches!(event, PullProgress::Merging) {
                screen.merging(&self.name);
            }
        }
        self.tick(now);
    }

    /// Updates what changes with time alone.
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
                let resumed = match resumed_bytes {
                    0 => String::new(),
                    bytes => format!(", resumed at {}", Bytes(*bytes)),
                };
                bar.set_prefix(format!("{} {}{resumed}", layer + 1, short(digest)));
                bar.set_position(*resumed_bytes);
                self.layers.insert(*layer, bar);
            }
            PullProgress::LayerDownloadProgress {
                layer,
                downloaded_bytes,
                ..
            } => {
                if let Some(bar) = self.layers.get(layer) {
                    bar.set_position(*downloaded_bytes);
                }
            }
            PullProgress::LayerDownloaded { layer, .. } => {
                if let Some(bar) = self.layers.get(layer) {
                    bar.set_style(style(UNPACKING));
                    bar.set_message("unpacking");
                    bar.set_position(bar.length().unwrap_or(0));
                }
            }
            PullProgress::LayerMaterialized { layer, .. } => self.remove(*layer),
            _ => {}
        }
    }

    fn merging(&mut self, name: &str) {
        self.is_merging = true;
        self.total.set_style(style(TEXT_ONLY));
        self.total.set_prefix(format!("{name}  merging the layers"));
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
        for (layer, bar) in &self.layers {
            match tally.stalled(*layer, now) {
                Some(silence) => {
                    bar.set_message(format!(", stalled since {} s", silence.as_secs()));
                }
                None if bar.message().starts_with(", ") => bar.set_message(""),
                None => {}
            }
        }
    }

    fn remove(&mut self, layer: usize) {
        if let Some(bar) = self.layers.remove(&layer) {
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
    // OK because the templates are our own; the default is only less pretty.
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
