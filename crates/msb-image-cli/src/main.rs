//! The `msb-image` command: arguments, progress, tables, JSON and exit codes around the library `microsandbox-image`.
//!
//! ```text
//!   arguments ─▶ commands/*.rs ─▶ microsandbox-image ─▶ output/ ─▶ stdout
//!                     │                   │ events
//!                     ▼                   ▼
//!                failure.rs ─────────▶ progress/ ────────────────▶ stderr
//! ```
//!
//! It holds no logic that a user of the library would want. What it prints of images is from outside, and is escaped.

mod args;
mod commands;
mod event_loop;
mod failure;
mod log;
mod output;
mod progress;

use std::process::ExitCode;

use args::Cli;
use clap::Parser as _;

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(usage) => {
            // Where the text cannot be written, nobody can be told.
            let _ = usage.print();
            return u8::try_from(usage.exit_code()).map_or(ExitCode::FAILURE, ExitCode::from);
        }
    };
    log::start(cli.verbose);
    match commands::run(cli) {
        Ok(outcome) => outcome.into(),
        Err(failure) => failure.report(),
    }
}
