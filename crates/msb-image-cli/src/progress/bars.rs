use std::io::{self, Write as _};
use std::time::{Duration, Instant};

use microsandbox_image::{PullProgress, Reference};

use super::screen::{Size, draw, without_bars};
use super::tally::{Layer, Tally, merged_text, retry_text};
use crate::output::{Bytes, one_line, time_left};

/// Maximum number of layers with a line of their own; the total includes the others.
const MAX_LAYERS: usize = 8;
/// Maximum width of an image's name, in characters.
const MAX_NAME: usize = 48;
/// Columns of a terminal from which on bars have their full width, and from which on lines have byte counts.
const WIDE: (usize, usize) = (72, 48);
/// Width of all bars on a wide terminal, and on a narrow one.
const BAR: (usize, usize) = (26, 12);
/// Columns of the number before a layer's bar.
const NUMBER: usize = 5;
/// Pause between two changes of the screen, unless a layer begins or ends.
const PAUSE: Duration = Duration::from_millis(80);

/// A line for the image, one for the sum of its layers, and one for each layer that is downloaded or unpacked. Nothing is drawn before
/// the manifest is known.
#[derive(Debug)]
pub(crate) struct Bars {
    name: String,
    tally: Tally,
    /// When the screen was last changed.
    drawn: Option<Instant>,
    is_resolved: bool,
    /// All layers are in the cache; how many of them are merged.
    merging: Option<String>,
}

impl Bars {
    pub(crate) fn new(reference: &Reference) -> Self {
        Self {
            name: reference.to_string(),
            tally: Tally::default(),
            drawn: None,
            is_resolved: false,
            merging: None,
        }
    }

    pub(crate) fn show(&mut self, event: &PullProgress, now: Instant) {
        self.tally.add(event, now);
        match event {
            PullProgress::Resolved { .. } => self.is_resolved = true,
            PullProgress::Merging => self.merging = Some(String::new()),
            PullProgress::MergeProgress { .. } if self.merging.is_some() => {
                self.merging = merged_text(event).map(|merged| format!(": {merged}"));
            }
            PullProgress::Retrying {
                attempt,
                limit,
                pause,
                error,
                ..
            } => {
                let retry = retry_text(*attempt, *limit, *pause);
                let line = format!("{}: {retry}: {}\n", self.name, one_line(error));
                // A failure to write has nowhere to be reported.
                let _ = without_bars(|| io::stderr().lock().write_all(line.as_bytes()));
            }
            _ => {}
        }
        let is_count = matches!(
            event,
            PullProgress::LayerDownloadProgress { .. }
                | PullProgress::LayerUnpackProgress { .. }
                | PullProgress::MergeProgress { .. }
        );
        let is_recent = |drawn: Instant| now.saturating_duration_since(drawn) < PAUSE;
        if !(is_count && self.drawn.is_some_and(is_recent)) {
            self.tick(now);
        }
    }

    /// Updates values that change with time alone.
    pub(crate) fn tick(&mut self, now: Instant) {
        if self.is_resolved {
            self.drawn = Some(now);
            let size = Size::of_terminal();
            draw(&self.lines(size, now), size);
        }
    }

    fn lines(&self, size: Size, now: Instant) -> Vec<String> {
        let name = short_name(&self.name, size.columns);
        if let Some(merged) = &self.merging {
            return vec![format!("{name}  merging the layers{merged}")];
        }
        let shape = Shape::of(size);
        let mut lines = self.total(&name, shape, now);
        let active: Vec<_> = self.tally.active_layers().collect();
        // One row for the folded layers, and one that keeps the line of the shell in sight.
        let places = size.rows.saturating_sub(lines.len() + 2).min(MAX_LAYERS);
        for (index, layer) in active.iter().take(places) {
            lines.push(self.layer(*index, layer, shape, now));
        }
        let folded = active.len().saturating_sub(places);
        if folded > 0 {
            lines.push(format!("{:NUMBER$}and {folded} more", ""));
        }
        lines
    }

    /// Returns the lines of the image and of the sum of its layers.
    fn total(&self, name: &str, shape: Shape, now: Instant) -> Vec<String> {
        let tally = &self.tally;
        let mut head = format!("{name}  {}/{} layers", tally.done_layers, tally.layer_count);
        if tally.waiting_layers() > 0 {
            head.push_str(&format!(
                ", {} wait for another pull",
                tally.waiting_layers()
            ));
        }
        let (present, total) = (tally.present_bytes(), tally.total_bytes);
        let text = match tally.all_stalled(now) {
            Some(silence) => format!("stalled since {} s", silence.as_secs()),
            None if present >= total => String::new(),
            None => speed(tally.speed(now), tally.time_left(now)),
        };
        vec![head, shape.line("", present, total, &text)]
    }

