//! `cargo xtask docs`.

use std::fs;
use std::io::Write;

use clap::CommandFactory;

use crate::{Arguments, Outcome, cargo};

/// Builds the documentation with every warning an error, and checks that the commands that the README names exist.
pub(crate) fn docs(out: &mut dyn Write) -> Outcome {
    let path = cargo::workspace().join("README.md");
    let readme =
        fs::read_to_string(&path).map_err(|error| format!("cannot read README.md: {error}"))?;
    for wanted in ["demo", "test"] {
        if !readme.contains(&format!("cargo xtask {wanted}")) {
            return Err(format!("README.md does not name `cargo xtask {wanted}`").into());
        }
    }
    let arguments = Arguments::command();
    let mut named: Vec<&str> = commands(&readme).collect();
    named.sort_unstable();
    named.dedup();
    if let Some(unknown) = named
        .iter()
        .find(|name| arguments.find_subcommand(name).is_none())
    {
        return Err(
            format!("README.md names `cargo xtask {unknown}`, which does not exist").into(),
        );
    }
    writeln!(out, "README.md: {} commands, all there", named.len())?;
    let mut doc = cargo::cargo();
    doc.args([
        "doc",
        "--workspace",
        "--no-deps",
        "--document-private-items",
    ]);
    cargo::run(doc.env("RUSTDOCFLAGS", "-D warnings"))
}

/// The words behind each `cargo xtask`.
fn commands(text: &str) -> impl Iterator<Item = &str> {
    let is_name = |c: char| c.is_ascii_lowercase();
    text.split("cargo xtask ")
        .skip(1)
        .map(move |rest| rest.split(|c| !is_name(c)).next().unwrap_or_default())
        .filter(|name| !name.is_empty())
}

#[cfg(test)]
mod tests {
    #[test]
    fn commands_are_found_in_text_and_blocks() {
        let text = "run `cargo xtask demo`, or\n    cargo xtask test FILTER\ncargo xtask --help";
        assert_eq!(super::commands(text).collect::<Vec<_>>(), ["demo", "test"]);
    }
}
