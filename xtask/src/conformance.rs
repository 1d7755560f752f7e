//! `cargo xtask conformance`: every clause of `tests/conformance/clauses.md` has a test, every recipe a clause, and every promise of
//! `docs/security.md` a test.
//!
//! ```text
//!   clauses.md ──▶ | `id` | sentence | oracles | `package::binary::test`, ... |
//!        ├── tests/conformance/<id>.recipe, <id>@<case>.recipe     each begins with the sentence
//!        └── fn test in crates/<package> or tests        is there, is a test, is not ignored
//! ```

mod clauses;
mod files;
mod gaps;
mod promises;
mod run;
mod sources;

use std::collections::BTreeSet;
use std::fs;
use std::io::Write;

use clap::Args;

use crate::{Outcome, cargo};
use clauses::{Clause, Recipes};
use sources::Sources;

/// Whether to run them too.
#[derive(Debug, Default, Args)]
pub(crate) struct ConformanceOptions {
    /// Also run every test that is named, and see each of them pass
    #[arg(long)]
    run: bool,
}

/// Prints the clauses with their tests and oracles, and fails on a gap.
pub(crate) fn conformance(options: &ConformanceOptions, out: &mut dyn Write) -> Outcome {
    let root = cargo::workspace();
    let folder = root.join("tests/conformance");
    let clauses = clauses::parse(&fs::read_to_string(folder.join("clauses.md"))?)?;
    let recipes = clauses::recipes(&folder)?;
    let mut sources = Sources::new(root.clone());
    let mut problems = gaps::problems(&clauses, &recipes, &mut |test| sources.problem(test));
    let security = fs::read_to_string(root.join("docs/security.md"))?;
    let (unkept, promises) = promises::problems(&security, &mut |test| sources.problem(test));
    problems.extend(unkept);
    print(&clauses, &recipes, out)?;
    writeln!(out, "{promises} promises of docs/security.md")?;
    for problem in &problems {
        writeln!(out, "{problem}")?;
    }
    if !problems.is_empty() {
        return Err(format!("{} gaps", problems.len()).into());
    }
    if options.run {
        run::run(&clauses, &recipes, out)?;
    }
    Ok(())
}

fn print(clauses: &[Clause], recipes: &Recipes, out: &mut dyn Write) -> Outcome {
    let width = |of: fn(&Clause) -> usize| clauses.iter().map(of).max().unwrap_or(0);
    let (ids, oracles) = (
        width(|clause| clause.id.len()),
        width(|clause| clause.oracles.len()),
    );
    let mut others = BTreeSet::new();
    for clause in clauses {
        let own = clause.cases(recipes);
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
            "{:<ids$}  {:<oracles$}  {}",
            clause.id,
            clause.oracles,
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
