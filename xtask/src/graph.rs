//! `cargo xtask graph`: which crates depend on which, and which files of a crate import which.

mod cycles;
mod modules;

use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;
use std::fs;
use std::io::Write;

use clap::Args;
use serde_json::Value;

use crate::{Outcome, cargo};

/// Whether to compare.
#[derive(Debug, Default, Args)]
pub(crate) struct GraphOptions {
    /// Fail where the workspace is not as ARCHITECTURE.md draws it
    #[arg(long)]
    pub(crate) check: bool,
}

/// What the EROFS family must not reach, however far down.
const FOREIGN_TO_EROFS: &[&str] = &[
    "tokio",
    "reqwest",
    "hyper",
    "oci-spec",
    "astral-tokio-tar",
    "rustls",
];
/// Which `msb-*` crates a library crate of the middle may know. The facade and what lies above it may know all.
const MAY_KNOW: &[(&str, &[&str])] = &[
    ("msb-oci", &[]),
    ("msb-budget", &[]),
    ("msb-sidecar", &[]),
    ("msb-platform", &["msb-oci"]),
    ("msb-credentials", &["msb-oci"]),
    ("msb-hosts", &["msb-oci"]),
    ("msb-registry", &["msb-oci"]),
    ("msb-store", &["msb-oci"]),
    ("msb-layer", &["msb-budget", "msb-oci", "msb-sidecar"]),
    ("msb-stitch", &["msb-budget", "msb-oci", "msb-sidecar"]),
];
/// Who may depend on the testkit other than for its own tests.
const TESTKIT_USERS: &[&str] = &["xtask", "integration-tests"];
const TESTKIT: &str = "msb-testkit";

/// The crates, and who depends on whom.
#[derive(Debug, Default)]
struct Graph {
    /// Crate to the crates of the workspace that it depends on, tests aside.
    crates: BTreeMap<String, BTreeSet<String>>,
    /// Crate to all packages below it, tests aside.
    below: BTreeMap<String, BTreeSet<String>>,
}

/// Prints the crates by layers, or holds them against the drawing.
pub(crate) fn graph(options: &GraphOptions, out: &mut dyn Write) -> Outcome {
    let graph = Graph::read(&cargo::metadata()?)?;
    if !options.check {
        out.write_all(graph.drawing().as_bytes())?;
        return Ok(());
    }
    let path = cargo::workspace().join("ARCHITECTURE.md");
    let text = fs::read_to_string(path)
        .map_err(|error| format!("cannot read ARCHITECTURE.md: {error}"))?;
    let mut problems = graph.problems(&text);
    problems.extend(import_cycles()?);
    for problem in &problems {
        writeln!(out, "{problem}")?;
    }
    if problems.is_empty() {
        let crates = graph.crates.len();
        writeln!(out, "{crates} crates, as drawn; no import cycle")?;
        return Ok(());
    }
    write!(out, "the crates as they are:\n{}", graph.drawing())?;
    Err(format!("{} problems", problems.len()).into())
}

/// A line for each group of files of a published crate that import each other.
fn import_cycles() -> Result<Vec<String>, Box<dyn Error>> {
    let mut lines = Vec::new();
    let mut crates = fs::read_dir(cargo::workspace().join("crates"))?
        .map(|entry| Ok(entry?.path()))
        .collect::<Result<Vec<_>, std::io::Error>>()?;
    crates.sort();
    for folder in crates {
        let roots = ["src/lib.rs", "src/main.rs"].map(|root| folder.join(root));
        for root in roots.iter().filter(|root| root.is_file()) {
            for cycle in cycles::cycles(&modules::Modules::read(root)?) {
                let files: Vec<String> = cycle.iter().map(|module| module.join("::")).collect();
                let name = folder.file_name().unwrap_or_default().to_string_lossy();
                lines.push(format!("{name}: import cycle of {}", files.join(", ")));
            }
        }
    }
    Ok(lines)
}

