//! The progress of a pull on stderr: bars on a terminal, lines elsewhere.

mod arrivals;
mod bars;
mod json;
mod plain;
mod screen;
mod tally;

use std::io::{self, IsTerminal as _};
use std::time::{Duration, Instant};

use clap::ValueEnum;
use microsandbox_image::{PullProgress, Reference};

pub(crate) use screen::without_bars;

use bars::Bars;
use json::Json;
use plain::Plain;

use crate::output::is_quiet;

/// Interval of updates without events.
pub(crate) const TICK: Duration = Duration::from_millis(500);

/// The style of progress on stderr.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Mode {
    /// Bars on a terminal, lines elsewhere.
    #[default]
    Auto,
    /// Bars, or lines if stderr is not a terminal.
    Bar,
    /// One line for each event.
    Plain,
    /// One JSON object for each event, also for errors and log lines.
    Json,
    /// Nothing.
    None,
}

/// The display of one pull. Dropping it removes it from the screen.
#[derive(Debug)]
pub(crate) enum Display {
    Bars(Box<Bars>),
    Plain(Plain),
    Json(Json),
}

impl Display {
    /// Returns `None` if nothing is to be shown.
    pub(crate) fn new(mode: Mode, reference: &Reference) -> Option<Self> {
        match mode {
            Mode::Json => Some(Self::Json(Json::new(reference))),
            _ if is_quiet() => None,
            Mode::None => None,
            Mode::Auto | Mode::Bar if is_capable_terminal() => {
                Some(Self::Bars(Box::new(Bars::new(reference))))
            }
            Mode::Auto | Mode::Bar | Mode::Plain => Some(Self::Plain(Plain::new(reference))),
        }
    }

    pub(crate) fn show(&mut self, event: &PullProgress) {
        let now = Instant::now();
        match self {
            Self::Bars(bars) => bars.show(event, now),
            Self::Plain(plain) => plain.show(event, now),
            Self::Json(json) => json.show(event, now),
        }
    }

    /// Updates values that change with time alone. The caller calls it every [`TICK`] without an event.
    pub(crate) fn tick(&mut self) {
        let now = Instant::now();
        match self {
            Self::Bars(bars) => bars.tick(now),
            Self::Plain(plain) => plain.tick(now),
            Self::Json(_) => {}
        }
    }
}

/// Returns whether stderr is a terminal that can redraw lines.
fn is_capable_terminal() -> bool {
    io::stderr().is_terminal() && std::env::var_os("TERM").is_none_or(|term| term != "dumb")
}
