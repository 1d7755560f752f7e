//! The step `docs` of CI: rustdoc without warnings and without links that have no target.

use std::fs;
use std::io::Write;
use std::path::Path;

use crate::{Outcome, cargo};

/// Builds the documentation with warnings as errors, then looks for links that rustdoc left as text.
///
/// The pages of earlier builds are removed first: with them rustdoc finds targets that it does not find in a fresh clone.
pub(crate) fn docs(_: &mut dyn Write) -> Outcome {
    let output = cargo::target_folder()?.join("doc");
    if output.exists() {
        fs::remove_dir_all(&output)?;
    }
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
        let pages = output.join(&name);
        // The pages of a program are under another name, and it re-exports nothing.
        if pages.exists() {
            broken_links(&pages, &name, &mut broken)?;
        }
    }
    if broken.is_empty() {
        return Ok(());
    }
    Err(format!("links without a target: {}", broken.join(", ")).into())
}

/// Adds the links of the pages below `folder` that rustdoc left as text. They stand on items that another crate re-exports and lead to
/// items that it does not re-export; rustdoc does not warn about them.
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
            // Rustdoc itself checks the links of a crate's own items.
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

/// Returns the links of a page that have no target. Links to other crates are left out: their target depends on the build order.
fn unlinked(page: &str) -> impl Iterator<Item = &str> {
    // The documentation of foreign traits follows.
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

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;
    use crate::Arguments;

    /// The pages for people, without the changelog: it names commands of the past.
    const PAGES: &[&str] = &[
        "README.md",
        "ARCHITECTURE.md",
        "CONTRIBUTING.md",
        "DESIGN.md",
        "docs",
        "tests/conformance",
    ];

    /// Returns the word after each `cargo xtask`.
    fn commands(text: &str) -> impl Iterator<Item = &str> {
        let is_name = |c: char| c.is_ascii_lowercase();
        text.split("cargo xtask ")
            .skip(1)
            .map(move |rest| rest.split(|c| !is_name(c)).next().unwrap_or_default())
            .filter(|name| !name.is_empty())
    }

    #[test]
    fn every_command_that_a_page_names_exists() {
        let root = integration_tests::workspace::root();
        let arguments = Arguments::command();
        for page in PAGES {
            let path = root.join(page);
            let files = if path.is_dir() {
                integration_tests::workspace::files(&path).unwrap()
            } else {
                vec![path]
            };
            for file in files {
                let is_page = file.extension().is_some_and(|name| name == "md");
                for name in commands(&fs::read_to_string(&file).unwrap()).filter(|_| is_page) {
                    assert!(
                        arguments.find_subcommand(name).is_some(),
                        "{}: `cargo xtask {name}` does not exist",
                        file.display()
                    );
                }
            }
        }
    }

    #[test]
    fn every_path_that_contributing_names_exists() {
        let root = integration_tests::workspace::root();
        let text = fs::read_to_string(root.join("CONTRIBUTING.md")).unwrap();
        let folders = [
            "crates/",
            "tests/tests/",
            "tests/kit/",
            "tests/conformance/",
        ];
        let is_path = |word: &&str| {
            let has_placeholder = word.contains(['<', ' ', '*']) || word.contains("NAME");
            folders.iter().any(|folder| word.starts_with(folder))
                && !has_placeholder
                && !word.contains("VERB")
        };
        let paths: Vec<&str> = text.split('`').filter(is_path).collect();
        assert!(paths.len() > 20, "{paths:?}");
        for path in paths {
            assert!(root.join(path).exists(), "{path} does not exist");
        }
    }

    #[test]
    fn the_readme_names_the_first_commands() {
        let path = integration_tests::workspace::root().join("README.md");
        let readme = fs::read_to_string(path).unwrap();
        for wanted in ["demo", "test"] {
            assert!(commands(&readme).any(|name| name == wanted), "{wanted}");
        }
    }

    #[test]
    fn the_book_has_every_page_and_its_links_lead_to_files() {
        let folder = integration_tests::workspace::root().join("docs");
        let mut linked = Vec::new();
        let pages = integration_tests::workspace::files(&folder).unwrap();
        let is_page =
            |path: &&std::path::PathBuf| path.extension().is_some_and(|name| name == "md");
        for page in pages.iter().filter(is_page) {
            let text = fs::read_to_string(page).unwrap();
            for link in text.split("](").skip(1) {
                let link = link.split([')', '#']).next().unwrap_or_default();
                let is_file = !link.is_empty() && !link.contains("://");
                let target = folder.join(link);
                assert!(!is_file || target.exists(), "{}: {link}", page.display());
                if page.ends_with("SUMMARY.md") {
                    linked.push(target);
                }
            }
        }
        for page in pages.iter().filter(is_page) {
            let is_in_book = linked.contains(page) || page.ends_with("SUMMARY.md");
            assert!(is_in_book, "SUMMARY.md lacks {}", page.display());
        }
    }

    #[test]
    fn a_page_names_the_crate_that_defines_its_item() {
        let page = r##"<a class="src" href="../src/fs_tree/change.rs.html#75">"##;
        assert_eq!(source_of(page), Some("fs_tree"));
    }

    #[test]
    fn links_left_as_text_are_found() {
        let page = "a [<code>crate::A</code>] <a><code>B</code></a> [<code>C::d</code>] [<code>msb_oci::e</code>] [<code>f(x)</code>]";
        assert_eq!(unlinked(page).collect::<Vec<_>>(), ["crate::A", "C::d"]);
    }

    #[test]
    fn commands_are_found_in_text_and_blocks() {
        let text = "run `cargo xtask demo`, or\n    cargo xtask test FILTER\ncargo xtask --help";
        assert_eq!(commands(text).collect::<Vec<_>>(), ["demo", "test"]);
    }
}
