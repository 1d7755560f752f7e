//! Reads the table of clauses and the recipes that belong to them.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use integration_tests::{Failure, workspace};

/// One row of the table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Clause {
    pub(crate) id: String,
    pub(crate) sentence: String,
    /// `package::binary::test`
    pub(crate) tests: Vec<String>,
}

/// The name of each recipe's test, and the first line of the recipe.
pub(crate) type Recipes = BTreeMap<String, String>;

impl Clause {
    /// Returns the names of this clause's recipes.
    pub(crate) fn cases<'a>(&self, recipes: &'a Recipes) -> Vec<&'a String> {
        let is_its = |name: &&String| name.split('@').next() == Some(&self.id);
        recipes.keys().filter(is_its).collect()
    }
}

/// Parses the rows of the table.
pub(crate) fn parse(text: &str) -> Result<Vec<Clause>, Failure> {
    let mut clauses = Vec::new();
    for line in text.lines().filter(|line| line.starts_with("| `")) {
        let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
        let [id, sentence, oracle, tests] = cells[..] else {
            return Err(format!("expected four cells: {line}").into());
        };
        if sentence.is_empty() || oracle.is_empty() {
            return Err(format!("empty cell: {line}").into());
        }
        let tests = tests
            .split(',')
            .map(|test| test.trim().trim_matches('`').to_owned())
            .filter(|test| !test.is_empty());
        clauses.push(Clause {
            id: id.trim_matches('`').to_owned(),
            sentence: sentence.to_owned(),
            tests: tests.collect(),
        });
    }
    if clauses.is_empty() {
        return Err("no clauses".into());
    }
    Ok(clauses)
}

/// Reads the first line of every recipe below a folder.
pub(crate) fn recipes(folder: &Path) -> Result<Recipes, Failure> {
    let mut all = BTreeMap::new();
    for path in workspace::files(folder)? {
        let name = path.strip_prefix(folder)?.to_string_lossy().into_owned();
        let first = || -> Result<String, Failure> {
            let text = fs::read_to_string(&path)?;
            Ok(text.lines().next().unwrap_or_default().to_owned())
        };
        match name.strip_suffix(".recipe") {
            Some(name) => drop(all.insert(name.to_owned(), first()?)),
            None if name == "clauses.md" => {}
            None => return Err(format!("tests/conformance/{name} is not a recipe").into()),
        }
    }
    Ok(all)
}
