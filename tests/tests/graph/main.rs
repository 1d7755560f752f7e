//! Dependencies point down only: between the crates, as `ARCHITECTURE.md` draws them, and between the files of a crate.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod crates;
mod cycles;
mod modules;
mod rules;

use std::fs;

use integration_tests::workspace;

#[test]
fn the_crates_are_as_drawn() {
    let graph = crates::Graph::read().unwrap();
    let text = fs::read_to_string(workspace::root().join("ARCHITECTURE.md")).unwrap();
    let problems = rules::problems(&graph, &text);
    assert!(
        problems.is_empty(),
        "{}\nthe crates as they are:\n{}",
        problems.join("\n"),
        graph.drawing()
    );
}

#[test]
fn no_file_of_a_crate_is_in_an_import_cycle() {
    let mut cycles = Vec::new();
    for entry in fs::read_dir(workspace::root().join("crates")).unwrap() {
        let folder = entry.unwrap().path();
        let roots = ["src/lib.rs", "src/main.rs"].map(|root| folder.join(root));
        for root in roots.iter().filter(|root| root.is_file()) {
            let modules = modules::Modules::read(root).unwrap();
            for cycle in cycles::cycles(&modules) {
                let files: Vec<String> = cycle.iter().map(|module| module.join("::")).collect();
                cycles.push(format!("{}: {}", root.display(), files.join(", ")));
            }
        }
    }
    assert!(cycles.is_empty(), "import cycles:\n{}", cycles.join("\n"));
}
