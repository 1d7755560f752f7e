//! `cargo xtask traps`: every clause of `tests/traps/clauses.md` has a test, and every recipe a clause.
//!
//! ```text
//!   clauses.md ──▶ | `id` | sentence | judges | `package::binary::test`, ... |
//!        ├── tests/traps/<id>.trap, <id>@<case>.trap     each begins with the sentence
//!        └── fn test in crates/<package> or tests        is there, is a test, is not ignored
//! ```

use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use clap::Args;

use crate::{Outcome, cargo, setup};

/// Whether to run them too.
#[derive(Debug, Default, Args)]
pub(crate) struct TrapsOptions {
    /// Also run every test that is named, and see each of them pass
    #[arg(long)]
    run: bool,
}

/// A line of the table.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Clause {
    id: String,
    sentence: String,
    judges: String,
    /// `package::binary::test`
    tests: Vec<String>,
}

/// The target whose tests are the recipes.
const RECIPES: (&str, &str) = ("integration-tests", "traps");

/// Prints the clauses with their tests and judges, and fails on a gap.
pub(crate) fn traps(options: &TrapsOptions, out: &mut dyn Write) -> Outcome {
    let root = cargo::workspace();
    let folder = root.join("tests/traps");
    let clauses = parse(&fs::read_to_string(folder.join("clauses.md"))?)?;
    let recipes = recipes(&folder)?;
    let mut sources = Sources::new(root);
    let problems = problems(&clauses, &recipes, &mut |test| sources.problem(test));
    print(&clauses, &recipes, out)?;
    for problem in &problems {
        writeln!(out, "{problem}")?;
    }
    if !problems.is_empty() {
        return Err(format!("{} gaps", problems.len()).into());
    }
    if options.run {
        run(&clauses, &recipes, out)?;
    }
    Ok(())
}

fn print(clauses: &[Clause], recipes: &BTreeMap<String, String>, out: &mut dyn Write) -> Outcome {
    let width = |of: fn(&Clause) -> usize| clauses.iter().map(of).max().unwrap_or(0);
    let (ids, judges) = (
        width(|clause| clause.id.len()),
        width(|clause| clause.judges.len()),
    );
    let mut others = BTreeSet::new();
    for clause in clauses {
        let own = cases(clause, recipes);
        let mut tests: Vec<String> = Vec::new();
        match own.len() {
            0 => {}
            1 => tests.push("recipe".to_owned()),
            count => tests.push(format!("{count} recipes")),
        }
        tests.extend(clause.tests.iter().cloned());
        others.extend(&clause.tests);
        writeln!(
            out,
            "{:<ids$}  {:<judges$}  {}",
            clause.id,
            clause.judges,
            tests.join(", ")
        )?;
    }
    writeln!(
        out,
        "{} clauses, {} recipes, {} other tests",
        clauses.len(),
        recipes.len(),
        others.len()
    )?;
    Ok(())
}

/// The recipes of a clause.
fn cases<'a>(clause: &Clause, recipes: &'a BTreeMap<String, String>) -> Vec<&'a String> {
    let is_its = |name: &&String| name.split('@').next() == Some(&clause.id);
    recipes.keys().filter(is_its).collect()
}

/// The lines of the table.
fn parse(text: &str) -> Result<Vec<Clause>, Box<dyn Error>> {
    let mut clauses = Vec::new();
    for line in text.lines().filter(|line| line.starts_with("| `")) {
        let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
        let [id, sentence, judges, tests] = cells[..] else {
            return Err(format!("not four cells: {line}").into());
        };
        if sentence.is_empty() || judges.is_empty() {
            return Err(format!("an empty cell: {line}").into());
        }
        let tests = tests
            .split(',')
            .map(|test| test.trim().trim_matches('`').to_owned())
            .filter(|test| !test.is_empty());
        clauses.push(Clause {
            id: id.trim_matches('`').to_owned(),
            sentence: sentence.to_owned(),
            judges: judges.to_owned(),
            tests: tests.collect(),
        });
    }
    if clauses.is_empty() {
        return Err("no clauses".into());
    }
    Ok(clauses)
}

