//! The conformance table and the promises of `docs/security.md`: every clause has a test, every recipe a clause, and every named
//! test exists and runs.
//!
//! ```text
//!   clauses.md ──▶ | `id` | clause | oracle | `package::binary::test`, ... |
//!        ├── tests/conformance/<id>.recipe, <id>@<case>.recipe     each begins with the clause
//!        └── fn test in crates/<package> or tests                  exists, is a test, is not ignored
//! ```
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod gaps;
mod promises;
mod sources;
mod table;

use std::fs;

use integration_tests::workspace;
use sources::Sources;

#[test]
fn every_clause_has_a_test_and_every_recipe_a_clause() {
    let root = workspace::root();
    let folder = root.join("tests/conformance");
    let text = fs::read_to_string(folder.join("clauses.md")).unwrap();
    let clauses = table::parse(&text).unwrap();
    let recipes = table::recipes(&folder).unwrap();
    let mut sources = Sources::new(root);
    let problems = gaps::problems(&clauses, &recipes, &mut |test| sources.problem(test));
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}

#[test]
fn every_promise_names_a_test() {
    let root = workspace::root();
    let text = fs::read_to_string(root.join("docs/security.md")).unwrap();
    let mut sources = Sources::new(root);
    let problems = promises::problems(&text, &mut |test| sources.problem(test));
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}