impl Graph {
    fn read(metadata: &Value) -> Result<Graph, Box<dyn Error>> {
        let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let names: BTreeMap<String, String> = list(&metadata["packages"])
            .iter()
            .map(|package| (text(&package["id"]), text(&package["name"])))
            .collect();
        // Package to packages, but for its tests.
        let mut edges: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for node in list(&metadata["resolve"]["nodes"]) {
            let is_used = |dep: &&Value| {
                list(&dep["dep_kinds"])
                    .iter()
                    .any(|kind| kind["kind"] != "dev")
            };
            let deps = list(&node["deps"])
                .iter()
                .filter(is_used)
                .map(|dep| text(&dep["pkg"]))
                .collect();
            edges.insert(text(&node["id"]), deps);
        }
        let members: BTreeSet<String> = list(&metadata["workspace_members"])
            .iter()
            .map(text)
            .collect();
        let mut graph = Graph::default();
        for member in &members {
            let mut below = BTreeSet::new();
            let mut open = vec![member];
            while let Some(package) = open.pop() {
                for dependency in edges.get(package).into_iter().flatten() {
                    if below.insert(dependency) {
                        open.push(dependency);
                    }
                }
            }
            let name = |id: &String| names.get(id).cloned().unwrap_or_default();
            let direct = edges
                .get(member)
                .into_iter()
                .flatten()
                .filter(|id| members.contains(*id));
            graph
                .crates
                .insert(name(member), direct.map(name).collect());
            graph
                .below
                .insert(name(member), below.into_iter().map(name).collect());
        }
        if graph.crates.is_empty() {
            Err("cargo metadata names no crates".into())
        } else {
            Ok(graph)
        }
    }

    /// The layers that follow from the dependencies, from the top.
    fn drawing(&self) -> String {
        let mut layers: BTreeMap<usize, Vec<&str>> = BTreeMap::new();
        for name in self.crates.keys() {
            layers.entry(self.depth(name, 0)).or_default().push(name);
        }
        let line =
            |(layer, names): (&usize, &Vec<&str>)| format!(" L{layer}   {}\n", names.join("  "));
        layers.iter().rev().map(line).collect()
    }

    fn depth(&self, name: &str, seen: usize) -> usize {
        // Cargo allows no cycle but through tests, which are left out; the bound is for a workspace that it does not know.
        let below = self
            .crates
            .get(name)
            .into_iter()
            .flatten()
            .filter(|_| seen < self.crates.len());
        below
            .map(|dependency| self.depth(dependency, seen + 1) + 1)
            .max()
            .unwrap_or_default()
    }

    /// Where the workspace is not as the text draws it.
    fn problems(&self, text: &str) -> Vec<String> {
        let layers = drawn_layers(text);
        let mut problems = Vec::new();
        for name in layers
            .keys()
            .filter(|name| !self.crates.contains_key(*name))
        {
            problems.push(format!("{name} is drawn and does not exist"));
        }
        for (name, dependencies) in &self.crates {
            let Some(layer) = layers.get(name) else {
                problems.push(format!("{name} is not drawn"));
                continue;
            };
            for dependency in dependencies {
                if dependency == TESTKIT {
                    if !TESTKIT_USERS.contains(&name.as_str()) {
                        problems.push(format!(
                            "{name} depends on {TESTKIT} other than for its tests"
                        ));
                    }
                } else if layers.get(dependency).is_some_and(|below| below >= layer) {
                    problems.push(format!(
                        "{name} (L{layer}) depends on {dependency}, which is not below it"
                    ));
                }
            }
            problems.extend(self.strangers(name));
            let is_library = *layer < 5;
            if is_library && !text.contains(&format!("| {name} |")) {
                problems.push(format!("{name} has no row in the table"));
            }
        }
        problems
    }

