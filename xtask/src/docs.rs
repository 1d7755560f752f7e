//! `cargo xtask docs`.

use std::fs;
use std::io::Write;
use std::path::Path;

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
    cargo::run(doc.env("RUSTDOCFLAGS", "-D warnings"))?;
    let crates = cargo::workspace().join("crates");
    let mut broken = Vec::new();
    for entry in fs::read_dir(crates)? {
        let name = entry?.file_name().to_string_lossy().replace('-', "_");
        let pages = cargo::target_folder()?.join("doc").join(&name);
        // A program's pages are under its own name, and it re-exports nothing.
        if pages.exists() {
            broken_links(&pages, &name, &mut broken)?;
        }
    }
    if broken.is_empty() {
        return Ok(());
    }
    Err(format!("links that lead nowhere: {}", broken.join(", ")).into())
}

/// Adds the links of the pages below `folder` that rustdoc has left as text: those of an item that another crate re-exports, to an
/// item that it does not. Rustdoc gives no warning of these.
fn broken_links(folder: &Path, of_crate: &str, broken: &mut Vec<String>) -> Outcome {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            broken_links(&path, of_crate, broken)?;
        } else if path
            .extension()
            .is_some_and(|extension| extension == "html")
        {
            let page = fs::read_to_string(&path)?;
            // The links of a crate's own items are checked by rustdoc itself.
            if source_of(&page).is_some_and(|source| source != of_crate) {
                let links = unlinked(&page);
                broken.extend(links.map(|link| format!("{link} in {}", path.display())));
            }
        }
    }
    Ok(())
}

/// Returns the crate that defines the item of a page.
fn source_of(page: &str) -> Option<&str> {
    let (_, link) = page.split_once("class=\"src\" href=\"")?;
    let (_, path) = link.split_once("/src/")?;
    path.split('/').next()
}

/// Returns the links of a page that have no target. Whether those to other crates have one depends on the order of the build.
fn unlinked(page: &str) -> impl Iterator<Item = &str> {
    // Behind this come the docs of other people's traits.
    let own = page.split("id=\"blanket-implementations\"").next();
    let links = own.unwrap_or_default().split("[<code>").skip(1);
    links.filter_map(|rest| {
        let (link, _) = rest.split_once("</code>]")?;
        let first = link.split("::").next().unwrap_or_default();
        let is_crate = first != "crate" && first.starts_with(|c: char| c.is_ascii_lowercase());
        let is_path = link
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || matches!(c, ':' | '_'));
        (is_path && !is_crate).then_some(link)
    })
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
    fn a_page_names_the_crate_that_defines_its_item() {
        let page = r##"<a class="src" href="../src/fs_tree/change.rs.html#75">"##;
        assert_eq!(super::source_of(page), Some("fs_tree"));
    }

    #[test]
    fn links_that_are_text_are_found() {
        let page = "a [<code>crate::A</code>] <a><code>B</code></a> [<code>C::d</code>] [<code>msb_oci::e</code>] [<code>f(x)</code>]";
        assert_eq!(
            super::unlinked(page).collect::<Vec<_>>(),
            ["crate::A", "C::d"]
        );
    }

    #[test]
    fn commands_are_found_in_text_and_blocks() {
        let text = "run `cargo xtask demo`, or\n    cargo xtask test FILTER\ncargo xtask --help";
        assert_eq!(super::commands(text).collect::<Vec<_>>(), ["demo", "test"]);
    }
}
