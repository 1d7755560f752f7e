//! The step `instructions` of CI: counts the instructions of fixed work, which finds a slowdown of the writer, the merge or the
//! archive reader on a busy machine too.
//!
//! `MSB_BLESS=1 cargo xtask ci instructions` records new counts after an intended change.

use std::collections::BTreeMap;
use std::error::Error;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use integration_tests::workspace;
use msb_testkit::oracle::{Tool, require};

use crate::{Outcome, cargo, setup};

/// The architecture of the committed counts.
const ARCHITECTURE: &str = "x86_64";
/// Tolerated difference from the committed count, in thousandths. It covers other compilers, other C libraries and the random seeds of
/// hash tables.
const TOLERANCE_PERMILLE: u64 = 50;

/// Counts the instructions of the workloads of `msb-bench` under callgrind and compares them with the committed counts.
pub(crate) fn instructions(out: &mut dyn Write) -> Outcome {
    if std::env::consts::ARCH != ARCHITECTURE {
        writeln!(
            out,
            "NOT CHECKED: the committed counts are of {ARCHITECTURE}"
        )?;
        return Ok(());
    }
    setup::setup(out)?;
    // Without link-time optimization, which takes minutes: the counted functions lie within one crate each.
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
    if workspace::is_blessing() {
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
        "more instructions than in {}: {}; if the change is intended, run `MSB_BLESS=1 cargo xtask ci instructions`",
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
            Verdict::Faster => "faster: record it with MSB_BLESS=1",
        }
    }
}

/// Returns the change in percent with its sign, and the verdict.
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

/// Returns the instructions of the function `counted_<name>` of a workload.
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
        .ok_or_else(|| format!("callgrind counted no instruction of {name}").into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slowdown_beyond_the_tolerance_fails() {
        assert_eq!(compare(1000, 1050), ("+5.0%".to_owned(), Verdict::Same));
        assert_eq!(compare(1000, 1051), ("+5.1%".to_owned(), Verdict::Slower));
        assert_eq!(compare(1000, 900), ("-10.0%".to_owned(), Verdict::Faster));
    }
}
