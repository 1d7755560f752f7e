//! `cargo xtask fuzz --coverage`: prints which regions of the source the inputs reach and never reach.

use std::collections::BTreeMap;
use std::error::Error;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;

use super::build::{Build, Kind};
use super::targets::{Target, corpus, work};
use crate::{Outcome, cargo};

/// Runs each target once over all of its inputs and prints the coverage of its sources.
pub(super) fn coverage(targets: &[Target], out: &mut dyn Write) -> Outcome {
    let tools = Tools::find()?;
    let build = Build::new(Kind::Coverage, targets)?;
    for target in targets {
        let profile = profile(&tools, &build, *target)?;
        let files = files(&tools, &build.program(*target), &profile)?;
        print(*target, &files, out)?;
    }
    Ok(())
}

/// LLVM's programs, of the version that the compiler uses.
struct Tools {
    profdata: PathBuf,
    cov: PathBuf,
}

impl Tools {
    fn find() -> Result<Self, Box<dyn Error>> {
        let major = cargo::llvm_major()?;
        let path = std::env::var_os("PATH").unwrap_or_default();
        let tool = |name: &str| {
            let names = [format!("{name}-{major}"), name.to_owned()];
            let folders =
                std::env::split_paths(&path).chain([format!("/usr/lib/llvm-{major}/bin").into()]);
            let found = folders
                .flat_map(|folder| names.clone().map(|name| folder.join(name)))
                .find(|program| program.is_file() && is_version(program, &major));
            found.ok_or_else(|| {
                format!("{name} of LLVM {major} is missing; run `apt-get install llvm-{major}`")
            })
        };
        Ok(Self {
            profdata: tool("llvm-profdata")?,
            cov: tool("llvm-cov")?,
        })
    }
}

fn is_version(program: &Path, major: &str) -> bool {
    let output = Command::new(program).arg("--version").output();
    output.is_ok_and(|output| {
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        text.contains(&format!("version {major}."))
    })
}

/// Runs a target over its inputs, in groups that fit on a command line.
fn profile(tools: &Tools, build: &Build, target: Target) -> Result<PathBuf, Box<dyn Error>> {
    let folder = cargo::target_folder()?
        .join("fuzz-coverage/profiles")
        .join(target.name);
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder)?;
    let mut inputs = Vec::new();
    for folder in [corpus().join(target.name), work(target)?] {
        // A target that has never run has no folder.
        for entry in fs::read_dir(folder).into_iter().flatten() {
            inputs.push(entry?.path());
        }
    }
    for (index, group) in inputs.chunks(500).enumerate() {
        let status = Command::new(build.program(target))
            .args(group)
            .env("LLVM_PROFILE_FILE", folder.join(format!("{index}.profraw")))
            .stdin(Stdio::null())
            .stderr(Stdio::null())
            .status()?;
        if !status.success() {
            return Err(format!("{} has a finding among its inputs: {status}", target.name).into());
        }
    }
    let merged = folder.join("merged.profdata");
    let mut command = Command::new(&tools.profdata);
    command.args(["merge", "-sparse", "-o"]).arg(&merged);
    for index in 0..inputs.chunks(500).len() {
        command.arg(folder.join(format!("{index}.profraw")));
    }
    cargo::run(&mut command)?;
    Ok(merged)
}

/// Returns the entry of each file in the report.
fn files(tools: &Tools, program: &Path, profile: &Path) -> Result<Vec<Value>, Box<dyn Error>> {
    let output = Command::new(&tools.cov)
        .args(["export", "--format=text", "--skip-functions"])
        .arg(format!("--instr-profile={}", profile.display()))
        .arg(program)
        .stderr(Stdio::inherit())
        .output()?;
    if !output.status.success() {
        return Err(format!("llvm-cov: {}", output.status).into());
    }
    let mut report: Value = serde_json::from_slice(&output.stdout)?;
    match report["data"][0]["files"].take() {
        Value::Array(files) => Ok(files),
        _ => Err("llvm-cov's report has no files".into()),
    }
}

fn print(target: Target, files: &[Value], out: &mut dyn Write) -> Outcome {
    let workspace = cargo::workspace();
    let mut reports = BTreeMap::new();
    for file in files {
        let Some(name) = file["filename"].as_str() else {
            continue;
        };
        let Ok(relative) = Path::new(name).strip_prefix(&workspace) else {
            continue;
        };
        if target
            .sources
            .iter()
            .any(|source| relative.starts_with(source))
        {
            reports.insert(relative.to_owned(), file);
        }
    }
    writeln!(out, "\n{}", target.name)?;
    let (mut reached, mut all) = (0, 0);
    for (name, file) in &reports {
        let count = |what: &str, which: &str| file["summary"][what][which].as_u64().unwrap_or(0);
        reached += count("regions", "covered");
        all += count("regions", "count");
        writeln!(
            out,
            "{:<48} lines {:>4} of {:>4}   regions {:>4} of {:>4}",
            name.display(),
            count("lines", "covered"),
            count("lines", "count"),
            count("regions", "covered"),
            count("regions", "count"),
        )?;
        let text = fs::read_to_string(workspace.join(name))?;
        let lines: Vec<&str> = text.lines().collect();
        for line in never(file) {
            let text = lines.get(line.saturating_sub(1)).unwrap_or(&"").trim();
            writeln!(out, "    never {line:>4}: {text}")?;
        }
    }
    writeln!(out, "{:<48} regions {reached} of {all}", "total")?;
    Ok(())
}

/// Returns the first line of each sequence of regions that were never reached.
fn never(file: &Value) -> Vec<usize> {
    let mut lines = Vec::new();
    let mut before = true;
    for segment in file["segments"].as_array().into_iter().flatten() {
        // Line, column, count, whether there is a count, whether a region begins, whether it is a gap.
        let number = |at: usize| segment[at].as_u64().unwrap_or(0);
        let flag = |at: usize| segment[at].as_bool().unwrap_or(false);
        let is_code = flag(3) && !flag(5);
        let reached = number(2) > 0;
        if is_code && !reached && flag(4) && before {
            lines.push(usize::try_from(number(0)).unwrap_or(0));
        }
        if is_code {
            before = reached;
        }
    }
    lines.dedup();
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_unreached_stretch_is_reported_once() {
        let file = serde_json::json!({ "segments": [
            [1, 1, 5, true, true, false],
            [2, 1, 0, true, true, false],
            [3, 1, 0, true, true, false],
            [4, 1, 5, true, false, false],
            [5, 1, 0, true, true, true],
            [6, 1, 0, true, true, false],
            [7, 1, 0, false, false, false],
        ]});
        assert_eq!(never(&file), [2, 6]);
    }
}
