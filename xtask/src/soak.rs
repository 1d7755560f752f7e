//! `cargo xtask soak`: long runs before a release.
//!
//! ```text
//!   model     random operations on a cache, compared with a model of it after each
//!   damage    random damages of an image, found and repaired
//!   crashes   a pull, prune or repair that dies, or a machine that loses power, at every change of the file system
//!   herd      many processes pull overlapping images into one cache whose budget holds half of them
//!   races     a process replaces files of the cache by links, fifos and hard links while pulls, prunes and verifications run
//!   fuzz      every target, with overflow checks
//!   interop   random stacks of layers compared with the model, umoci and the kernel; our formats in foreign tools
//! ```

use std::io::Write;
use std::time::{Duration, Instant};

use clap::{Args, ValueEnum};

use crate::{Outcome, cargo, fuzz, interop, setup, show, tests};

/// Selects parts and their length.
#[derive(Debug, Args)]
pub(crate) struct SoakOptions {
    /// Parts (default: all)
    parts: Vec<Part>,
    /// Minutes of each race test and of each fuzz target
    #[arg(long, default_value_t = 10)]
    minutes: u64,
    /// Random stacks that interop merges; umoci also unpacks a twentieth of them
    #[arg(long, default_value_t = 100_000)]
    stacks: u32,
    /// Steps of the model
    #[arg(long, default_value_t = 10_000)]
    steps: u32,
    /// Operations of the herd
    #[arg(long, default_value_t = 10_000)]
    operations: u32,
    /// Random damages of an image
    #[arg(long, default_value_t = 300)]
    damages: u32,
    /// Seed of the random stacks and steps
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Part {
    Model,
    Damage,
    Crashes,
    Herd,
    Races,
    Fuzz,
    Interop,
}

/// The race tests: package, binary and name filter. `MSB_SOAK_SECONDS` sets how long each of them runs.
const RACES: &[(&str, &str, &str)] = &[("integration-tests", "race", "")];

/// Runs every part, also after one has failed, and ends with a table of them.
pub(crate) fn soak(options: &SoakOptions, out: &mut dyn Write) -> Outcome {
    setup::setup(out)?;
    let parts = if options.parts.is_empty() {
        Part::value_variants()
    } else {
        &options.parts
    };
    let mut done: Vec<(Part, Duration, Outcome)> = Vec::new();
    for part in parts {
        writeln!(out, "\n==> {part:?}")?;
        out.flush()?;
        let start = Instant::now();
        let outcome = match part {
            Part::Model => model(options),
            Part::Damage => test("repairs", ("MSB_DAMAGES", options.damages.to_string())),
            Part::Crashes => test("crashes", ("MSB_POWER_LOSSES", "all".to_owned())),
            Part::Herd => test(
                "herd",
                ("MSB_HERD_OPERATIONS", options.operations.to_string()),
            ),
            Part::Races => races(options),
            Part::Fuzz => fuzz::fuzz(&fuzz::FuzzOptions::long(60 * options.minutes), out),
            Part::Interop => interop::interop(
                &interop::InteropOptions {
                    stacks: options.stacks,
                    seed: options.seed,
                },
                out,
            ),
        };
        done.push((*part, start.elapsed(), outcome));
    }
    writeln!(out)?;
    for (part, elapsed, outcome) in &done {
        let verdict = match outcome {
            Ok(()) => "pass".to_owned(),
            Err(error) => format!("FAIL: {}", show::chain(&**error)),
        };
        let name = format!("{part:?}");
        writeln!(out, "{name:<8} {:>8.1} s  {verdict}", elapsed.as_secs_f64())?;
    }
    if done.iter().all(|(_, _, outcome)| outcome.is_ok()) {
        Ok(())
    } else {
        Err("a part failed".into())
    }
}

fn model(options: &SoakOptions) -> Outcome {
    let mut command = cargo::cargo();
    command
        .args(["test", "--package", "integration-tests", "--test", "model"])
        .args(["--", "--nocapture"])
        .env("PATH", tests::path()?)
        .env("MSB_MODEL_STEPS", options.steps.to_string())
        .env("MSB_MODEL_SEED", options.seed.to_string());
    cargo::run(&mut command)
}

/// Runs an integration test with a variable that makes it long.
fn test(name: &str, (variable, value): (&str, String)) -> Outcome {
    let mut command = cargo::cargo();
    command
        .args(["test", "--package", "integration-tests", "--test", name])
        .args(["--", "--nocapture"])
        .env("PATH", tests::path()?)
        .env(variable, value);
    cargo::run(&mut command)
}

fn races(options: &SoakOptions) -> Outcome {
    for (package, binary, filter) in RACES {
        let mut command = cargo::cargo();
        command
            .args(["test", "--package", package, "--test", binary])
            .args((!filter.is_empty()).then_some(*filter))
            .args(["--", "--nocapture", "--test-threads", "1"])
            .env("PATH", tests::path()?)
            .env("MSB_SOAK_SECONDS", (60 * options.minutes).to_string());
        cargo::run(&mut command)?;
    }
    Ok(())
}
