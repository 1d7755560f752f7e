//! `cargo xtask fuzz`: the parsers of hostile bytes, under libFuzzer, with the stable compiler.
//!
//! ```text
//!  fuzz/corpus/TARGET ──copied──▶ target/fuzz/corpus/TARGET ──libFuzzer──▶ grows there; --keep brings the new back, little of it
//!                                                              └─ finding ──▶ fuzz/artifacts/TARGET/
//! ```
//!
//! What each target asserts is told in `fuzz/src`. A finding is a panic, more than ten seconds for one input, more than a gigabyte,
//! or memory that is not given back.

mod build;
mod coverage;

use std::error::Error;
use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use clap::Args;
use clap::builder::PossibleValuesParser;

use crate::{Outcome, cargo, show};
use build::{Build, Kind};

/// A fuzz target.
#[derive(Clone, Copy, Debug)]
struct Target {
    name: &'static str,
    /// Bytes of the longest input.
    max_len: u32,
    /// What it is there to test, from the workspace's folder.
    sources: &'static [&'static str],
}

const TARGETS: &[Target] = &[
    Target {
        name: "layer",
        max_len: 32 << 10,
        sources: &["crates/msb-layer/src"],
    },
    Target {
        name: "reader",
        max_len: 64 << 10,
        sources: &["crates/erofs-reader/src"],
    },
    Target {
        name: "merge",
        max_len: 4 << 10,
        sources: &[
            "crates/msb-sidecar/src",
            "crates/msb-stitch/src/disk.rs",
            "crates/msb-stitch/src/merge.rs",
            "crates/msb-stitch/src/proof.rs",
            "crates/fs-tree/src",
        ],
    },
    Target {
        name: "vmdk",
        max_len: 2 << 10,
        sources: &["crates/msb-stitch/src/vmdk.rs"],
    },
    Target {
        name: "manifest",
        max_len: 4 << 10,
        sources: &[
            "crates/msb-oci/src/json",
            "crates/msb-oci/src/manifest.rs",
            "crates/msb-platform/src/index.rs",
            "crates/msb-platform/src/index",
        ],
    },
    Target {
        name: "config",
        max_len: 4 << 10,
        sources: &[
            "crates/msb-oci/src/config.rs",
            "crates/msb-platform/src/offer.rs",
        ],
    },
    Target {
        name: "sidecar",
        max_len: 4 << 10,
        sources: &["crates/msb-sidecar/src"],
    },
    Target {
        name: "record",
        max_len: 4 << 10,
        sources: &[
            "crates/msb-store/src/record.rs",
            "crates/microsandbox-image/src/record.rs",
            "crates/microsandbox-image/src/verify.rs",
        ],
    },
    Target {
        name: "challenge",
        max_len: 1 << 10,
        sources: &["crates/msb-registry/src/auth/challenge.rs"],
    },
];

/// Which targets, for how long.
#[derive(Debug, Args)]
pub(crate) struct FuzzOptions {
    /// Targets (all of them)
    #[arg(value_parser = PossibleValuesParser::new(TARGETS.iter().map(|target| target.name)))]
    targets: Vec<String>,
    /// Seconds for each target
    #[arg(long, default_value_t = 60)]
    seconds: u64,
    /// Targets at a time
    #[arg(long, default_value_t = 1)]
    jobs: usize,
    /// Add new inputs to fuzz/corpus, as few as reach all that was reached
    #[arg(long)]
    keep: bool,
    /// Run one input of one target, such as a finding
    #[arg(long, value_name = "FILE", conflicts_with_all = ["keep", "coverage", "seed"])]
    repeat: Option<PathBuf>,
    /// Print what the inputs so far reach of the sources, and what they never reach
    #[arg(long, conflicts_with = "keep")]
    coverage: bool,
    /// Make the seeds in fuzz/corpus again
    #[arg(long)]
    seed: bool,
}

impl FuzzOptions {
    /// A short run of every target, for CI.
    pub(crate) fn short() -> Self {
        Self {
            targets: Vec::new(),
            seconds: 15,
            jobs: std::thread::available_parallelism().map_or(1, usize::from),
            keep: false,
            repeat: None,
            coverage: false,
            seed: false,
        }
    }