/// Every recipe by the name of its test, and its first line.
fn recipes(folder: &Path) -> Result<BTreeMap<String, String>, Box<dyn Error>> {
    let mut all = BTreeMap::new();
    for path in files(folder)? {
        let name = path.strip_prefix(folder)?.to_string_lossy().into_owned();
        let first = || -> Result<String, Box<dyn Error>> {
            let text = fs::read_to_string(&path)?;
            Ok(text.lines().next().unwrap_or_default().to_owned())
        };
        match name.strip_suffix(".trap") {
            Some(name) => drop(all.insert(name.to_owned(), first()?)),
            None if name == "clauses.md" => {}
            None => return Err(format!("tests/traps/{name} is no recipe").into()),
        }
    }
    Ok(all)
}

/// What is missing, or too much. `test_problem` says what is wrong with a test of this name.
fn problems(
    clauses: &[Clause],
    recipes: &BTreeMap<String, String>,
    test_problem: &mut dyn FnMut(&str) -> Option<String>,
) -> Vec<String> {
    let mut problems = Vec::new();
    let mut ids = BTreeSet::new();
    for clause in clauses {
        let id = &clause.id;
        if !ids.insert(id.as_str()) {
            problems.push(format!("{id}: there are two of it"));
        }
        let own = cases(clause, recipes);
        if own.is_empty() && clause.tests.is_empty() {
            problems.push(format!("{id}: has no test"));
        }
        for name in own {
            if recipes[name] != format!("# {}", clause.sentence) {
                problems.push(format!("{name}.trap: does not begin with its clause"));
            }
        }
        for test in &clause.tests {
            if let Some(problem) = test_problem(test) {
                problems.push(format!("{id}: {test}: {problem}"));
            }
        }
    }
    for name in recipes.keys() {
        let id = name.split('@').next().unwrap_or_default();
        if !ids.contains(id) {
            problems.push(format!("{name}.trap: of no clause"));
        }
    }
    problems
}

/// The sources of test binaries, read once each.
#[derive(Debug)]
struct Sources {
    root: PathBuf,
    /// `package::binary` to all of its text.
    read: BTreeMap<String, Option<String>>,
}

impl Sources {
    fn new(root: PathBuf) -> Self {
        Self {
            root,
            read: BTreeMap::new(),
        }
    }

    fn problem(&mut self, test: &str) -> Option<String> {
        let parts: Vec<&str> = test.split("::").collect();
        let [package, binary, name] = parts[..] else {
            return Some("is not package::binary::test".to_owned());
        };
        let root = &self.root;
        let text = self
            .read
            .entry(format!("{package}::{binary}"))
            .or_insert_with(|| read(root, package, binary));
        match text {
            None => Some("there is no such package or binary".to_owned()),
            Some(text) => found(text, name).err().map(str::to_owned),
        }
    }
}

fn read(root: &Path, package: &str, binary: &str) -> Option<String> {
    let package = match package {
        "integration-tests" => root.join("tests"),
        _ => root.join("crates").join(package),
    };
    let paths = if binary == "lib" {
        files(&package.join("src")).ok()?
    } else {
        let file = package.join("tests").join(format!("{binary}.rs"));
        if file.exists() {
            vec![file]
        } else {
            files(&package.join("tests").join(binary)).ok()?
        }
    };
    let texts = paths.iter().map(fs::read_to_string);
    texts
        .collect::<Result<Vec<_>, _>>()
        .ok()
        .map(|texts| texts.join("\n"))
}

/// All files below a folder.
fn files(folder: &Path) -> Result<Vec<PathBuf>, std::io::Error> {
    let mut all = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            all.extend(files(&path)?);
        } else {
            all.push(path);
        }
    }
    all.sort();
    Ok(all)
}

/// Whether there is a test function of this name that is not ignored.
fn found(text: &str, name: &str) -> Result<(), &'static str> {
    let mut verdict = Err("there is no such function");
    let mut attributes: Vec<&str> = Vec::new();
    for line in text.lines().map(str::trim) {
        if line.starts_with("#[") {
            attributes.push(line);
            continue;
        }
        let function = line.strip_prefix("async ").unwrap_or(line);
        if function
            .strip_prefix("fn ")
            .and_then(|rest| rest.strip_prefix(name))
            .is_some_and(|rest| rest.starts_with('('))
        {
            let has = |what: &str| attributes.iter().any(|line| line.contains(what));
            if has("ignore") {
                verdict = Err("it is ignored");
            } else if has("[test]") || has("::test") {
                return Ok(());
            } else {
                verdict = Err("it is no test");
            }
        }
        attributes.clear();
    }
    verdict
}

