//! `cargo xtask instructions`: a slow-down of the writer, the merge or the archive reader is seen without a quiet machine.

use std::collections::BTreeMap;
use std::error::Error;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use clap::Args;
use msb_testkit::oracle::{Tool, require};

use crate::{Outcome, cargo, setup};

/// What to do with differences.
#[derive(Debug, Default, Args)]
pub(crate) struct InstructionsOptions {
    /// Write the counts of now over what was expected
    #[arg(long)]
    bless: bool,
}

/// The processors' kind that the committed counts are of.
const ARCHITECTURE: &str = "x86_64";
/// How far a count may be from the committed one, in thousandths. Another compiler lays code out otherwise, another machine's C
/// library copies otherwise, and the trees' hash tables start from a random number: all of that stays below this.
const TOLERANCE_PERMILLE: u64 = 50;

/// Counts what the workloads of `msb-bench` execute under callgrind and compares it with what is committed.
pub(crate) fn instructions(options: &InstructionsOptions, out: &mut dyn Write) -> Outcome {
    if std::env::consts::ARCH != ARCHITECTURE {
        writeln!(out, "the committed counts are those of {ARCHITECTURE}")?;
        return Ok(());
    }
    setup::setup(out)?;
    // Without link-time optimization: it takes minutes, and what is counted lies within the crates.
    cargo::run(cargo::cargo().args([
        "build",
        "--quiet",
        "--profile",
        "instructions",
        "--package",
        "msb-bench",
        "--no-default-features",
        "--bin",
        "workloads",
    ]))?;
    let program = cargo::target_folder()?.join("instructions/workloads");
    let now = count(&program)?;
    let path = committed();
    if options.bless {
        let lines = now.iter().map(|(name, count)| format!("{name} {count}\n"));
        fs::write(&path, lines.collect::<String>())?;
    }
    let expected = parse(&fs::read_to_string(&path).unwrap_or_default());
    let mut slower = Vec::new();
    for (name, count) in &now {
        let Some(before) = expected.get(name) else {
            writeln!(out, "{name:<8} {count:>12}  not committed")?;
            slower.push(format!("{name} is not committed"));
            continue;
        };
        let (change, verdict) = compare(*before, *count);
        writeln!(
            out,
            "{name:<8} {count:>12}  {before:>12}  {change:>6}  {}",
            verdict.word()
        )?;
        if verdict == Verdict::Slower {
            slower.push(format!("{name} {change}"));
        }
    }
    if slower.is_empty() {
        return Ok(());
    }
    Err(format!(
        "more instructions than {} says: {}; if that is meant, run `cargo xtask instructions --bless`",
        path.file_name().unwrap_or_default().display(),
        slower.join(", ")
    )
    .into())
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    Same,
    Slower,
    Faster,
}

impl Verdict {
    fn word(self) -> &'static str {
        match self {
            Verdict::Same => "pass",
            Verdict::Slower => "SLOWER",
            Verdict::Faster => "faster: bless it",
        }
    }
}

/// The change in percent with its sign, and what to think of it.
fn compare(before: u64, now: u64) -> (String, Verdict) {
    let permille = before.abs_diff(now).saturating_mul(1000) / before.max(1);
    let sign = if now < before { '-' } else { '+' };
    let verdict = match (permille > TOLERANCE_PERMILLE, now < before) {
        (false, _) => Verdict::Same,
        (true, false) => Verdict::Slower,
        (true, true) => Verdict::Faster,
    };
    let change = format!("{sign}{}.{}%", permille / 10, permille % 10);
    (change, verdict)
}

fn committed() -> PathBuf {
    cargo::workspace().join("xtask/bench/instructions.txt")
}

fn parse(text: &str) -> BTreeMap<String, u64> {
    let line = |line: &str| {
        let (name, count) = line.split_once(' ')?;
        Some((name.to_owned(), count.trim().parse().ok()?))
    };
    text.lines().filter_map(line).collect()
}

fn count(program: &Path) -> Result<BTreeMap<String, u64>, Box<dyn Error>> {
    let folder = tempfile::tempdir()?;
    let names = Command::new(program).output()?.stdout;
    let names = String::from_utf8(names)?;
    names
        .lines()
        .map(|name| Ok((name.to_owned(), count_one(program, name, folder.path())?)))
        .collect()
}

/// The instructions of the one function that the workload names after itself.
fn count_one(program: &Path, name: &str, folder: &Path) -> Result<u64, Box<dyn Error>> {
    let report = folder.join("callgrind");
    let output = Command::new(require(Tool::Valgrind))
        .arg("--tool=callgrind")
        .arg(format!("--callgrind-out-file={}", report.display()))
        .arg(format!("--toggle-collect=*counted_{name}*"))
        .arg(program)
        .arg(name)
        .arg(folder)
        .stdin(Stdio::null())
        .output()?;
    if !output.status.success() {
        let text = String::from_utf8_lossy(&output.stderr);
        let last = text.lines().last().unwrap_or_default();
        return Err(format!("valgrind of {name}: {}: {last}", output.status).into());
    }
    let report = fs::read_to_string(report)?;
    let summary = |line: &str| {
        let count = line
            .strip_prefix("summary:")
            .or_else(|| line.strip_prefix("totals:"))?;
        count.trim().parse().ok()
    };
    report
        .lines()
        .find_map(summary)
        .filter(|count| *count > 0)
        .ok_or_else(|| format!("callgrind counted nothing of {name}").into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slow_down_beyond_the_tolerance_is_seen() {
        assert_eq!(compare(1000, 1050), ("+5.0%".to_owned(), Verdict::Same));
        assert_eq!(compare(1000, 1051), ("+5.1%".to_owned(), Verdict::Slower));
        assert_eq!(compare(1000, 900), ("-10.0%".to_owned(), Verdict::Faster));
    }
}
