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

mod amount;
mod args;
mod cache_args;
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

use std::ffi::OsString;
use std::io::{self, Write as _};
use std::process::ExitCode;

use args::Cli;
use clap::Parser as _;
use microsandbox_image::escape;
use output::Format;

fn main() -> ExitCode {
    let is_json = |option| is_json(option, std::env::args_os().skip(1));
    // Events and errors are on one stream.
    let has_json_events = is_json("--progress");
    output::set_errors_are_json(has_json_events || is_json("--format"));
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(usage) => {
            if usage.use_stderr() && output::errors_are_json() {
                failure::report_usage(&usage);
            } else {
                print_usage(&usage);
            }
            return u8::try_from(usage.exit_code()).map_or(ExitCode::FAILURE, ExitCode::from);
        }
    };
    output::set_quiet(cli.quiet);
    let log_format = if has_json_events {
        Format::Json
    } else {
        cli.log_format
    };
    log::start(cli.verbose, cli.quiet, log_format);
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

/// Returns whether the arguments set an option to `json`, also if they are bad usage. Those after `--` are of another command.
fn is_json(option: &str, arguments: impl Iterator<Item = OsString>) -> bool {
    let joined = format!("{option}=json");
    let mut follows_option = false;
    for argument in arguments.take_while(|argument| argument != "--") {
        if argument == *joined || (follows_option && argument == "json") {
            return true;
        }
        follows_option = argument == option;
    }
    false
}

#[cfg(test)]
mod tests {
    use super::is_json;

    #[test]
    fn json_is_recognized_in_bad_usage_too() {
        let of = |text: &str| is_json("--format", text.split(' ').map(Into::into));
        assert!(of("pull a --format json"));
        assert!(of("pull --format=json --nothing"));
        assert!(!of("pull json --format text"));
        assert!(!of("pull a --progress json"));
        assert!(!of("run-with-lease a -- program --format json"));
    }
}
