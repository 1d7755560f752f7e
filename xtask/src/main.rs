//! The maintainer's commands; `cargo xtask --help` lists them.
//!
//! ```text
//!   demo    pulls one image from a registry in this process and verifies its disk
//!   ci ──▶  fmt, clippy, docs, deny, test, fuzz, instructions, demo; `ci STEP...` runs some of them, and `ci publish` precedes a release
//!   fleet   predicts pulls of many hosts from figures of one
//!   soak    the model of the cache, races, fuzz targets and random stacks of layers for a long time
//! ```
//!
//! Every check that needs no build of its own is a `#[test]`. The commands print results to standard output, and one line to
//! standard error when they fail.

mod bench;
mod cargo;
mod ci;
mod demo;
mod deny;
mod docs;
mod fleet;
mod fuzz;
mod instructions;
mod interop;
mod progress;
mod publish;
mod setup;
mod show;
mod soak;
mod tests;

use std::error::Error;
use std::io::Write;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// The result of every command.
type Outcome = Result<(), Box<dyn Error>>;

/// The maintainer's commands of microsandbox-image.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve a small image on loopback, pull it, verify its disk, and print how to mount and boot it
    Demo(demo::DemoOptions),
    /// Install what the tests need and run every test of the workspace
    Test(tests::TestOptions),
    /// Install the oracles (root, Debian) and the pinned cargo-deny
    Setup,
    /// Run the steps of CI and print a summary
    Ci(ci::CiOptions),
    /// Measure pulls beside the least work that any tool must do, and beside public tools
    Bench(bench::BenchOptions),
    /// Run one command and print its resource usage, for bench
    #[command(hide = true)]
    Measure(bench::MeasureOptions),
    /// Predict how long a fleet takes until each host has an image, from figures of this machine
    Fleet(fleet::FleetOptions),
    /// Run the fuzz targets of the parsers of hostile bytes
    Fuzz(fuzz::FuzzOptions),
    /// Run the long tests: operations on the cache beside a model, races, every fuzz target, random stacks of layers
    Soak(soak::SoakOptions),
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let mut out = std::io::stdout();
    match run(arguments.command, &mut out) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Standard error may be closed; there is no other place for the message.
            let _ = writeln!(std::io::stderr(), "error: {}", show::chain(&*error));
            ExitCode::FAILURE
        }
    }
}

fn run(command: Command, out: &mut dyn Write) -> Outcome {
    match command {
        Command::Demo(options) => demo::demo(&options, out),
        Command::Test(options) => tests::test(&options, out),
        Command::Setup => setup::setup_all(out),
        Command::Ci(options) => ci::ci(&options, out),
        Command::Bench(options) => bench::bench(&options, out),
        Command::Measure(options) => bench::measured(&options, out),
        Command::Fleet(options) => fleet::fleet(&options, out),
        Command::Fuzz(options) => fuzz::fuzz(&options, out),
        Command::Soak(options) => soak::soak(&options, out),
    }
}

#[cfg(test)]
mod check {
    use clap::CommandFactory;

    #[test]
    fn the_arguments_are_valid_and_each_command_has_one_line_of_help() {
        let mut command = super::Arguments::command();
        command.build();
        command.clone().debug_assert();
        for command in command.get_subcommands() {
            let about = command
                .get_about()
                .map(ToString::to_string)
                .unwrap_or_default();
            assert!(
                !about.is_empty() && !about.contains('\n'),
                "{}: {about:?}",
                command.get_name()
            );
        }
    }
}
