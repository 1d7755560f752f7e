//! The table of clauses, and the recipes that belong to them.

use std::collections::BTreeMap;
use std::error::Error;
use std::fs;
use std::path::Path;

use super::files::files;

/// A line of the table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Clause {
    pub(super) id: String,
    pub(super) sentence: String,
    pub(super) oracles: String,
    /// `package::binary::test`
    pub(super) tests: Vec<String>,
}

/// Every recipe by the name of its test, and its first line.
pub(super) type Recipes = BTreeMap<String, String>;

impl Clause {
    /// The recipes of this clause.
    pub(super) fn cases<'a>(&self, recipes: &'a Recipes) -> Vec<&'a String> {
        let is_its = |name: &&String| name.split('@').next() == Some(&self.id);
        recipes.keys().filter(is_its).collect()
    }
}

/// The lines of the table.
pub(super) fn parse(text: &str) -> Result<Vec<Clause>, Box<dyn Error>> {
    let mut clauses = Vec::new();
    for line in text.lines().filter(|line| line.starts_with("| `")) {
        let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
        let [id, sentence, oracles, tests] = cells[..] else {
            return Err(format!("not four cells: {line}").into());
        };
        if sentence.is_empty() || oracles.is_empty() {
            return Err(format!("an empty cell: {line}").into());
        }
        let tests = tests
            .split(',')
            .map(|test| test.trim().trim_matches('`').to_owned())
            .filter(|test| !test.is_empty());
        clauses.push(Clause {
            id: id.trim_matches('`').to_owned(),
            sentence: sentence.to_owned(),
            oracles: oracles.to_owned(),
            tests: tests.collect(),
        });
    }
    if clauses.is_empty() {
        return Err("no clauses".into());
    }
    Ok(clauses)
}

/// All recipes below a folder.
pub(super) fn recipes(folder: &Path) -> Result<Recipes, Box<dyn Error>> {
    let mut all = BTreeMap::new();
    for path in files(folder)? {
        let name = path.strip_prefix(folder)?.to_string_lossy().into_owned();
        let first = || -> Result<String, Box<dyn Error>> {
            let text = fs::read_to_string(&path)?;
            Ok(text.lines().next().unwrap_or_default().to_owned())
        };
        match name.strip_suffix(".recipe") {
            Some(name) => drop(all.insert(name.to_owned(), first()?)),
            None if name == "clauses.md" => {}
            None => return Err(format!("tests/conformance/{name} is no recipe").into()),
        }
    }
    Ok(all)
}