    fn layer(&self, index: usize, layer: &Layer, shape: Shape, now: Instant) -> String {
        let total = layer.total_bytes;
        let number = format!("{}", index + 1);
        if layer.is_downloaded {
            return shape.line(&number, layer.unpacked_bytes, total, "unpacking");
        }
        let text = match self.tally.delay(index, now) {
            Some(delay) => delay,
            None => {
                let speed = match layer.present_bytes {
                    bytes if bytes <= layer.resumed_bytes => String::new(),
                    _ => speed(layer.speed(now), layer.time_left(now)),
                };
                let resumed = (layer.resumed_bytes > 0).then(|| "resumed".to_owned());
                let parts = [resumed, Some(speed).filter(|speed| !speed.is_empty())];
                parts.into_iter().flatten().collect::<Vec<_>>().join(", ")
            }
        };
        shape.line(&number, layer.present_bytes, total, &text)
    }
}

impl Drop for Bars {
    fn drop(&mut self) {
        draw(&[], Size::of_terminal());
    }
}

fn speed(bytes: u64, left: Option<Duration>) -> String {
    let left = left.map_or_else(String::new, |left| format!(", {}", time_left(left)));
    format!("{}/s{left}", Bytes(bytes))
}

/// What lines have, by the width of the terminal.
#[derive(Clone, Copy, Debug)]
struct Shape {
    bar_width: usize,
    has_bytes: bool,
}

impl Shape {
    fn of(size: Size) -> Self {
        Self {
            bar_width: if size.columns >= WIDE.0 { BAR.0 } else { BAR.1 },
            has_bytes: size.columns >= WIDE.1,
        }
    }

    /// Returns a line with a bar. The bars of all lines end in the same column.
    fn line(self, number: &str, bytes: u64, total_bytes: u64, text: &str) -> String {
        let (number, width) = match number {
            "" => ("  ".to_owned(), self.bar_width),
            number => (format!("{number:>3}  "), self.bar_width + 2 - NUMBER),
        };
        let bar = bar(width, bytes, total_bytes);
        let amount = if self.has_bytes {
            let (bytes, total) = (Bytes(bytes).to_string(), Bytes(total_bytes).to_string());
            format!("{bytes:>10}/{total:<10}")
        } else {
            format!("{:>3} %", share(100, bytes, total_bytes))
        };
        format!("{number}{bar} {amount} {text}")
            .trim_end()
            .to_owned()
    }
}

/// Returns the part of `whole` that is done; rounded down.
fn share(whole: usize, bytes: u64, total_bytes: u64) -> usize {
    let done = u128::from(bytes.min(total_bytes)) * whole as u128 / u128::from(total_bytes.max(1));
    // OK because it is at most `whole`.
    usize::try_from(done).unwrap_or(whole)
}

/// Returns a bar of `width` columns.
fn bar(width: usize, bytes: u64, total_bytes: u64) -> String {
    let done = share(width, bytes, total_bytes);
    let head = if done > 0 && done < width { ">" } else { "" };
    let filled = "=".repeat(done - head.len());
    format!("{:<width$}", format!("{filled}{head}"))
}

/// Returns the end of a long name, which differs more between images than the beginning.
fn short_name(name: &str, columns: usize) -> String {
    let longest = MAX_NAME.min(columns.saturating_sub(24)).max(8);
    let length = name.chars().count();
    if length <= longest {
        return name.to_owned();
    }
    let end: String = name.chars().skip(length - (longest - 1)).collect();
    format!("…{end}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bars_have_their_width_and_fill_up() {
        assert_eq!(bar(6, 0, 100), "      ");
        assert_eq!(bar(6, 1, 100), "      ");
        assert_eq!(bar(6, 50, 100), "==>   ");
        assert_eq!(bar(6, 99, 100), "====> ");
        assert_eq!(bar(6, 100, 100), "======");
        assert_eq!(bar(6, 200, 100), "======");
        assert_eq!(bar(6, 0, 0), "      ");
        assert_eq!(bar(6, u64::MAX - 1, u64::MAX), "====> ");
    }

    #[test]
    fn all_lines_fit_their_terminal_and_begin_alike() {
        let shape = |columns| Shape::of(Size { columns, rows: 24 });
        let rate = "resumed, 1023.9 MiB/s, 59 s";
        let longest = |columns| shape(columns).line("127", 1 << 29, 1 << 30, rate);
        assert!(longest(80).len() < 80, "{}", longest(80));
        let narrow = shape(60).line("7", 1 << 29, 1 << 30, "99.9 MiB/s, 59 s");
        assert!(narrow.len() < 60, "{narrow}");
        assert_eq!(shape(30).line("7", 1, 2, "x"), "  7  ===>       50 % x");
        for columns in [30, 60, 80] {
            let total = shape(columns).line("", 1, 2, "x");
            let layer = shape(columns).line("7", 1, 2, "x");
            assert_eq!(total.len(), layer.len());
        }
    }
}