/// Runs the tests, those of a binary at once, and looks for each of them in what it says.
fn run(clauses: &[Clause], recipes: &BTreeMap<String, String>, out: &mut dyn Write) -> Outcome {
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

    const TABLE: &str = "| id | clause | judges | other tests |\n|---|---|---|---|\n\
        | `a/one` | The first. | all |  |\n| `a/two` | The second. | bytes | `p::b::t`, `p::lib::u` |\n";

    fn told(table: &str, recipes: &[(&str, &str)], missing: &str) -> Vec<String> {
        let recipes = recipes
            .iter()
            .map(|(name, line)| ((*name).to_owned(), (*line).to_owned()))
            .collect();
        problems(&parse(table).unwrap(), &recipes, &mut |test| {
            (test == missing).then(|| "is missing".to_owned())
        })
    }

    #[test]
    fn a_whole_table_has_no_problems() {
        let one = ("a/one", "# The first.");
        assert!(told(TABLE, &[one], "").is_empty());
        assert!(told(TABLE, &[("a/one@case", "# The first."), one], "").is_empty());
    }

    #[test]
    fn each_kind_of_gap_is_seen() {
        let one = ("a/one", "# The first.");
        assert_eq!(told(TABLE, &[], ""), ["a/one: has no test"]);
        assert_eq!(
            told(TABLE, &[one], "p::lib::u"),
            ["a/two: p::lib::u: is missing"]
        );
        assert_eq!(
            told(TABLE, &[one, ("a/three@x", "# ?")], ""),
            ["a/three@x.trap: of no clause"]
        );
        assert_eq!(
            told(TABLE, &[("a/one", "# Another.")], ""),
            ["a/one.trap: does not begin with its clause"]
        );
        let twice = format!("{TABLE}| `a/one` | The first. | all |  |\n");
        assert_eq!(told(&twice, &[one], ""), ["a/one: there are two of it"]);
        assert!(parse("# nothing\n").is_err());
        assert!(parse("| `a/one` | The first. | all |\n").is_err());
        assert!(parse("| `a/one` | The first. |  | `p::b::t` |\n").is_err());
    }

    #[test]
    fn a_test_is_a_function_that_is_marked_so_and_not_ignored() {
        let text = "#[test]\nfn good() {}\n#[tokio::test]\nasync fn also() {}\nfn bare() {}\n\
            #[test]\n#[ignore = \"slow\"]\nfn slow() {}\n#[test]\nfn goodness() {}";
        assert_eq!(found(text, "good"), Ok(()));
        assert_eq!(found(text, "also"), Ok(()));
        assert_eq!(found(text, "bare"), Err("it is no test"));
        assert_eq!(found(text, "slow"), Err("it is ignored"));
        assert_eq!(found(text, "goo"), Err("there is no such function"));
    }

    #[test]
    fn a_test_that_does_not_exist_is_seen_in_the_sources() {
        let mut sources = Sources::new(cargo::workspace());
        let here = "msb-stitch::vmdk::three_hundred_files";
        assert_eq!(sources.problem(here), None);
        for missing in [
            "msb-stitch::vmdk::three_thousand_files",
            "msb-stitch::nothing::three_hundred_files",
            "nobody::vmdk::three_hundred_files",
            "three_hundred_files",
        ] {
            assert!(sources.problem(missing).is_some(), "{missing}");
        }
    }

    #[test]
    fn only_the_named_test_passes() {
        assert!(passes("test a/b@c             ... ok", "a/b@c"));
        assert!(passes("test tar::tests::x ... ok", "x"));
        assert!(!passes("test tar::tests::xx ... ok", "x"));
        assert!(!passes("test x ... FAILED", "x"));
        assert!(!passes("test x ... ignored", "x"));
    }
}
