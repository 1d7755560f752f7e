//! What goes to stdout: lines of text, or of JSON.

mod table;
mod text;

use std::fmt;
use std::io::{self, BufWriter, StdoutLock, Write};

use clap::{Args, ValueEnum};
use serde::Serialize;

use crate::failure::Failure;

pub(crate) use table::Table;
pub(crate) use text::{Bytes, Time, count, mode, one_line, short};

/// How data are printed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// For people.
    #[default]
    Text,
    /// For programs: one object on one line, for each thing.
    Json,
}

#[derive(Debug, Args)]
pub(crate) struct FormatArgs {
    /// Prints text for people, or JSON, one object on a line
    #[arg(long, value_enum, default_value_t)]
    pub(crate) format: Format,
}

/// Stdout, buffered. What was not flushed when it is dropped may be lost: call [`flush`](Self::flush).
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

    pub(crate) fn json(&mut self, value: &impl Serialize) -> Result<(), Failure> {
        let text = serde_json::to_string(value).map_err(Failure::Json)?;
        self.line(format_args!("{text}"))
    }

    /// For bytes that are printed as they are.
    pub(crate) fn raw(&mut self) -> &mut dyn Write {
        &mut self.writer
    }

    pub(crate) fn flush(&mut self) -> Result<(), Failure> {
        self.writer.flush().map_err(Failure::Output)
    }
}
