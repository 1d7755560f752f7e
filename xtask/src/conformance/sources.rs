//! Whether a named test is there, by the sources of its binary.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use super::files::files;

/// The sources of test binaries, read once each.
#[derive(Debug)]
pub(super) struct Sources {
    root: PathBuf,
    /// `package::binary` to all of its text.
    read: BTreeMap<String, Option<String>>,
}

impl Sources {
    pub(super) fn new(root: PathBuf) -> Self {
        Self {
            root,
            read: BTreeMap::new(),
        }
    }

    pub(super) fn problem(&mut self, test: &str) -> Option<String> {
        let parts: Vec<&str> = test.split("::").collect();
        let [package, binary, name] = parts[..] else {
            return Some("is not package::binary::test".to_owned());
        };
        let root = &self.root;
        let text = self
            .read
            .entry(format!("{package}::{binary}"))
            .or_insert_with(|| read(root, package, binary));
        match text {
            None => Some("there is no such package or binary".to_owned()),
            Some(text) => found(text, name).err().map(str::to_owned),
        }
    }
}

fn read(root: &Path, package: &str, binary: &str) -> Option<String> {
    let package = match package {
        "integration-tests" => root.join("tests"),
        "msb-testkit" => root.join("tests/kit"),
        _ => root.join("crates").join(package),
    };
    let paths = if binary == "lib" || binary == "bin" {
        files(&package.join("src")).ok()?
    } else {
        let file = package.join("tests").join(format!("{binary}.rs"));
        if file.exists() {
            vec![file]
        } else {
            files(&package.join("tests").join(binary)).ok()?
        }
    };
    let texts = paths.iter().map(fs::read_to_string);
    texts
        .collect::<Result<Vec<_>, _>>()
        .ok()
        .map(|texts| texts.join("\n"))
}

/// Whether there is a test function of this name that is not ignored.
fn found(text: &str, name: &str) -> Result<(), &'static str> {
    let mut verdict = Err("there is no such function");
    let mut attributes: Vec<&str> = Vec::new();
    for line in text.lines().map(str::trim) {
        if line.starts_with("#[") {
            attributes.push(line);
            continue;
        }
        let function = line.strip_prefix("async ").unwrap_or(line);
        if function
            .strip_prefix("fn ")
            .and_then(|rest| rest.strip_prefix(name))
            .is_some_and(|rest| rest.starts_with('('))
        {
            let has = |what: &str| attributes.iter().any(|line| line.contains(what));
            if has("ignore") {
                verdict = Err("it is ignored");
            } else if has("[test]") || has("::test") {
                return Ok(());
            } else {
                verdict = Err("it is no test");
            }
        }
        attributes.clear();
    }
    verdict
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cargo;

    #[test]
    fn a_test_is_a_function_that_is_marked_so_and_not_ignored() {
        let text = "#[test]\nfn good() {}\n#[tokio::test]\nasync fn also() {}\nfn bare() {}\n\
            #[test]\n#[ignore = \"slow\"]\nfn slow() {}\n#[test]\nfn goodness() {}";
        assert_eq!(found(text, "good"), Ok(()));
        assert_eq!(found(text, "also"), Ok(()));
        assert_eq!(found(text, "bare"), Err("it is no test"));
        assert_eq!(found(text, "slow"), Err("it is ignored"));
        assert_eq!(found(text, "goo"), Err("there is no such function"));
    }

    #[test]
    fn a_test_that_does_not_exist_is_seen_in_the_sources() {
        let mut sources = Sources::new(cargo::workspace());
        let here = "msb-stitch::vmdk::three_hundred_files";
        assert_eq!(sources.problem(here), None);
        for missing in [
            "msb-stitch::vmdk::three_thousand_files",
            "msb-stitch::nothing::three_hundred_files",
            "nobody::vmdk::three_hundred_files",
            "three_hundred_files",
        ] {
            assert!(sources.problem(missing).is_some(), "{missing}");
        }
    }
}