    /// A run of this many seconds for every target, one after the other.
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

/// Builds the targets and runs them; fails on the first finding of any.
pub(crate) fn fuzz(options: &FuzzOptions, out: &mut dyn Write) -> Outcome {
    let targets = options.targets();
    if options.seed {
        build::seed(&corpus())?;
        writeln!(out, "seeds made in {}", show::quoted(&corpus()))?;
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
            return Err("--repeat wants one target".into());
        };
        return repeat(&build, *target, input);
    }
    let runs = run_all(&build, &targets, options)?;
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

/// The committed inputs.
fn corpus() -> PathBuf {
    cargo::workspace().join("fuzz/corpus")
}

fn artifacts(target: Target) -> PathBuf {
    cargo::workspace().join("fuzz/artifacts").join(target.name)
}

/// Where a target's inputs grow.
fn work(target: Target) -> Result<PathBuf, Box<dyn Error>> {
    Ok(cargo::target_folder()?
        .join("fuzz/corpus")
        .join(target.name))
}

/// How one target went.
#[derive(Debug)]
struct Run {
    passed: bool,
    elapsed: Duration,
    log: Log,
    log_file: PathBuf,
}

fn run_all(
    build: &Build,
    targets: &[Target],
    options: &FuzzOptions,
) -> Result<Vec<Run>, Box<dyn Error>> {
    let results: Vec<_> = targets.iter().map(|_| Mutex::new(None)).collect();
    let queue = Mutex::new(targets.iter().zip(&results));
    std::thread::scope(|scope| {
        for _ in 0..options.jobs.clamp(1, targets.len()) {
            scope.spawn(|| {
                loop {
                    let Some((target, result)) =
                        queue.lock().ok().and_then(|mut queue| queue.next())
                    else {
                        return;
                    };
                    // The error crosses threads as text.
                    let run =
                        run(build, *target, options.seconds).map_err(|error| error.to_string());
                    if let Ok(mut result) = result.lock() {
                        *result = Some(run);
                    }
                }
            });
        }
    });
    let taken = results.into_iter().map(|result| {
        let run = result.into_inner().ok().flatten();
        Ok(run.ok_or("a target's thread has died")??)
    });
    taken.collect()
}

fn run(build: &Build, target: Target, seconds: u64) -> Result<Run, Box<dyn Error>> {
    let (work, artifacts) = (work(target)?, artifacts(target));
    fs::create_dir_all(&work)?;
    fs::create_dir_all(&artifacts)?;
    let log_file = work.with_extension("log");
    let mut command = libfuzzer(build, target);
    command
        .arg(format!("-max_total_time={seconds}"))
        .arg("-print_final_stats=1")
        .arg(format!("-artifact_prefix={}/", artifacts.display()))
        .arg(&work)
        .arg(corpus().join(target.name))
        .stderr(File::create(&log_file)?)
        .stdout(Stdio::null());
    let start = Instant::now();
    let status = command.status()?;
    Ok(Run {
        passed: status.success(),
        elapsed: start.elapsed(),
        log: Log::read(&String::from_utf8_lossy(&fs::read(&log_file)?)),
        log_file,
    })
}

/// What every use of a target has.
fn libfuzzer(build: &Build, target: Target) -> Command {
    let mut command = Command::new(build.program(target));
    command
        .args(["-timeout=10", "-rss_limit_mb=1024"])
        .arg(format!("-max_len={}", target.max_len))
        .env("RUST_BACKTRACE", "1")
        .stdin(Stdio::null());
    let dictionary = cargo::workspace()
        .join("fuzz/dictionaries")
        .join(target.name)
        .with_extension("dict");
    if dictionary.exists() {
        command.arg(format!("-dict={}", dictionary.display()));
    }
    command
}

fn repeat(build: &Build, target: Target, input: &Path) -> Outcome {
    // Not an input of a run: the limits on its length do not hold.
    let mut command = Command::new(build.program(target));
    cargo::run(
        command
            .args(["-timeout=10", "-rss_limit_mb=1024"])
            .arg(input)
            .env("RUST_BACKTRACE", "1"),
    )
}

/// Adds to the committed inputs as few of the new ones as reach every edge that all of them do.
fn keep(build: &Build, target: Target, out: &mut dyn Write) -> Outcome {
    let committed = corpus().join(target.name);
    let before = fs::read_dir(&committed)?.count();
    let mut command = libfuzzer(build, target);
    command
        .args(["-set_cover_merge=1", "-use_counters=0"])
        .arg(&committed)
        .arg(work(target)?)
        .stderr(Stdio::null());
    cargo::run(&mut command)?;
    let added = fs::read_dir(&committed)?.count() - before;
    writeln!(out, "kept {added} new inputs of {}", target.name)?;
    Ok(())
}

impl Run {
    fn explain(&self, target: Target, out: &mut dyn Write) -> Outcome {
        for line in &self.log.finding {
            writeln!(out, "  {line}")?;
        }
        writeln!(out, "  log: {}", show::quoted(&self.log_file))?;
        if let Some(input) = &self.log.input {
            writeln!(out, "  input: {}", show::quoted(input))?;
            let (name, input) = (target.name, show::quoted(input));
            writeln!(out, "  again: cargo xtask fuzz {name} --repeat {input}")?;
        }
        Ok(())
    }
}

/// What libFuzzer has written.
#[derive(Debug, Default, PartialEq, Eq)]
struct Log {
    executions: u64,
    edges: u64,
    inputs: u64,
    peak_mib: u64,
    /// What went wrong: the panic, or libFuzzer's own words.
    finding: Vec<String>,
    input: Option<PathBuf>,
}

impl Log {
    fn read(text: &str) -> Self {
        let mut log = Self::default();
        let mut lines = text.lines();
        while let Some(line) = lines.next() {
            let words: Vec<&str> = line.split_whitespace().collect();
            let after = |key: &str| {
                let at = words.iter().position(|word| *word == key)?;
                words.get(at + 1)?.split('/').next()?.parse().ok()
            };
            if line.starts_with('#') {
                log.edges = after("cov:").unwrap_or(log.edges);
                log.inputs = after("corp:").unwrap_or(log.inputs);
            }
            let number = after("stat::number_of_executed_units:");
            log.executions = number.unwrap_or(log.executions);
            log.peak_mib = after("stat::peak_rss_mb:").unwrap_or(log.peak_mib);
            if line.contains("panicked at") {
                log.finding.push(line.to_owned());
                log.finding.extend(lines.next().map(str::to_owned));
            } else if line.contains("ERROR: libFuzzer: ") && !line.contains("deadly signal") {
                log.finding.push(line.to_owned());
            } else if let Some((_, path)) = line.split_once("Test unit written to ") {
                log.input = Some(path.into());
            }
        }
        log
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_log_tells_counts_and_the_finding() {
        let log = Log::read(
            "#2\tINITED cov: 5 ft: 9 corp: 1/1b exec/s: 0 rss: 27Mb\n\
             #912\tNEW    cov: 123 ft: 456 corp: 78/9Kb lim: 4096 exec/s: 7 rss: 30Mb L: 3/3 MS: 1 Custom-\n\
             thread '<unnamed>' (7) panicked at src/x.rs:1:2:\nwhat is wrong\nstack backtrace:\n\
             ==7== ERROR: libFuzzer: deadly signal\n\
             artifact_prefix='a/'; Test unit written to a/crash-1\n\
             stat::number_of_executed_units: 1000\nstat::peak_rss_mb:              88\n",
        );
        assert_eq!(
            log,
            Log {
                executions: 1000,
                edges: 123,
                inputs: 78,
                peak_mib: 88,
                finding: vec![
                    "thread '<unnamed>' (7) panicked at src/x.rs:1:2:".to_owned(),
                    "what is wrong".to_owned()
                ],
                input: Some("a/crash-1".into()),
            }
        );
        let log = Log::read("==7== ERROR: libFuzzer: timeout after 11 seconds\n");
        assert_eq!(log.finding.len(), 1);
    }
}
