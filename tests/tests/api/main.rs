//! The public signatures of the published crates, read from their source.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod names;
mod read;
mod signatures;
mod source;

use std::collections::BTreeSet;
use std::fs;

use names::{Id, Target, Workspace};

const FACADE: &str = "microsandbox_image";

/// Returns the items among targets.
fn items(targets: &BTreeSet<Target>) -> impl Iterator<Item = &Id> {
    targets.iter().filter_map(|target| match target {
        Target::Item(id) => Some(id),
        _ => None,
    })
}

fn show(id: &Id) -> String {
    let names = id.module.iter().chain([&id.name]);
    let path: Vec<&str> = names.map(String::as_str).collect();
    format!("{}::{}", id.krate, path.join("::"))
}

/// Returns what is wrong with the signatures of the items that users of `krate` can name: types that lead nowhere, and those that
/// `is_wrong` refuses.
fn faults(workspace: &Workspace, krate: &str, is_wrong: impl Fn(&Target) -> bool) -> Vec<String> {
    let nameable = workspace.nameable(krate);
    assert!(!nameable.is_empty(), "{krate} has no public item");
    let mut faults = Vec::new();
    for id in items(&nameable) {
        for mention in signatures::mentions(workspace, id) {
            let path = mention.path.join("::");
            match workspace.resolve(&id.krate, &mention.module, &mention.path) {
                None => faults.push(format!("{}: {path} was not found", show(id))),
                Some(target) if is_wrong(&target) => {
                    faults.push(format!("{}: {path}", show(id)));
                }
                Some(_) => {}
            }
        }
    }
    faults
}

#[test]
fn every_type_in_a_signature_of_the_facade_can_be_named_through_it() {
    let (workspace, _) = read::workspace().unwrap();
    let nameable = workspace.nameable(FACADE);
    let is_wrong = |target: &Target| {
        matches!(target, Target::Item(id) if workspace.is_public(id)) && !nameable.contains(target)
    };
    let faults = faults(&workspace, FACADE, is_wrong);
    assert!(
        faults.is_empty(),
        "{} types cannot be named through {FACADE}:\n{}",
        faults.len(),
        faults.join("\n")
    );
}

#[test]
fn no_signature_has_a_type_of_a_foreign_crate_before_its_version_1() {
    let (workspace, unstable) = read::workspace().unwrap();
    let is_wrong = |target: &Target| matches!(target, Target::Foreign { krate, .. } if unstable.contains(krate));
    let mut all = Vec::new();
    for krate in workspace.crates.keys() {
        all.extend(faults(&workspace, krate, is_wrong));
    }
    assert!(
        all.is_empty(),
        "{} types of 0.x crates:\n{}",
        all.len(),
        all.join("\n")
    );
}

#[test]
fn types_are_found_in_every_kind_of_signature() {
    let folder = tempfile::tempdir().unwrap();
    let mut workspace = Workspace::default();
    let mut add = |name: &str, text: &str| {
        let root = folder.path().join(name).join("lib.rs");
        fs::create_dir_all(root.parent().unwrap()).unwrap();
        fs::write(&root, text).unwrap();
        let krate = source::Crate::read(&root).unwrap();
        workspace.crates.insert(name.to_owned(), krate);
        let foreign = BTreeSet::from(["old".to_owned()]);
        workspace.foreign.insert(name.to_owned(), foreign);
    };
    add(
        "below",
        "mod inner { pub struct Hidden; pub struct Shown(pub Hidden, Private); struct Private; }
         pub use inner::{Hidden, Shown};
         #[cfg(feature = \"extra\")] impl From<old::Thing> for Shown {}
         pub struct Other; pub struct Third; pub trait Bound {}",
    );
    add(
        "facade",
        "pub use below::Shown; pub use below::Bound as Renamed; use old::Thing as Theirs;
         impl Shown2 { pub fn method<T: Renamed>(&self, _: T) -> Vec<below::Other> {} fn own(&self, _: below::Third) {} }
         pub struct Shown2 { field: below::Third }
         pub trait Public { type Made: Iterator<Item = Self>; fn f(_: &Theirs) -> Missing; }
         impl TryFrom<u8> for Shown2 { type Error = below::Third; }",
    );
    let nameable = workspace.nameable("facade");
    let is_hidden = |target: &Target| {
        matches!(target, Target::Item(id) if workspace.is_public(id)) && !nameable.contains(target)
    };
    let expected = [
        "below::inner::Shown: Hidden",
        "facade::Public: Missing was not found",
        "facade::Shown2: below::Other",
        "facade::Shown2: below::Third",
    ];
    assert_eq!(faults(&workspace, "facade", is_hidden), expected);
    let is_old = |target: &Target| matches!(target, Target::Foreign { .. });
    let expected = [
        "facade::Public: Missing was not found",
        "facade::Public: Theirs",
    ];
    assert_eq!(faults(&workspace, "facade", is_old), expected);
}
