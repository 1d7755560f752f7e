//! `cargo xtask ci`: what CI runs, step by step.

use std::io::Write;
use std::time::{Duration, Instant};

use crate::{
    Outcome, cargo, conformance, demo, deny, docs, fuzz, golden, graph, instructions, oracles,
    show, tests,
};

/// A step: its name, and what it does.
type Step = (&'static str, fn(&mut dyn Write) -> Outcome);

/// The quick ones first. `test` installs what the steps behind it need.
const STEPS: &[Step] = &[
    ("fmt", |_| {
        cargo::run(cargo::cargo().args(["fmt", "--all", "--check"]))
    }),
    ("graph", |out| {
        graph::graph(&graph::GraphOptions { check: true }, out)
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
    ("deny", deny::deny_if_possible),
    ("test", |out| {
        tests::test(&tests::TestOptions::default(), out)
    }),
    ("fuzz", |out| fuzz::fuzz(&fuzz::FuzzOptions::short(), out)),
    ("conformance", |out| {
        conformance::conformance(&conformance::ConformanceOptions::default(), out)
    }),
    ("golden", |out| {
        golden::golden(&golden::GoldenOptions::default(), out)
    }),
    ("instructions", |out| {
        instructions::instructions(&instructions::InstructionsOptions::default(), out)
    }),
    ("fsck", oracles::fsck),
    ("kernel", oracles::kernel),
    ("vm", oracles::vm),
    ("demo", |out| demo::demo(&demo::DemoOptions::default(), out)),
];

/// Runs every step, also after one has failed, and ends with a table of them.
pub(crate) fn ci(out: &mut dyn Write) -> Outcome {
    let mut done: Vec<(&str, Duration, Outcome)> = Vec::new();
    for (name, step) in STEPS {
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
