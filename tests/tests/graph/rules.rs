//! The rules for dependencies: the layers drawn in `ARCHITECTURE.md`, and which crates must not know each other.

use std::collections::BTreeMap;

use crate::crates::Graph;

/// Packages that no crate of the EROFS family may depend on, directly or indirectly.
const FOREIGN_TO_EROFS: &[&str] = &[
    "tokio",
    "reqwest",
    "hyper",
    "oci-spec",
    "astral-tokio-tar",
    "rustls",
];
/// The `msb-*` crates that a library crate below the facade may depend on. The facade and the crates above it may depend on all.
const MAY_KNOW: &[(&str, &[&str])] = &[
    ("msb-oci", &[]),
    ("msb-budget", &[]),
    ("msb-sidecar", &[]),
    ("msb-platform", &["msb-oci"]),
    ("msb-credentials", &["msb-oci"]),
    ("msb-hosts", &["msb-oci"]),
    ("msb-registry", &["msb-oci"]),
    ("msb-ranges", &["msb-oci"]),
    ("msb-store", &["msb-oci"]),
    ("msb-layer", &["msb-budget", "msb-oci", "msb-sidecar"]),
    (
        "msb-stitch",
        &["msb-budget", "msb-oci", "msb-sidecar", "msb-verity"],
    ),
];
/// The crates that may depend on the test kit outside their dev-dependencies.
const TESTKIT_USERS: &[&str] = &["xtask", "integration-tests"];
const TESTKIT: &str = "msb-testkit";

/// Returns how the workspace differs from the drawing and the table in `text`.
pub(crate) fn problems(graph: &Graph, text: &str) -> Vec<String> {
    let layers = drawn_layers(text);
    let mut problems = Vec::new();
    for name in layers
        .keys()
        .filter(|name| !graph.crates.contains_key(*name))
    {
        problems.push(format!("{name} is drawn but does not exist"));
    }
    for (name, dependencies) in &graph.crates {
        let Some(layer) = layers.get(name) else {
            problems.push(format!("{name} is not drawn"));
            continue;
        };
        for dependency in dependencies {
            if dependency == TESTKIT {
                if !TESTKIT_USERS.contains(&name.as_str()) {
                    problems.push(format!(
                        "{name} depends on {TESTKIT} outside its dev-dependencies"
                    ));
                }
            } else if layers.get(dependency).is_some_and(|below| below >= layer) {
                problems.push(format!(
                    "{name} (L{layer}) depends on {dependency}, which is not below it"
                ));
            }
        }
        problems.extend(strangers(graph, name));
        let is_library = *layer < 5;
        if is_library && !text.contains(&format!("| {name} |")) {
            problems.push(format!("{name} has no row in the table"));
        }
    }
    problems
}

/// Returns the packages that this crate reaches and must not know.
fn strangers(graph: &Graph, name: &str) -> Vec<String> {
    let below = graph.below.get(name).into_iter().flatten();
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
/// Returns the layer of each crate in the fenced block whose lines begin with `L0`, `L1` and so on. Text in parentheses is a remark.
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
    use std::collections::BTreeSet;

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
    fn text_in_parentheses_names_no_crate() {
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
    fn a_dependency_that_is_not_drawn_is_a_problem() {
        let good = graph(&[
            ("top", &["erofs-x"]),
            ("integration-tests", &[]),
            ("erofs-x", &[]),
            ("msb-oci", &[]),
        ]);
        assert_eq!(problems(&good, TEXT), Vec::<String>::new());
        let up = graph(&[
            ("top", &[]),
            ("integration-tests", &[]),
            ("erofs-x", &["top"]),
            ("msb-oci", &[]),
        ]);
        assert!(
            problems(&up, TEXT)[0].contains("not below"),
            "{:?}",
            problems(&up, TEXT)
        );
        let strange = graph(&[
            ("top", &[]),
            ("integration-tests", &[]),
            ("erofs-x", &["msb-oci"]),
            ("msb-oci", &[]),
        ]);
        assert_eq!(problems(&strange, TEXT), ["erofs-x must not know msb-oci"]);
        let new = graph(&[("top", &[]), ("integration-tests", &[]), ("new", &[])]);
        assert_eq!(problems(&new, TEXT).len(), 3, "{:?}", problems(&new, TEXT));
    }
}
