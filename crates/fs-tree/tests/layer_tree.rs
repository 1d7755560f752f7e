//! The trees of single layers, stacked as overlayfs stacks directories, equal the merged tree.
//!
//! This does not hold for every tar, because a layer alone does not contain the layers below it. The random stacks do not contain
//! links into lower layers, symbolic or hard; markers whose directory is missing or hidden by the same layer; and opaque markers on
//! directories that the layer does not describe.

mod model;

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

use fs_tree::{Applied, LayerApplier, Metadata, Tree};
use proptest::test_runner::{Config, RngSeed, TestCaseError, TestRunner};

use model::*;

/// A directory in overlayfs.
type Directory = BTreeMap<String, Listed>;

#[test]
fn stacked_layer_trees_equal_the_merge() {
    let mut runner = TestRunner::new(Config {
        cases: 1_000,
        rng_seed: RngSeed::Fixed(2),
        failure_persistence: None,
        max_shrink_iters: 20_000,
        ..Config::default()
    });
    let cases = RefCell::new(Cases::default());
    let seen = RefCell::new(BTreeMap::<&str, usize>::new());
    runner
        .run(&stacks(), |stack| {
            let (stack, model) = without_leaning(&stack);
            cases.borrow_mut().add(&model.cases);
            let mut overlaid = Listing::default();
            for (n, layer) in stack.iter().enumerate() {
                let tree = layer_tree(layer);
                let mut seen = seen.borrow_mut();
                overlaid = overlay(&overlaid, &list_tree(&tree), n, &mut seen);
            }
            overlaid.name_groups();
            let merged = list_tree(&merge(&stack).expect("nothing in the stack is refused"));
            if overlaid == merged {
                Ok(())
            } else {
                Err(TestCaseError::fail(format!(
                    "{stack:#?}\nmerged\n{merged}overlaid\n{overlaid}"
                )))
            }
        })
        .unwrap_or_else(|failure| panic!("{failure}"));
    let seen = seen.into_inner();
    println!("{seen:#?}");
    for rule in [
        "directories merged",
        "implied over a directory",
        "opaque over a directory",
        "opaque over nothing",
        "replaced by a file",
        "file replaced by a directory",
        "whiteout of a directory",
        "whiteout of a file",
        "whiteout of nothing",
    ] {
        assert!(seen.contains_key(rule), "never met: {rule}");
    }
    cases.into_inner().report(&[
        // Cases that a layer alone cannot show.
        "hard link onto itself",
        "hard link over its own target",
        "hard link to a lower layer",
        "marker must not follow a symlink",
        "opaque marker on a file or link",
        "opaque marker on something missing",
        "parent is a symlink of a lower layer",
        "symlink loop",
        "whiteout below a file or link",
        "whiteout below something missing",
    ]);
}

fn layer_tree(layer: &[OwnedChange]) -> Tree {
    let mut tree = Tree::new();
    let mut applier = LayerApplier::new(&mut tree);
    for change in layer {
        let applied = change.with(|change| applier.apply(change));
        assert_eq!(applied.expect("the layer is sound"), Applied::Done);
    }
    tree
}

/// Removes from a stack, one by one, the changes that depend on lower layers.
fn without_leaning(stack: &[Vec<OwnedChange>]) -> (Vec<Vec<OwnedChange>>, Model) {
    let mut below = Model::new();
    let mut kept = Vec::new();
    for layer in stack {
        let mut layer = layer.clone();
        layer.retain(|change| match change.kind {
            OwnedKind::Whiteout => is_directory(&below, parent(&change.path)),
            OwnedKind::Opaque => change.path.is_empty() || is_directory(&below, &change.path),
            OwnedKind::Node { .. } | OwnedKind::HardLink { .. } => true,
        });
        let hidden: Vec<_> = layer
            .iter()
            .filter(|change| matches!(change.kind, OwnedKind::Whiteout | OwnedKind::Opaque))
            .map(|change| change.path.clone())
            .collect();
        layer.retain(|change| {
            !matches!(change.kind, OwnedKind::Whiteout)
                || !hidden
                    .iter()
                    .any(|hidden| is_below(parent(&change.path), hidden))
        });
        below = loop {
            let described: BTreeSet<_> = layer
                .iter()
                .filter(|change| change.is_directory())
                .map(|change| change.path.clone())
                .collect();
            layer.retain(|change| {
                !matches!(change.kind, OwnedKind::Opaque)
                    || change.path.is_empty()
                    || described.contains(&change.path)
            });
            let mut model = below.clone();
            model.note_order(&layer);
            model.begin_layer(&layer);
            let mut alone = Model::of_one_layer();
            let bad = layer.iter().position(|change| {
                alone.apply_alone(change).is_err()
                    || model.apply_entry(change).is_err()
                    || model.leaned_on_lower
            });
            match bad {
                Some(bad) => drop(layer.remove(bad)),
                None => break model,
            }
        };
        kept.push(layer);
    }
    (kept, below)
}