    /// What this crate knows and must not.
    fn strangers(&self, name: &str) -> Vec<String> {
        let below = self.below.get(name).into_iter().flatten();
        let is_erofs = name.starts_with("erofs-") || name == "fs-tree";
        let allowed = MAY_KNOW
            .iter()
            .find(|(of, _)| *of == name)
            .map(|(_, known)| *known);
        let is_strange = |known: &&String| {
            let is_msb = known.starts_with("msb-") || *known == "microsandbox-image";
            let is_foreign = is_msb || FOREIGN_TO_EROFS.contains(&known.as_str());
            is_erofs && is_foreign
                || is_msb && allowed.is_some_and(|allowed| !allowed.contains(&known.as_str()))
        };
        below
            .filter(is_strange)
            .map(|known| format!("{name} must not know {known}"))
            .collect()
    }
}

/// Crate to layer, of the fenced block whose lines begin with `L0`, `L1` and so on. What stands in parentheses is no crate.
fn drawn_layers(text: &str) -> BTreeMap<String, usize> {
    let mut layers = BTreeMap::new();
    let mut is_fenced = false;
    for line in text.lines() {
        if line.trim_start().starts_with("```") {
            is_fenced = !is_fenced;
            continue;
        }
        let mut words = line.split_whitespace();
        let layer = words
            .next()
            .and_then(|word| word.strip_prefix('L'))
            .and_then(|layer| layer.parse().ok());
        let (true, Some(layer)) = (is_fenced, layer) else {
            continue;
        };
        let mut depth = 0;
        for word in words {
            depth += word.matches('(').count();
            if depth == 0 {
                let name = if word == "tests/" {
                    "integration-tests"
                } else {
                    word
                };
                layers.insert(name.to_owned(), layer);
            }
            depth = depth.saturating_sub(word.matches(')').count());
        }
    }
    layers
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "x\n```\n L2   top (bin t)   tests/\n L1  erofs-x  (a, b c)\n L0   msb-oci\n```\n| erofs-x | | |\n| top | | |\n| msb-oci | |\n| integration-tests | |";

    fn graph(edges: &[(&str, &[&str])]) -> Graph {
        let set = |names: &[&str]| {
            names
                .iter()
                .map(|name| (*name).to_owned())
                .collect::<BTreeSet<_>>()
        };
        let mut graph = Graph::default();
        for (name, below) in edges {
            graph.crates.insert((*name).to_owned(), set(below));
            graph.below.insert((*name).to_owned(), set(below));
        }
        graph
    }

    #[test]
    fn parentheses_name_no_crates() {
        let names: Vec<_> = drawn_layers(TEXT).into_iter().collect();
        let expected = [
            ("erofs-x", 1),
            ("integration-tests", 2),
            ("msb-oci", 0),
            ("top", 2),
        ];
        assert_eq!(
            names,
            expected.map(|(name, layer)| (name.to_owned(), layer))
        );
    }

    #[test]
    fn an_arrow_that_is_not_drawn_is_seen() {
        let good = graph(&[
            ("top", &["erofs-x"]),
            ("integration-tests", &[]),
            ("erofs-x", &[]),
            ("msb-oci", &[]),
        ]);
        assert_eq!(good.problems(TEXT), Vec::<String>::new());
        let up = graph(&[
            ("top", &[]),
            ("integration-tests", &[]),
            ("erofs-x", &["top"]),
            ("msb-oci", &[]),
        ]);
        assert!(
            up.problems(TEXT)[0].contains("not below"),
            "{:?}",
            up.problems(TEXT)
        );
        let strange = graph(&[
            ("top", &[]),
            ("integration-tests", &[]),
            ("erofs-x", &["msb-oci"]),
            ("msb-oci", &[]),
        ]);
        assert_eq!(strange.problems(TEXT), ["erofs-x must not know msb-oci"]);
        let new = graph(&[("top", &[]), ("integration-tests", &[]), ("new", &[])]);
        assert_eq!(new.problems(TEXT).len(), 3, "{:?}", new.problems(TEXT));
    }
}
