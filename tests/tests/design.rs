//! `DESIGN.md` has a reason for every direct dependency, and for no other crate.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use integration_tests::metadata::{self, list, text};
use integration_tests::workspace;
use serde_json::Value;

/// The one direct dependency of the fuzz targets that the workspace does not have.
const FUZZER: &str = "libfuzzer-sys";

/// Direct dependencies on crates outside the workspace.
#[derive(Debug, Default, PartialEq)]
struct Dependencies {
    /// Those of the published crates.
    shipped: BTreeSet<String>,
    /// All others: of tests, benchmarks and tools.
    other: BTreeSet<String>,
}

/// Returns the dependencies as the manifests have them.
fn declared(metadata: &Value) -> Dependencies {
    let packages = list(&metadata["packages"]);
    let members = list(&metadata["workspace_members"]);
    let ours: Vec<&Value> = packages
        .iter()
        .filter(|package| members.contains(&package["id"]))
        .collect();
    let is_ours = |name: &str| ours.iter().any(|package| package["name"] == name);
    let crates = workspace::root().join("crates");
    let mut all = Dependencies::default();
    for package in &ours {
        let is_published = Path::new(text(&package["manifest_path"])).starts_with(&crates);
        for dependency in list(&package["dependencies"]) {
            let name = text(&dependency["name"]);
            if is_ours(name) {
                continue;
            }
            let is_shipped = is_published && dependency["kind"] != "dev";
            let set = if is_shipped {
                &mut all.shipped
            } else {
                &mut all.other
            };
            set.insert(name.to_owned());
        }
    }
    all.other.insert(FUZZER.to_owned());
    all.other.retain(|name| !all.shipped.contains(name));
    all
}

/// Returns the dependencies as the two tables have them: the quoted names in the first column.
fn documented(page: &str) -> Dependencies {
    let section = page.split("\n## Dependencies\n").nth(1).unwrap();
    let section = section.split("\n## ").next().unwrap();
    let (shipped, other) = section.split_once("\nOnly for tests").unwrap();
    Dependencies {
        shipped: first_column(shipped),
        other: first_column(other),
    }
}

fn first_column(table: &str) -> BTreeSet<String> {
    let cells = table
        .lines()
        .filter_map(|line| line.strip_prefix("| ")?.split(" |").next());
    let quoted = cells.flat_map(|cell| cell.split('`').skip(1).step_by(2));
    quoted.map(str::to_owned).collect()
}

#[test]
fn every_direct_dependency_has_a_reason() {
    let page = fs::read_to_string(workspace::root().join("DESIGN.md")).unwrap();
    let (declared, documented) = (declared(&metadata::read().unwrap()), documented(&page));
    assert!(declared.shipped.len() > 10, "{declared:?}");
    assert_eq!(declared, documented, "left: manifests, right: DESIGN.md");
    let fuzz = fs::read_to_string(workspace::root().join("fuzz/Cargo.toml")).unwrap();
    assert!(fuzz.contains(FUZZER));
}

#[test]
fn the_tables_are_read_by_their_first_column() {
    let page = "# x\n## Dependencies\n| dependency | why |\n|---|---|\n| `a`, `b-c`, fast | not `d` |\n\nOnly for tests:\n\n| `e` | |\n## Next\n| `f` | |\n";
    let set = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect();
    let expected = Dependencies {
        shipped: set(&["a", "b-c"]),
        other: set(&["e"]),
    };
    assert_eq!(documented(page), expected);
}