fn is_directory(model: &Model, path: &str) -> bool {
    matches!(model.at(&split(path)), Some(Node::Directory(_)))
}

fn parent(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(parent, _)| parent)
}

/// Returns the overlay of `upper` on `lower`. `n` makes the inode ids of the upper one unique.
fn overlay(
    lower: &Listing,
    upper: &Listing,
    n: usize,
    seen: &mut BTreeMap<&'static str, usize>,
) -> Listing {
    let mut merged: Directory = lower.0.clone();
    let mut hit = |rule| *seen.entry(rule).or_default() += 1;
    // Parents come before their contents, because a path sorts before its extensions by `/`.
    for path in by_depth(upper) {
        let mut new = upper.0[path].clone();
        let old = merged.get(path).map(|old| old.what.clone());
        let old_is_directory = matches!(old, Some(What::Directory { .. }));
        match &mut new.what {
            What::Whiteout => {
                hit(match old {
                    None => "whiteout of nothing",
                    Some(What::Directory { .. }) => "whiteout of a directory",
                    Some(_) => "whiteout of a file",
                });
                remove(&mut merged, path);
                continue;
            }
            What::Leaf(_) => {
                if old.is_some() {
                    hit("replaced by a file");
                }
                remove(&mut merged, path);
                new.first_name = format!("{n}:{}", new.first_name);
            }
            What::Directory { implied, opaque } => {
                if std::mem::take(opaque) {
                    hit(if old_is_directory {
                        "opaque over a directory"
                    } else {
                        "opaque over nothing"
                    });
                    if path.is_empty() && *implied {
                        // The root is never new: an opaque root without a description is the lower one.
                        let root = merged.get("").cloned();
                        merged.clear();
                        merged.extend(root.map(|root| (String::new(), root)));
                        merged.entry(String::new()).or_insert(new);
                        continue;
                    }
                    remove(&mut merged, path);
                } else if old_is_directory {
                    if *implied {
                        hit("implied over a directory");
                        continue;
                    }
                    hit("directories merged");
                } else {
                    if old.is_some() {
                        hit("file replaced by a directory");
                    }
                    remove(&mut merged, path);
                }
                if *implied {
                    assert_eq!(new.metadata, Metadata::IMPLIED);
                }
            }
        }
        merged.insert(path.clone(), new);
    }
    Listing(merged)
}

fn by_depth(listing: &Listing) -> Vec<&String> {
    let mut paths: Vec<_> = listing.0.keys().collect();
    paths.sort_by_key(|path| split(path).len());
    paths
}

fn is_below(path: &str, ancestor: &str) -> bool {
    match path.strip_prefix(ancestor) {
        Some(rest) if ancestor.is_empty() => !rest.is_empty(),
        Some(rest) => rest.starts_with('/'),
        None => false,
    }
}

/// Removes a path and everything below it.
fn remove(directory: &mut Directory, path: &str) {
    directory.retain(|other, _| other != path && !is_below(other, path));
}

#[test]
fn a_directory_has_one_name() {
    let mut tree = Tree::new();
    let mut merge = fs_tree::merge_layer(&mut tree, []);
    dir("d", 0o755)
        .with(|change| merge.apply(change))
        .expect("the layer is sound");
    let directory = tree.lookup(tree.root(), b"d").expect("it is there");
    let again = tree.link(directory, b"again", directory);
    assert_eq!(again, Err(fs_tree::TreeError::IsADirectory));
    assert_eq!(tree.entry_count(), 1);
}
