//! The maintainer's commands; `cargo xtask --help` lists them.
//!
//! ```text
//!   demo    one image, from a registry inside this process to a proved disk: what the project does
//!   ci ──▶  fmt, graph, clippy, docs, deny, test, fuzz, conformance, golden, instructions, fsck, kernel, vm, demo; each of them is a
//!           command by itself
//! ```
//!
//! Commands write what they have to say to standard output and fail with one line on standard error.

mod bench;
mod cargo;
mod ci;
mod conformance;
mod demo;
mod deny;
mod docs;
mod fixtures;
mod fuzz;
mod golden;
mod graph;
mod instructions;
mod interop;
mod listing;
mod oracles;
mod progress;
mod setup;
mod show;
mod soak;
mod tests;

use std::error::Error;
use std::io::Write;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// What every command gives.
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
    /// Serve a small image on loopback, pull it, prove its disk, and say how to mount and boot it
    Demo(demo::DemoOptions),
    /// Install what the tests need and run every test of the workspace
    Test(tests::TestOptions),
    /// Run exactly what CI runs, and sum it up
    Ci,
    /// Print the crates by layers; hold them against the drawing in ARCHITECTURE.md
    Graph(graph::GraphOptions),
    /// Run the fuzz targets for every parser of hostile bytes
    Fuzz(fuzz::FuzzOptions),
    /// Compare the artifacts of fixed recipes with the digests in tests/golden
    Golden(golden::GoldenOptions),
    /// List the conformance with their tests and oracles; fail where one has no test
    Conformance(conformance::ConformanceOptions),
    /// Check every golden disk and layer with fsck.erofs
    Fsck,
    /// Mount every golden disk and layer with the kernel and compare the trees
    Kernel,
    /// Boot a guest on a golden disk and compare the trees
    Vm,
    /// Try random stacks of layers against a model and umoci, and the formats against other people's tools, at length
    Interop(interop::InteropOptions),
    /// Measure pulls beside the least that any tool must do, and beside public tools
    Bench(bench::BenchOptions),
    /// Run one command and print what it took, for bench
    #[command(hide = true)]
    Measure(bench::MeasureOptions),
    /// Count the instructions of fixed work and compare them with the committed counts
    Instructions(instructions::InstructionsOptions),
    /// Build the documentation without warnings and check what the README names
    Docs,
    /// Check licences, bans, sources and security advisories of both lock files with cargo-deny
    Deny,
    /// Install the tools that the tests compare with
    Setup,
    /// Run the long tests: races on the cache, every fuzz target, interop
    Soak(soak::SoakOptions),
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let mut out = std::io::stdout();
    match run(arguments.command, &mut out) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Standard error may be closed, and then there is nobody to tell.
            let _ = writeln!(std::io::stderr(), "error: {}", show::chain(&*error));
            ExitCode::FAILURE
        }
    }
}

fn run(command: Command, out: &mut dyn Write) -> Outcome {
    match command {
        Command::Demo(options) => demo::demo(&options, out),
        Command::Test(options) => tests::test(&options, out),
        Command::Ci => ci::ci(out),
        Command::Graph(options) => graph::graph(&options, out),
        Command::Fuzz(options) => fuzz::fuzz(&options, out),
        Command::Golden(options) => golden::golden(&options, out),
        Command::Conformance(options) => conformance::conformance(&options, out),
        Command::Fsck => oracles::fsck(out),
        Command::Kernel => oracles::kernel(out),
        Command::Vm => oracles::vm(out),
        Command::Interop(options) => interop::interop(&options, out),
        Command::Bench(options) => bench::bench(&options, out),
        Command::Measure(options) => bench::measured(&options, out),
        Command::Instructions(options) => instructions::instructions(&options, out),
        Command::Docs => docs::docs(out),
        Command::Deny => deny::deny(out),
        Command::Setup => setup::setup(out),
        Command::Soak(options) => soak::soak(&options, out),
    }
}

#[cfg(test)]
mod check {
    use clap::CommandFactory;

    #[test]
    fn the_arguments_are_sound_and_each_command_has_one_line() {
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
