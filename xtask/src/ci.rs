//! `cargo xtask ci`: the steps of CI.

use std::io::Write;
use std::time::{Duration, Instant};

use clap::Args;
use clap::builder::PossibleValuesParser;

use crate::{Outcome, cargo, demo, deny, docs, fuzz, instructions, publish, show, tests};

/// Selects steps.
#[derive(Debug, Default, Args)]
pub(crate) struct CiOptions {
    /// Steps (default: all but `publish`)
    #[arg(value_name = "STEP", value_parser = PossibleValuesParser::new(STEPS.iter().map(|(name, _)| *name)))]
    steps: Vec<String>,
}

/// The name of a step and its function.
type Step = (&'static str, fn(&mut dyn Write) -> Outcome);

/// The quick steps come first. `test` installs what the later steps need.
const STEPS: &[Step] = &[
    ("fmt", |_| {
        cargo::run(cargo::cargo().args(["fmt", "--all", "--check"]))
    }),
    ("clippy", |_| {
        cargo::run(cargo::cargo().args([
            "clippy",
            "--workspace",
            "--all-targets",
            "--",
            "-D",
            "warnings",
        ]))
    }),
    ("docs", docs::docs),
    ("deny", deny::deny),
    ("publish", publish::publish),
    ("test", tests::test_all),
    ("fuzz", |out| fuzz::fuzz(&fuzz::FuzzOptions::short(), out)),
    ("instructions", instructions::instructions),
    ("demo", |out| demo::demo(&demo::DemoOptions::default(), out)),
];

/// The steps that only run when they are named: `publish` builds every crate once more with each of its features, before a release.
const ON_REQUEST: &[&str] = &["publish"];

/// Runs the steps, also after one has failed, and ends with a table of them.
pub(crate) fn ci(options: &CiOptions, out: &mut dyn Write) -> Outcome {
    let is_chosen = |name: &str| {
        if options.steps.is_empty() {
            return !ON_REQUEST.contains(&name);
        }
        options.steps.iter().any(|step| step == name)
    };
    let mut done: Vec<(&str, Duration, Outcome)> = Vec::new();
    for (name, step) in STEPS.iter().filter(|(name, _)| is_chosen(name)) {
        writeln!(out, "\n==> {name}")?;
        out.flush()?;
        let start = Instant::now();
        let outcome = step(out);
        if let Err(error) = &outcome {
            writeln!(out, "{name} failed: {}", show::chain(&**error))?;
        }
        done.push((name, start.elapsed(), outcome));
    }
    writeln!(out)?;
    for (name, elapsed, outcome) in &done {
        let verdict = if outcome.is_ok() { "pass" } else { "FAIL" };
        writeln!(
            out,
            "{name:<12} {:>7.1} s  {verdict}",
            elapsed.as_secs_f64()
        )?;
    }
    let total: Duration = done.iter().map(|(_, elapsed, _)| *elapsed).sum();
    writeln!(out, "{:<12} {:>7.1} s", "total", total.as_secs_f64())?;
    let failed: Vec<&str> = done
        .iter()
        .filter(|(_, _, outcome)| outcome.is_err())
        .map(|(name, _, _)| *name)
        .collect();
    if failed.is_empty() {
        Ok(())
    } else {
        Err(format!("failed: {}", failed.join(", ")).into())
    }
}
