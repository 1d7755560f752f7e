//! How a pull goes, on stderr: bars on a terminal, lines elsewhere.

mod bars;
mod plain;
mod tally;

use std::io::{self, IsTerminal as _};

use clap::ValueEnum;
use microsandbox_image::{PullProgress, Reference};

use bars::Bars;
pub(crate) use bars::without_bars;
use plain::Plain;

/// How progress is shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Mode {
    /// Bars on a terminal, else lines.
    #[default]
    Auto,
    /// Bars; lines where stderr is no terminal.
    Bar,
    /// One line for each thing that happens.
    Plain,
    /// Nothing.
    None,
}

/// The progress of one pull. What it has on the screen goes away when it is dropped.
#[derive(Debug)]
pub(crate) enum Display {
    Bars(Box<Bars>),
    Plain(Plain),
}

impl Display {
    /// `None` where nothing is to be shown.
    pub(crate) fn new(mode: Mode, reference: &Reference) -> Option<Self> {
        match mode {
            Mode::None => None,
            Mode::Auto | Mode::Bar if is_capable_terminal() => {
                Some(Self::Bars(Box::new(Bars::new(reference))))
            }
            Mode::Auto | Mode::Bar | Mode::Plain => Some(Self::Plain(Plain::new(reference))),
        }
    }

    pub(crate) fn show(&mut self, event: &PullProgress) {
        match self {
            Self::Bars(bars) => bars.show(event),
            Self::Plain(plain) => plain.show(event),
        }
    }
}

/// Whether lines on stderr can be drawn over.
fn is_capable_terminal() -> bool {
    io::stderr().is_terminal() && std::env::var_os("TERM").is_none_or(|term| term != "dumb")
}
