//! Runs targets under libFuzzer.

use std::error::Error;
use std::fs::{self, File};
use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use super::build::Build;
use super::log::Log;
use super::targets::{Target, artifacts, corpus, work};
use crate::{Outcome, cargo, show};

/// The result of one target.
#[derive(Debug)]
pub(super) struct Run {
    pub(super) passed: bool,
    pub(super) elapsed: Duration,
    pub(super) log: Log,
    log_file: PathBuf,
}

/// Runs the targets, at most `jobs` at the same time.
pub(super) fn run_all(
    build: &Build,
    targets: &[Target],
    seconds: u64,
    jobs: usize,
) -> Result<Vec<Run>, Box<dyn Error>> {
    let results: Vec<_> = targets.iter().map(|_| Mutex::new(None)).collect();
    let queue = Mutex::new(targets.iter().zip(&results));
    std::thread::scope(|scope| {
        for _ in 0..jobs.clamp(1, targets.len()) {
            scope.spawn(|| {
                loop {
                    let Some((target, result)) =
                        queue.lock().ok().and_then(|mut queue| queue.next())
                    else {
                        return;
                    };
                    // The error crosses threads as text.
                    let run = run(build, *target, seconds).map_err(|error| error.to_string());
                    if let Ok(mut result) = result.lock() {
                        *result = Some(run);
                    }
                }
            });
        }
    });
    let taken = results.into_iter().map(|result| {
        let run = result.into_inner().ok().flatten();
        Ok(run.ok_or("the thread of a target panicked")??)
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

/// Returns the command of a target with the limits of every run.
pub(super) fn libfuzzer(build: &Build, target: Target) -> Command {
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

impl Run {
    /// Prints the finding and the command that repeats it.
    pub(super) fn explain(&self, target: Target, out: &mut dyn Write) -> Outcome {
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
