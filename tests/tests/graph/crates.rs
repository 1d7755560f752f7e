//! The crates of the workspace and their dependencies, from `cargo metadata`.

use std::collections::{BTreeMap, BTreeSet};

use integration_tests::{Failure, metadata};
use serde_json::Value;

/// The dependencies between the crates of the workspace.
#[derive(Debug, Default)]
pub(crate) struct Graph {
    /// From each crate to the crates of the workspace that it depends on, without dev-dependencies.
    pub(crate) crates: BTreeMap<String, BTreeSet<String>>,
    /// From each crate to all packages that it reaches, without dev-dependencies.
    pub(crate) below: BTreeMap<String, BTreeSet<String>>,
}

impl Graph {
    /// Runs `cargo metadata` on the workspace.
    pub(crate) fn read() -> Result<Graph, Failure> {
        Self::parse(&metadata::read()?)
    }

    fn parse(metadata: &Value) -> Result<Graph, Failure> {
        let list = metadata::list;
        let text = |value: &Value| metadata::text(value).to_owned();
        let names: BTreeMap<String, String> = list(&metadata["packages"])
            .iter()
            .map(|package| (text(&package["id"]), text(&package["name"])))
            .collect();
        // From each package to the packages that it depends on, without dev-dependencies.
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

    /// Returns the layers that follow from the dependencies, the top one first.
    pub(crate) fn drawing(&self) -> String {
        let mut layers: BTreeMap<usize, Vec<&str>> = BTreeMap::new();
        for name in self.crates.keys() {
            layers.entry(self.depth(name, 0)).or_default().push(name);
        }
        let line =
            |(layer, names): (&usize, &Vec<&str>)| format!(" L{layer}   {}\n", names.join("  "));
        layers.iter().rev().map(line).collect()
    }

    fn depth(&self, name: &str, seen: usize) -> usize {
        // Cargo permits cycles only through dev-dependencies, which are left out; the bound also ends on any other graph.
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
}
