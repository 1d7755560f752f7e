//! Checks the voice of what people read (CONTRIBUTING.md, "House style" and "Vocabulary"): doc comments, Markdown pages, error texts and
//! help texts.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod docs;
mod texts;
mod vocabulary;

use std::fs;
use std::path::{Path, PathBuf};

use integration_tests::workspace;

use docs::{FORBIDDEN, LINES_A_RARE_WORD, RARE, docs, faults, has_word};
use vocabulary::Vocabulary;

/// Returns every source file of the product, without test modules.
fn sources() -> Vec<PathBuf> {
    let crates = list(&workspace::root().join("crates"));
    sources_in(crates.iter().map(|folder| folder.join("src")).collect())
}

/// Returns every source file of the product and of the maintainers' commands, without test modules.
fn sources_and_commands() -> Vec<PathBuf> {
    let xtask = workspace::root().join("xtask");
    let mut files = sources();
    files.extend(sources_in(vec![xtask.join("src"), xtask.join("bench/src")]));
    files
}

fn sources_in(mut pending: Vec<PathBuf>) -> Vec<PathBuf> {
    let mut files = Vec::new();
    while let Some(path) = pending.pop() {
        let name = path.file_name().expect("a listed path has a name");
        if path.is_dir() && name != "tests" {
            pending.extend(list(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") && name != "tests.rs"
        {
            files.push(path);
        }
    }
    files.sort();
    files
}

/// Returns the paths of a folder's entries.
fn list(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).expect("the folder can be read");
    entries
        .map(|entry| entry.expect("the folder can be read").path())
        .collect()
}

#[test]
fn doc_comments_name_no_persons_and_functions_begin_with_a_verb() {
    let (mut wrong, mut lines, mut rare) = (Vec::new(), 0, Vec::new());
    for path in sources() {
        let source = fs::read_to_string(&path).expect("a source file is text");
        let docs = docs(&source);
        let found = faults(&docs).into_iter();
        wrong.extend(found.map(|(line, fault)| format!("{}:{line}: {fault}", path.display())));
        for text in docs.iter().flat_map(|doc| &doc.lines) {
            lines += 1;
            if has_word(text, &RARE) {
                rare.push(format!("{}: {text}", path.display()));
            }
        }
    }
    assert!(lines > 1000, "only {lines} doc lines were found");
    assert!(
        wrong.is_empty(),
        "{} faults:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
    assert!(
        rare.len() * LINES_A_RARE_WORD < lines,
        "{RARE:?} in {} of {lines} doc lines:\n{}",
        rare.len(),
        rare.join("\n")
    );
}

/// Fails if a text contains a word for a person or a word that the vocabulary replaces.
fn assert_voice(texts: &[(String, String)], least: usize) {
    assert_vocabulary(texts, least);
    let is_wrong =
        |text: &&(String, String)| has_word(&text.1, &FORBIDDEN) || has_word(&text.1, &RARE);
    let wrong: Vec<_> = texts.iter().filter(is_wrong).collect();
    assert!(wrong.is_empty(), "persons for machines: {wrong:#?}");
}

/// Fails if a text contains a word that the vocabulary replaces.
fn assert_vocabulary(texts: &[(String, String)], least: usize) {
    let page = fs::read_to_string(workspace::root().join("CONTRIBUTING.md")).unwrap();
    let vocabulary = Vocabulary::read(&page);
    assert!(texts.len() > least, "only {} texts were found", texts.len());
    let mut wrong = Vec::new();
    for (place, text) in texts {
        for (word, instead) in vocabulary.faults(text) {
            wrong.push(format!("{place}: `{word}`, write {instead}: {text}"));
        }
    }
    assert!(
        wrong.is_empty(),
        "{} faults:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}

#[test]
fn pages_use_the_vocabulary() {
    let root = workspace::root();
    let mut pages: Vec<PathBuf> = ["docs", "tests/conformance"]
        .iter()
        .flat_map(|folder| list(&root.join(folder)))
        .chain(list(&root))
        .chain(
            list(&root.join("crates"))
                .iter()
                .map(|folder| folder.join("README.md")),
        )
        .filter(|path| {
            path.extension().is_some_and(|extension| extension == "md") && path.is_file()
        })
        .collect();
    pages.sort();
    let mut lines = Vec::new();
    for page in &pages {
        for (line, text) in texts::markdown(&fs::read_to_string(page).unwrap()) {
            lines.push((format!("{}:{line}", page.display()), text));
        }
    }
    assert_voice(&lines, 500);
}

#[test]
fn errors_and_help_use_the_vocabulary() {
    let mut all = Vec::new();
    for source in sources_and_commands() {
        let parsed = texts::attributes(&fs::read_to_string(&source).unwrap()).unwrap();
        let place = source.display().to_string();
        all.extend(parsed.into_iter().map(|text| (place.clone(), text)));
    }
    assert_voice(&all, 300);
}

#[test]
fn doc_comments_use_the_vocabulary() {
    let mut all = Vec::new();
    for source in sources_and_commands() {
        let text = fs::read_to_string(&source).unwrap();
        for doc in docs(&text) {
            let place = format!("{}:{}", source.display(), doc.line);
            let prose = texts::markdown(&doc.lines.join("\n")).into_iter();
            all.extend(prose.map(|(_, text)| (place.clone(), text)));
        }
    }
    assert_vocabulary(&all, 1000);
}
