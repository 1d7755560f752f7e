use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use microsandbox_image::{PullProgress, Reference};

use super::tally::Tally;
use crate::output::short;

/// Most layers that have a bar at once; of the others only the sum is shown.
const MAX_LAYER_BARS: usize = 6;
/// Widest name of an image, in characters.
const MAX_NAME: usize = 36;
/// How often a second the screen is drawn.
const DRAWS_PER_SECOND: u8 = 12;

// All of these fit into 80 columns.
const TOTAL: &str =
    "{prefix}  {msg}\n  {bar:26.} {bytes:>10}/{total_bytes:<10} {binary_bytes_per_sec}";
const LAYER: &str = "  {bar:26.} {bytes:>10}/{total_bytes:<10} {prefix}";
const UNPACKING: &str = "  {bar:26.} {msg:>21} {prefix}";
const SPEECHLESS: &str = "{prefix}  {msg}";

/// The bars on the screen, for whoever else writes there. One pull at a time has some.
static ON_SCREEN: Mutex<Option<MultiProgress>> = Mutex::new(None);

/// Writes something to stderr with the bars out of the way.
pub(crate) fn without_bars<T>(write: impl FnOnce() -> T) -> T {
    let bars = ON_SCREEN.lock().unwrap_or_else(PoisonError::into_inner);
    match &*bars {
        Some(bars) => bars.suspend(write),
        None => write(),
    }
}

/// A bar for the image and one for each layer that is being fetched. Nothing is drawn before something has to be fetched.
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
}

impl Bars {
    pub(crate) fn new(reference: &Reference) -> Self {
        Self {
            name: short_name(reference),
            tally: Tally::default(),
            screen: None,
        }
    }

    pub(crate) fn show(&mut self, event: &PullProgress) {
        self.tally.add(event);
        if matches!(event, PullProgress::Resolved { .. }) {
            self.screen = Some(Screen::new(&self.name, self.tally.total_bytes));
        }
        if let Some(screen) = &mut self.screen {
            screen.layer_event(event);
            screen.sum_up(&self.tally, event);
        }
    }
}

impl Screen {
    fn new(name: &str, total_bytes: u64) -> Self {
        let target = ProgressDrawTarget::stderr_with_hz(DRAWS_PER_SECOND);
        let multi = MultiProgress::with_draw_target(target);
        let total = multi.add(ProgressBar::new(total_bytes));
        total.set_style(style(TOTAL));
        total.set_prefix(name.to_owned());
        *ON_SCREEN.lock().unwrap_or_else(PoisonError::into_inner) = Some(multi.clone());
        Self {
            multi,
            total,
            layers: BTreeMap::new(),
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
                bar.set_prefix(format!("{} {}", layer + 1, short(digest)));
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

    fn sum_up(&self, tally: &Tally, event: &PullProgress) {
        if matches!(event, PullProgress::Merging) {
            self.total.set_style(style(SPEECHLESS));
            self.total.set_message("joining the layers");
            return;
        }
        self.total.set_position(tally.come_bytes());
        if matches!(
            event,
            PullProgress::LayerStarted { .. } | PullProgress::LayerCached { .. }
        ) {
            // What was there before did not come this fast.
            self.total.reset_eta();
        }
        let mut message = format!("{}/{} layers", tally.done_layers, tally.layer_count);
        if tally.waiting_layers() > 0 {
            message.push_str(&format!(
                ", {} wait for another pull",
                tally.waiting_layers()
            ));
        }
        self.total.set_message(message);
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
        // Fails where there is no terminal any more.
        let _ = self.multi.clear();
        // Else the bars would draw themselves once more when they are dropped.
        self.multi.set_draw_target(ProgressDrawTarget::hidden());
    }
}

fn style(template: &'static str) -> ProgressStyle {
    // OK because the templates are our own; the default is only less pretty.
    ProgressStyle::with_template(template)
        .unwrap_or_else(|_| ProgressStyle::default_bar())
        .progress_chars("=> ")
}

/// The end of the image's name, which tells more than its beginning.
fn short_name(reference: &Reference) -> String {
    let name = reference.to_string();
    let length = name.chars().count();
    if length <= MAX_NAME {
        return name;
    }
    let end: String = name.chars().skip(length - (MAX_NAME - 1)).collect();
    format!("…{end}")
}
