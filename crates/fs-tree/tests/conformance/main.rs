//! One test for each known error of other tools with layers, each on the smallest stack that shows it.
//!
//! Expected trees have one line for each name: `path/ mode` for a directory, `path size` for a file, `path -> target` for a
//! symbolic link, `=first x count` for an inode with several names. The model must agree too.

mod implied;
mod links;
#[path = "../model/mod.rs"]
mod model;
mod names;
mod replaced;
mod whiteouts;

use fs_tree::{Applied, ApplyError, Change, ChangeKind, LayerApplier, Tree, Whiteout, merge_layer};

use model::*;

/// Checks the merged tree without its root, by the crate and by the model.
#[track_caller]
fn check(stack: &[Vec<OwnedChange>], expected: &[&str]) {
    let mut model = Model::new();
    model.apply(stack).expect("the model takes the stack");
    let tree = merge(stack).expect("the crate takes the stack");
    let listing = list_tree(&tree);
    assert_eq!(lines(&listing), expected);
    assert_eq!(listing, list_model(&model), "the model is equal");
}

#[track_caller]
fn check_refused(stack: &[Vec<OwnedChange>], expected: ErrorKind) -> ApplyError {
    let refusal = Model::new().apply(stack).expect_err("the model refuses");
    assert_eq!(refusal.kind, expected);
    let error = merge(stack).expect_err("the crate refuses");
    assert_eq!(error_kind(&error), expected, "{error}");
    error
}

/// Checks the layer's own tree without its root.
#[track_caller]
fn check_layer(layer: &[OwnedChange], expected: &[&str]) {
    let (tree, _) = alone(layer);
    assert_eq!(lines(&list_tree(&tree)), expected);
}

/// Returns the layer's own tree, and the effect of each of its entries.
#[track_caller]
fn alone(layer: &[OwnedChange]) -> (Tree, Vec<Applied>) {
    let mut tree = Tree::new();
    let mut applier = LayerApplier::new(&mut tree);
    let mut applied = Vec::new();
    for change in layer {
        let entry = change.with(|change| applier.apply(change));
        applied.push(entry.expect("the layer is sound"));
    }
    drop(applier);
    (tree, applied)
}

fn lines(listing: &model::Listing) -> Vec<String> {
    let text = listing.to_string();
    text.lines()
        .filter(|line| *line != "/ 755 implied")
        .map(str::to_owned)
        .collect()
}
