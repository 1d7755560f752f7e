//! Output to stdout: lines of text or JSON.

mod settings;
mod style;
mod table;
mod text;

use std::fmt;
use std::io::{self, BufWriter, StdoutLock, Write};

use clap::{Args, ValueEnum};
use serde::Serialize;

use crate::failure::Failure;

pub(crate) use escape_text::escape as one_line;
pub(crate) use settings::{errors_are_json, is_quiet, set_errors_are_json, set_quiet};
pub(crate) use style::Label;
pub(crate) use table::Table;
pub(crate) use text::{Age, Bytes, Time, ascii_json, count, mode, short, time_left};

/// The format of printed data.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// Text for people.
    #[default]
    Text,
    /// One JSON object on each line, for programs.
    Json,
}

#[derive(Debug, Args)]
pub(crate) struct FormatArgs {
    /// Output format
    #[arg(long, value_enum, default_value_t)]
    pub(crate) format: Format,
}

/// Buffered stdout. Call [`flush`](Self::flush) before dropping it, or the end may be lost.
#[derive(Debug)]
pub(crate) struct Output {
    writer: BufWriter<StdoutLock<'static>>,
}

impl Output {
    pub(crate) fn new() -> Self {
        Self {
            writer: BufWriter::with_capacity(64 << 10, io::stdout().lock()),
        }
    }

    pub(crate) fn line(&mut self, line: fmt::Arguments<'_>) -> Result<(), Failure> {
        self.writer
            .write_fmt(line)
            .and_then(|()| self.writer.write_all(b"\n"))
            .map_err(Failure::Output)
    }

    /// Prints a value as one line of JSON; unprintable characters in its strings become `\uXXXX`, which parses to the same.
    pub(crate) fn json(&mut self, value: &impl Serialize) -> Result<(), Failure> {
        let text = serde_json::to_string(value).map_err(Failure::Json)?;
        self.line(format_args!("{}", ascii_json(&text)))
    }

    /// Returns the writer, for bytes that are printed unchanged.
    pub(crate) fn raw(&mut self) -> &mut dyn Write {
        &mut self.writer
    }

    pub(crate) fn flush(&mut self) -> Result<(), Failure> {
        self.writer.flush().map_err(Failure::Output)
    }
}
