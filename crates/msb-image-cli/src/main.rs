//! The `msb-image` command: arguments, progress, tables, JSON and exit codes around the library `microsandbox-image`.
//!
//! ```text
//!   arguments ─▶ commands/*.rs ─▶ microsandbox-image ─▶ output/ ─▶ stdout
//!                     │                   │ events
//!                     ▼                   ▼
//!                failure.rs ─────────▶ progress/ ────────────────▶ stderr
//! ```
//!
//! Everything that a user of the library may need is in the library. Untrusted text is escaped wherever it is printed.

mod args;
mod commands;
mod config;
mod environment;
mod event_loop;
mod failure;
mod hint;
mod log;
#[cfg(test)]
mod named;
mod output;
mod platform;
mod progress;
mod secrets;

use std::io::{self, Write as _};
use std::process::ExitCode;

use args::Cli;
use clap::Parser as _;
use microsandbox_image::escape;

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(usage) => {
            print_usage(&usage);
            return u8::try_from(usage.exit_code()).map_or(ExitCode::FAILURE, ExitCode::from);
        }
    };
    log::start(cli.verbose);
    match commands::run(cli) {
        Ok(outcome) => outcome.into(),
        Err(failure) => failure.report(),
    }
}

/// Prints help or a usage error. The error quotes the arguments, which a script may have from outside.
fn print_usage(usage: &clap::Error) {
    let is_printable = |argument: std::ffi::OsString| {
        let bytes = argument.into_encoded_bytes();
        escape(&bytes).to_string().as_bytes() == bytes
    };
    // A failure to write has nowhere to be reported.
    if std::env::args_os().skip(1).all(is_printable) {
        let _ = usage.print();
        return;
    }
    let text = usage.render().to_string();
    for line in text.lines() {
        let _ = writeln!(io::stderr(), "{}", escape(line));
    }
}
