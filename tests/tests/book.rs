//! The pages of `docs/` as a book: its order, and the links between its pages.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use integration_tests::workspace;
use msb_testkit::oracle::{Tool, require};

/// Builds a book with mdBook's own Markdown as its output. The HTML of Debian's mdBook needs icons of another package.
fn build(pages: &Path, book: &Path) -> Output {
    let mut command = Command::new(require(Tool::Mdbook));
    command.arg("build").arg(pages).arg("--dest-dir").arg(book);
    command.env("MDBOOK_OUTPUT", r#"{"markdown": {}}"#);
    command.output().unwrap()
}

/// Returns the names of the Markdown pages.
fn pages(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut pages: Vec<_> = names
        .filter_map(|name| name.strip_suffix(".md").map(str::to_owned))
        .filter(|name| name != "SUMMARY")
        .collect();
    pages.sort();
    pages
}

#[test]
fn every_page_is_in_the_book() {
    let folder = tempfile::tempdir().unwrap();
    let docs = workspace::root().join("docs");
    let output = build(&docs, folder.path());
    assert!(output.status.success(), "{output:?}");
    let log = String::from_utf8_lossy(&output.stderr);
    assert!(!log.contains("WARN") && !log.contains("ERROR"), "{log}");
    let pages = pages(&docs);
    assert!(pages.len() > 10, "{pages:?}");
    for page in pages {
        let rendered = folder.path().join(format!("{page}.md"));
        let text = fs::read_to_string(&rendered).unwrap_or_else(|error| panic!("{page}: {error}"));
        for link in text.split("](").skip(1) {
            let target = link.split([')', '#']).next().unwrap_or_default();
            let is_page = !target.contains("://") && !target.is_empty();
            assert!(
                !is_page || docs.join(target).exists(),
                "{page}: {target} does not exist"
            );
        }
    }
}

#[test]
fn a_summary_with_a_missing_page_is_no_book() {
    let folder = tempfile::tempdir().unwrap();
    let docs = workspace::root().join("docs");
    fs::copy(docs.join("book.toml"), folder.path().join("book.toml")).unwrap();
    fs::write(
        folder.path().join("SUMMARY.md"),
        "- [Missing](missing.md)\n",
    )
    .unwrap();
    let output = build(folder.path(), &folder.path().join("out"));
    assert!(!output.status.success());
}
