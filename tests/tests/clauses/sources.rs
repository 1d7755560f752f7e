//! Looks up named tests in the sources of their binaries.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use integration_tests::workspace::files;

/// The sources of test binaries, each read once.
#[derive(Debug)]
pub(crate) struct Sources {
    root: PathBuf,
    /// From `package::binary` to its whole text, or `None` if it does not exist.
    read: BTreeMap<String, Option<String>>,
}

impl Sources {
    pub(crate) fn new(root: PathBuf) -> Self {
        Self {
            root,
            read: BTreeMap::new(),
        }
    }

    /// Returns what is wrong with the test `package::binary::name`.
    pub(crate) fn problem(&mut self, test: &str) -> Option<String> {
        let parts: Vec<&str> = test.split("::").collect();
        let [package, binary, name] = parts[..] else {
            return Some("is not of the form package::binary::test".to_owned());
        };
        let root = &self.root;
        let text = self
            .read
            .entry(format!("{package}::{binary}"))
            .or_insert_with(|| read(root, package, binary));
        match text {
            None => Some("the package or binary does not exist".to_owned()),
            Some(text) => found(text, name).err().map(str::to_owned),
        }
    }
}

fn read(root: &Path, package: &str, binary: &str) -> Option<String> {
    let package = match package {
        "integration-tests" => root.join("tests"),
        "msb-testkit" => root.join("tests/kit"),
        "xtask" => root.join("xtask"),
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

/// Checks that the text has a test function of this name that is not ignored.
fn found(text: &str, name: &str) -> Result<(), &'static str> {
    let mut verdict = Err("the function does not exist");
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
                verdict = Err("the test is ignored");
            } else if has("[test]") || has("::test") {
                return Ok(());
            } else {
                verdict = Err("the function is not a test");
            }
        }
        attributes.clear();
    }
    verdict
}

#[cfg(test)]
mod tests {
    use super::*;
    use integration_tests::workspace;

    #[test]
    fn a_test_has_the_attribute_and_is_not_ignored() {
        let text = "#[test]\nfn good() {}\n#[tokio::test]\nasync fn also() {}\nfn bare() {}\n\
            #[test]\n#[ignore = \"slow\"]\nfn slow() {}\n#[test]\nfn goodness() {}";
        assert_eq!(found(text, "good"), Ok(()));
        assert_eq!(found(text, "also"), Ok(()));
        assert_eq!(found(text, "bare"), Err("the function is not a test"));
        assert_eq!(found(text, "slow"), Err("the test is ignored"));
        assert_eq!(found(text, "goo"), Err("the function does not exist"));
    }

    #[test]
    fn missing_tests_are_found_in_the_sources() {
        let mut sources = Sources::new(workspace::root());
        let here = "msb-stitch::vmdk::three_hundred_files";
        assert_eq!(sources.problem(here), None);
        for missing in [
            "msb-stitch::vmdk::three_thousand_files",
            "msb-stitch::nothing::three_hundred_files",
            "nothing::vmdk::three_hundred_files",
            "three_hundred_files",
        ] {
            assert!(sources.problem(missing).is_some(), "{missing}");
        }
    }
}
