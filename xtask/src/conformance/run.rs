//! Whether the named tests pass.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::process::Stdio;

use super::clauses::{Clause, Recipes};
use crate::{Outcome, cargo, setup};

/// The target whose tests are the recipes.
const RECIPES: (&str, &str) = ("integration-tests", "conformance");

/// Runs the tests, those of a binary at once, and looks for each of them in what it says.
pub(super) fn run(clauses: &[Clause], recipes: &Recipes, out: &mut dyn Write) -> Outcome {
    setup::setup(out)?;
    let mut binaries: BTreeMap<(&str, &str), BTreeSet<&str>> = BTreeMap::new();
    for test in clauses.iter().flat_map(|clause| &clause.tests) {
        if let [package, binary, name] = test.split("::").collect::<Vec<_>>()[..] {
            binaries.entry((package, binary)).or_default().insert(name);
        }
    }
    binaries
        .entry(RECIPES)
        .or_default()
        .extend(recipes.keys().map(String::as_str));
    let mut failed = Vec::new();
    for ((package, binary), names) in binaries {
        let mut command = cargo::cargo();
        command.args(["test", "--package", package]);
        match binary {
            "lib" => command.arg("--lib"),
            "bin" => command.arg("--bins"),
            _ => command.args(["--test", binary]),
        };
        // Those of a library are in modules, so that their names are but the ends of what cargo calls them.
        if (package, binary) != RECIPES {
            command.arg("--").args(&names);
        }
        command.stderr(Stdio::inherit());
        let output = command.output()?;
        let text = String::from_utf8_lossy(&output.stdout);
        let has_passed = |name: &&str| text.lines().any(|line| passes(line, name));
        let missing: Vec<&str> = names
            .iter()
            .copied()
            .filter(|name| !has_passed(name))
            .collect();
        writeln!(
            out,
            "{package} {binary}: {} of {} passed",
            names.len() - missing.len(),
            names.len()
        )?;
        failed.extend(
            missing
                .iter()
                .map(|name| format!("{package}::{binary}::{name}")),
        );
    }
    if failed.is_empty() {
        Ok(())
    } else {
        Err(format!("not seen to pass: {}", failed.join(", ")).into())
    }
}

/// Whether a line of a test binary says that the test of this name passed.
fn passes(line: &str, name: &str) -> bool {
    line.strip_prefix("test ")
        .and_then(|rest| rest.strip_suffix(" ok"))
        .and_then(|rest| rest.trim_end().strip_suffix("..."))
        .map(str::trim_end)
        .is_some_and(|test| test == name || test.ends_with(&format!("::{name}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_named_test_passes() {
        assert!(passes("test a/b@c             ... ok", "a/b@c"));
        assert!(passes("test tar::tests::x ... ok", "x"));
        assert!(!passes("test tar::tests::xx ... ok", "x"));
        assert!(!passes("test x ... FAILED", "x"));
        assert!(!passes("test x ... ignored", "x"));
    }
}
