//! `cargo xtask fuzz`: runs the parsers of hostile bytes under libFuzzer, with the stable compiler.
//!
//! ```text
//!  fuzz/corpus/TARGET ──copied──▶ target/fuzz/corpus/TARGET ──libFuzzer──▶ grows; --keep copies new inputs back, few of them
//!                                                              └─ finding ──▶ fuzz/artifacts/TARGET/
//! ```
//!
//! The modules in `fuzz/src` state what each target asserts. A finding is a panic, more than ten seconds for one input, more than a
//! gigabyte of memory, or memory that is not freed.

mod build;
mod coverage;
mod log;
mod run;
mod targets;

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use clap::Args;
use clap::builder::PossibleValuesParser;

use crate::{Outcome, cargo, show};
use build::{Build, Kind};
use targets::{TARGETS, Target};

/// Selects targets and their duration.
#[derive(Debug, Args)]
pub(crate) struct FuzzOptions {
    /// Targets (default: all)
    #[arg(value_parser = PossibleValuesParser::new(TARGETS.iter().map(|target| target.name)))]
    targets: Vec<String>,
    /// Seconds of each target
    #[arg(long, default_value_t = 60)]
    seconds: u64,
    /// Number of targets that run at the same time
    #[arg(long, default_value_t = 1)]
    jobs: usize,
    /// Add the fewest new inputs to fuzz/corpus that reach the same code
    #[arg(long)]
    keep: bool,
    /// Run one input of one target, such as a finding
    #[arg(long, value_name = "FILE", conflicts_with_all = ["keep", "coverage", "seed"])]
    repeat: Option<PathBuf>,
    /// Print which parts of the sources the inputs reach, and which they never reach
    #[arg(long, conflicts_with = "keep")]
    coverage: bool,
    /// Write the seeds in fuzz/corpus again
    #[arg(long)]
    seed: bool,
}

impl FuzzOptions {
    /// Returns a short run of every target, for CI.
    pub(crate) fn short() -> Self {
        Self {
            targets: Vec::new(),
            seconds: 8,
            jobs: std::thread::available_parallelism().map_or(1, usize::from),
            keep: false,
            repeat: None,
            coverage: false,
            seed: false,
        }
    }

    /// Returns a run of this many seconds for every target, one after the other.
    pub(crate) fn long(seconds: u64) -> Self {
        Self {
            seconds,
            jobs: 1,
            ..Self::short()
        }
    }

    fn targets(&self) -> Vec<Target> {
        let is_wanted = |target: &&Target| {
            self.targets.is_empty() || self.targets.iter().any(|name| name == target.name)
        };
        TARGETS.iter().filter(is_wanted).copied().collect()
    }
}

/// Builds the targets and runs them.
///
/// # Errors
/// When a target has a finding or cannot be built.
pub(crate) fn fuzz(options: &FuzzOptions, out: &mut dyn Write) -> Outcome {
    let targets = options.targets();
    if options.seed {
        build::seed(&targets::corpus())?;
        writeln!(out, "seeds written to {}", show::quoted(&targets::corpus()))?;
        return Ok(());
    }
    if options.coverage {
        return coverage::coverage(&targets, out);
    }
    let start = Instant::now();
    let build = Build::new(Kind::Fuzz, &targets)?;
    let seconds = start.elapsed().as_secs_f64();
    writeln!(out, "built in {seconds:.1} s")?;
    out.flush()?;
    if let Some(input) = &options.repeat {
        let [target] = &targets[..] else {
            return Err("--repeat needs one target".into());
        };
        return repeat(&build, *target, input);
    }
    let runs = run::run_all(&build, &targets, options.seconds, options.jobs)?;
    let mut failed = Vec::new();
    for (target, run) in targets.iter().zip(&runs) {
        writeln!(
            out,
            "fuzz {:<9} {:>7.1} s {:>10} runs {:>6} edges {:>5} inputs {:>5} MiB  {}",
            target.name,
            run.elapsed.as_secs_f64(),
            run.log.executions,
            run.log.edges,
            run.log.inputs,
            run.log.peak_mib,
            if run.passed { "pass" } else { "FAIL" }
        )?;
        if !run.passed {
            run.explain(*target, out)?;
            failed.push(target.name);
        }
    }
    if !failed.is_empty() {
        return Err(format!("findings: {}", failed.join(", ")).into());
    }
    if options.keep {
        for target in &targets {
            keep(&build, *target, out)?;
        }
    }
    Ok(())
}

fn repeat(build: &Build, target: Target, input: &Path) -> Outcome {
    // The input may be longer than those of a run.
    let mut command = Command::new(build.program(target));
    cargo::run(
        command
            .args(["-timeout=10", "-rss_limit_mb=1024"])
            .arg(input)
            .env("RUST_BACKTRACE", "1"),
    )
}

/// Adds the fewest new inputs to the committed ones that reach every edge that all inputs reach.
fn keep(build: &Build, target: Target, out: &mut dyn Write) -> Outcome {
    let committed = targets::corpus().join(target.name);
    let before = fs::read_dir(&committed)?.count();
    let mut command = run::libfuzzer(build, target);
    command
        .args(["-set_cover_merge=1", "-use_counters=0"])
        .arg(&committed)
        .arg(targets::work(target)?)
        .stderr(Stdio::null());
    cargo::run(&mut command)?;
    let added = fs::read_dir(&committed)?.count() - before;
    writeln!(out, "kept {added} new inputs of {}", target.name)?;
    Ok(())
}
