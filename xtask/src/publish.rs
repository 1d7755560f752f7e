//! The step `publish` of CI: every published crate alone, with each of its features, and as its packages will be.

use std::error::Error;
use std::io::Write;
use std::path::Path;

use serde_json::Value;

use crate::{Outcome, cargo};

/// A crate of `crates/`.
#[derive(Debug, PartialEq)]
struct Published {
    name: String,
    features: Vec<String>,
}

/// Checks every crate by itself, without features and with each alone, and then runs what publishing does before the upload.
///
/// In a build of the workspace, a crate has every feature of its dependencies that another crate enables. Alone it has those that its
/// manifest names.
pub(crate) fn publish(out: &mut dyn Write) -> Outcome {
    for krate in published()? {
        let mut features = vec![String::new()];
        features.extend(krate.features);
        for feature in features {
            writeln!(out, "{} {feature}", krate.name)?;
            out.flush()?;
            let mut check = cargo::cargo();
            check.args(["check", "--quiet", "--no-default-features", "--package"]);
            cargo::run(check.arg(&krate.name).args(["--features", &feature]))?;
        }
    }
    // A developer's tree may have changes that are not committed. The packages are built by a test, as dependencies.
    let mut dry_run = cargo::cargo();
    dry_run.args(["publish", "--quiet", "--workspace", "--dry-run"]);
    cargo::run(dry_run.args(["--no-verify", "--allow-dirty"]))
}

/// Returns the published crates by name, with their features.
fn published() -> Result<Vec<Published>, Box<dyn Error>> {
    let crates = cargo::workspace().join("crates");
    let metadata = cargo::metadata()?;
    let packages = metadata["packages"]
        .as_array()
        .ok_or("cargo metadata names no packages")?;
    let mut all: Vec<Published> = packages
        .iter()
        .filter(|package| Path::new(text(&package["manifest_path"])).starts_with(&crates))
        .map(|package| Published {
            name: text(&package["name"]).to_owned(),
            features: features(&package["features"]),
        })
        .collect();
    all.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(all)
}

/// Returns the names of features but `default`.
fn features(object: &Value) -> Vec<String> {
    let names = object.as_object().into_iter().flat_map(|all| all.keys());
    names.filter(|name| *name != "default").cloned().collect()
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The most keywords and categories of a crate that crates.io accepts.
    const MOST: usize = 5;
    /// The most characters of a keyword.
    const LONGEST_KEYWORD: usize = 20;

    #[test]
    fn every_crate_has_its_features() {
        let all = published().unwrap();
        let folders = std::fs::read_dir(cargo::workspace().join("crates")).unwrap();
        assert_eq!(all.len(), folders.count());
        let writer = all.iter().find(|krate| krate.name == "erofs-writer");
        assert_eq!(writer.unwrap().features, ["xattr"]);
    }

    #[test]
    fn every_crate_has_the_metadata_of_a_published_one() {
        let metadata = cargo::metadata().unwrap();
        let crates = cargo::workspace().join("crates");
        for package in metadata["packages"].as_array().unwrap() {
            let manifest = Path::new(text(&package["manifest_path"]));
            let name = text(&package["name"]);
            if !manifest.starts_with(&crates) {
                let registries = package["publish"].as_array();
                assert!(registries.is_some_and(Vec::is_empty), "{name} is private");
                continue;
            }
            for member in ["description", "license", "repository", "rust_version"] {
                assert!(!text(&package[member]).is_empty(), "{name}: {member}");
            }
            for member in ["keywords", "categories"] {
                let words = package[member].as_array().unwrap();
                assert!((1..=MOST).contains(&words.len()), "{name}: {member}");
                let is_short = |word| text(word).len() <= LONGEST_KEYWORD;
                let is_valid = member != "keywords" || words.iter().all(is_short);
                assert!(is_valid, "{name}: {words:?}");
            }
            assert_eq!(text(&package["readme"]), "README.md", "{name}");
            let readme = std::fs::read_to_string(manifest.with_file_name("README.md")).unwrap();
            assert!(readme.starts_with(&format!("# {name}\n")), "{name}");
            let docs = &package["metadata"]["docs"]["rs"]["all-features"];
            assert_eq!(docs, true, "{name}: docs.rs");
        }
    }
}
