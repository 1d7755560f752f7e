//! The published libraries of the workspace, and the versions of the crates that they depend on.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use integration_tests::metadata::{self, list, text};
use integration_tests::{Failure, workspace};

use crate::names::Workspace;
use crate::source::Crate;

/// Reads the libraries below `crates/`. Returns the names of the foreign crates before version 1 too.
pub(crate) fn workspace() -> Result<(Workspace, BTreeSet<String>), Failure> {
    let metadata = metadata::read()?;
    let folder = workspace::root().join("crates");
    let mut libraries = BTreeMap::new();
    let mut versions = BTreeMap::new();
    for package in list(&metadata["packages"]) {
        versions.insert(text(&package["id"]), text(&package["version"]));
        let is_ours = Path::new(text(&package["manifest_path"])).starts_with(&folder);
        let targets = list(&package["targets"]).iter();
        for target in targets.filter(|_| is_ours) {
            if list(&target["kind"]).iter().any(|kind| kind == "lib") {
                libraries.insert(text(&package["id"]), target);
            }
        }
    }
    let mut all = Workspace::default();
    let mut unstable = BTreeSet::new();
    for node in list(&metadata["resolve"]["nodes"]) {
        let Some(target) = libraries.get(text(&node["id"])) else {
            continue;
        };
        let name = text(&target["name"]).replace('-', "_");
        let root = Path::new(text(&target["src_path"]));
        all.crates.insert(name.clone(), Crate::read(root)?);
        let foreign = list(&node["deps"]).iter();
        let foreign = foreign.filter(|dep| !libraries.contains_key(text(&dep["pkg"])));
        for dependency in foreign {
            let krate = text(&dependency["name"]).to_owned();
            if versions[text(&dependency["pkg"])].starts_with("0.") {
                unstable.insert(krate.clone());
            }
            all.foreign.entry(name.clone()).or_default().insert(krate);
        }
    }
    Ok((all, unstable))
}
