//! One test for each way in which tools went wrong with layers, each on the smallest stack that shows it.
//!
//! Expected trees are written out, one line a name: `path/ mode` for a directory, `path size` for a file, `path -> target`
//! for a symbolic link, `=first x count` where an inode has several names. The model has to agree as well.

mod model;

use fs_tree::{ApplyError, Change, ChangeKind, LayerApplier, Tree, Whiteout, merge_layer};

use model::*;

/// The merged tree without its root, by the crate and by the model.
#[track_caller]
fn check(stack: &[Vec<OwnedChange>], expected: &[&str]) {
    let mut model = Model::new();
    model.apply(stack).expect("the model takes the stack");
    let tree = merge(stack).expect("the crate takes the stack");
    let listing = list_tree(&tree);
    assert_eq!(lines(&listing), expected);
    assert_eq!(listing, list_model(&model), "the model says the same");
}

#[track_caller]
fn check_refused(stack: &[Vec<OwnedChange>], expected: ErrorKind) -> ApplyError {
    let refusal = Model::new().apply(stack).expect_err("the model refuses");
    assert_eq!(refusal.kind, expected);
    let error = merge(stack).expect_err("the crate refuses");
    assert_eq!(error_kind(&error), expected, "{error}");
    error
}

/// The layer's own tree without its root.
#[track_caller]
fn check_layer(layer: &[OwnedChange], expected: &[&str]) {
    let mut tree = Tree::new();
    let mut applier = LayerApplier::new(&mut tree);
    for change in layer {
        change
            .with(|change| applier.apply(change))
            .expect("the layer is sound");
    }
    assert_eq!(lines(&list_tree(&tree)), expected);
}

fn lines(listing: &model::Listing) -> Vec<String> {
    let text = listing.to_string();
    text.lines()
        .filter(|line| *line != "/ 755 implied")
        .map(str::to_owned)
        .collect()
}

// Whiteouts and opaque markers

#[test]
fn a_whiteout_acts_on_lower_layers_only_whatever_the_order() {
    let lower = vec![file("f", 1), file("g", 2)];
    for upper in [
        vec![whiteout("f"), file("f", 3)],
        vec![file("f", 3), whiteout("f")],
    ] {
        check(&[lower.clone(), upper], &["f 3", "g 2"]);
    }
}

#[test]
fn a_whiteout_and_a_new_directory_make_it_opaque() {
    let lower = vec![dir("d", 0o711), file("d/old", 1)];
    for upper in [
        vec![whiteout("d"), dir("d", 0o700), file("d/new", 2)],
        vec![dir("d", 0o700), whiteout("d"), file("d/new", 2)],
        vec![dir("d", 0o700), file("d/new", 2), whiteout("d")],
    ] {
        check_layer(&upper, &["d/ 700 opaque", "d/new 2"]);
        check(&[lower.clone(), upper], &["d/ 700", "d/new 2"]);
    }
}

#[test]
fn a_hard_link_to_what_its_own_layer_hides_is_for_the_merge_to_judge() {
    let upper = vec![whiteout("a"), hard_link("y", "a")];
    let mut tree = Tree::new();
    let mut applier = LayerApplier::new(&mut tree);
    let applied = upper.iter().map(|change| {
        change
            .with(|change| applier.apply(change))
            .expect("the layer is sound")
    });
    assert_eq!(applied.last(), Some(fs_tree::Applied::LinksBelow));
    check_refused(&[vec![file("a", 1)], upper], ErrorKind::LinkTargetMissing);
}

#[test]
fn a_hard_link_to_what_a_layer_only_implies_is_for_the_merge_to_judge() {
    let lower = vec![symlink("a", "b")];
    for (implies, name) in [
        (Some(file("a/x", 1)), "y"),
        (Some(whiteout("a/x")), "y"),
        (None, "a/y"),
    ] {
        let upper: Vec<_> = implies.into_iter().chain([hard_link(name, "a")]).collect();
        let mut tree = Tree::new();
        let mut applier = LayerApplier::new(&mut tree);
        let applied = upper.iter().map(|change| {
            change
                .with(|change| applier.apply(change))
                .expect("the layer is sound")
        });
        assert_eq!(applied.last(), Some(fs_tree::Applied::LinksBelow));
        let merged = merge(&[lower.clone(), upper]).expect("the link is sound");
        let directory = match name {
            "y" => merged.root(),
            _ => merged.lookup(merged.root(), b"b").unwrap(),
        };
        let found = merged.lookup(directory, b"y");
        assert_eq!(found, merged.lookup(merged.root(), b"a"));
    }
    check_refused(
        &[
            vec![dir("a", 0o755)],
            vec![file("a/x", 1), hard_link("y", "a")],
        ],
        ErrorKind::LinkToDirectory,
    );
}

#[test]
fn a_whiteout_and_an_implied_directory_forget_the_lower_metadata() {
    let lower = vec![dir("d", 0o711), file("d/old", 1)];
    for upper in [
        vec![whiteout("d"), file("d/new", 2)],
        vec![file("d/new", 2), whiteout("d")],
    ] {
        check_layer(&upper, &["d/ 755 implied opaque", "d/new 2"]);
        check(&[lower.clone(), upper], &["d/ 755 implied", "d/new 2"]);
    }
}

#[test]
fn an_opaque_marker_never_hides_its_own_layers_siblings() {
    let lower = vec![dir("d", 0o711), file("d/old", 1), file("d/sub/old", 1)];
    for upper in [
        vec![opaque("d"), file("d/new", 2)],
        vec![file("d/new", 2), opaque("d")],
    ] {
        check(&[lower.clone(), upper], &["d/ 711", "d/new 2"]);
    }
}

#[test]
fn the_root_may_be_opaque() {
    let lower = vec![file("f", 1), file("d/g", 1)];
    check(&[lower, vec![file("new", 2), opaque("")]], &["new 2"]);
    check_layer(
        &[file("new", 2), opaque("")],
        &["/ 755 implied opaque", "new 2"],
    );
}

#[test]
fn a_whiteout_of_something_missing_is_fine() {
    check(&[vec![whiteout("f"), file("g", 1)]], &["g 1"]);
    check(
        &[vec![file("g", 1)], vec![whiteout("a/b/c"), opaque("n/o")]],
        &["g 1"],
    );
}

#[test]
fn one_layer_leaks_no_whiteouts() {
    check(
        &[vec![
            dir("d", 0o755),
            whiteout("d/f"),
            opaque("d"),
            whiteout("x"),
        ]],
        &["d/ 755"],
    );
}

#[test]
fn a_whiteout_inside_a_directory_that_is_new_leaves_nothing_behind() {
    check(
        &[
            vec![file("f", 1)],
            vec![dir("d", 0o700), whiteout("d/gone"), whiteout("d/e/gone")],
        ],
        &["d/ 700", "f 1"],
    );
}

#[test]
fn a_whiteout_is_never_followed_through_a_symlink() {
    let lower = vec![file("d/f", 1), symlink("l", "d"), symlink("abs", "/d")];
    check(
        &[lower, vec![whiteout("l/f"), whiteout("abs/f")]],
        &["abs -> /d", "d/ 755 implied", "d/f 1", "l -> d"],
    );
}

#[test]
fn an_opaque_marker_is_never_followed_through_a_symlink() {
    let lower = vec![file("d/f", 1), symlink("l", "d"), symlink("m", "l")];
    check(
        &[lower, vec![opaque("l"), opaque("m/x")]],
        &["d/ 755 implied", "d/f 1", "l -> d", "m -> l"],
    );
}

#[test]
fn a_whiteout_of_a_symlink_hides_the_link_and_not_its_target() {
    let lower = vec![file("d/f", 1), symlink("l", "d")];
    check(&[lower, vec![whiteout("l")]], &["d/ 755 implied", "d/f 1"]);
}

#[test]
fn a_whiteout_takes_effect_before_links_are_followed() {
    let lower = vec![file("d/f", 1), symlink("l", "d")];
    check(
        &[lower, vec![file("l/g", 2), whiteout("l")]],
        &["d/ 755 implied", "d/f 1", "l/ 755 implied", "l/g 2"],
    );
}

#[test]
fn a_marker_below_a_file_of_its_own_layer_says_nothing() {
    let layer = [file("f", 1), whiteout("f/x"), opaque("f")];
    check_layer(&layer, &["f 1"]);
    check(&[vec![file("f/x", 2)], layer.to_vec()], &["f 1"]);
}

#[test]
fn a_whiteout_of_a_directory_absorbs_the_whiteouts_below_it() {
    for layer in [
        [whiteout("d/a/b"), whiteout("d")],
        [whiteout("d"), whiteout("d/a/b")],
    ] {
        check_layer(&layer, &["d whiteout"]);
        check(&[vec![file("d/a/b", 2)], layer.to_vec()], &[]);
    }
}

#[test]
fn a_whiteout_of_the_root_does_not_panic() {
    let mut tree = merge(&[vec![file("f", 1)]]).unwrap();
    let whiteout = Whiteout {
        path: b"",
        opaque: false,
    };
    drop(merge_layer(&mut tree, [whiteout]));
    assert_eq!(lines(&list_tree(&tree)), ["f 1"]);
}

// Hard links

#[test]
fn a_hard_link_within_a_layer_shares_the_inode() {
    check(
        &[vec![
            file("f", 1),
            hard_link("g", "f"),
            hard_link("d/h", "g"),
        ]],
        &["d/ 755 implied", "d/h 1 =d/hx3", "f 1 =d/hx3", "g 1 =d/hx3"],
    );
}

#[test]
fn a_hard_link_to_a_file_of_a_lower_layer_shares_the_inode() {
    check(
        &[vec![file("f", 1)], vec![], vec![hard_link("g", "f")]],
        &["f 1 =fx2", "g 1 =fx2"],
    );
}

#[test]
fn a_hard_link_to_a_lower_symlink_is_a_name_of_the_link() {
    check(
        &[
            vec![file("f", 1), symlink("l", "f")],
            vec![hard_link("m", "l")],
        ],
        &["f 1", "l -> f =lx2", "m -> f =lx2"],
    );
}

#[test]
fn a_hard_link_to_a_lower_device_shares_the_inode() {
    check(
        &[vec![char_device("tty", 5, 1)], vec![hard_link("u", "tty")]],
        &["tty CharDevice(5, 1) =ttyx2", "u CharDevice(5, 1) =ttyx2"],
    );
}

#[test]
fn a_hard_links_target_is_sought_through_symlinked_parents() {
    check(
        &[
            vec![file("usr/lib/f", 1), symlink("lib", "usr/lib")],
            vec![hard_link("lib/g", "lib/f")],
        ],
        &[
            "lib -> usr/lib",
            "usr/ 755 implied",
            "usr/lib/ 755 implied",
            "usr/lib/f 1 =usr/lib/fx2",
            "usr/lib/g 1 =usr/lib/fx2",
        ],
    );
}

#[test]
fn an_edit_of_one_name_in_an_upper_layer_leaves_the_others() {
    check(
        &[
            vec![file("a", 1), hard_link("b", "a"), hard_link("c", "a")],
            vec![file("a", 2)],
        ],
        &["a 2", "b 1 =bx2", "c 1 =bx2"],
    );
}

#[test]
fn a_whiteout_of_one_name_leaves_the_others() {
    check(
        &[vec![file("a", 1), hard_link("b", "a")], vec![whiteout("a")]],
        &["b 1"],
    );
}

#[test]
fn a_file_that_its_own_layer_hides_cannot_be_linked_to() {
    check_refused(
        &[vec![file("a", 1)], vec![hard_link("b", "a"), whiteout("a")]],
        ErrorKind::LinkTargetMissing,
    );
}

#[test]
fn a_hard_link_onto_itself_changes_nothing() {
    check(&[vec![file("a", 1), hard_link("a", "a")]], &["a 1"]);
    check(&[vec![file("a", 1)], vec![hard_link("a", "a")]], &["a 1"]);
    check(
        &[vec![file("a", 1), hard_link("b", "a"), hard_link("a", "b")]],
        &["a 1 =ax2", "b 1 =ax2"],
    );
}

#[test]
fn a_hard_link_to_nothing_is_an_error_that_names_both_paths() {
    let error = check_refused(&[vec![hard_link("a\n", "b")]], ErrorKind::LinkTargetMissing);
    assert_eq!(
        error.to_string(),
        r"a\n: hard link to b, which does not exist"
    );
    check_refused(
        &[vec![file("f", 1), hard_link("a", "f/g")]],
        ErrorKind::LinkTargetMissing,
    );
}

#[test]
fn a_hard_link_to_a_directory_is_an_error() {
    check_refused(
        &[vec![dir("d", 0o755), hard_link("a", "d")]],
        ErrorKind::LinkToDirectory,
    );
    check_refused(&[vec![hard_link("a", "")]], ErrorKind::LinkToDirectory);
    check_refused(
        &[vec![file("d/e/f", 1)], vec![hard_link("d", "d/e")]],
        ErrorKind::LinkToDirectory,
    );
}

#[test]
fn a_hard_link_over_the_directory_that_holds_its_target_is_an_error() {
    check_refused(
        &[vec![file("d/f", 1)], vec![hard_link("d", "d/f")]],
        ErrorKind::LinkTargetMissing,
    );
}

#[test]
fn a_link_to_a_lower_file_is_reported_by_the_layer_alone() {
    let mut tree = Tree::new();
    let mut layer = LayerApplier::new(&mut tree);
    let applied = hard_link("a", "below").with(|change| layer.apply(change));
    assert_eq!(applied.unwrap(), fs_tree::Applied::LinksBelow);
}

// One name twice

#[test]
fn a_later_file_replaces_an_earlier_one() {
    check(&[vec![file("f", 1), file("f", 2)]], &["f 2"]);
}

#[test]
fn a_directory_replaces_a_file() {
    check(
        &[vec![file("f", 1), dir("f", 0o700), file("f/g", 2)]],
        &["f/ 700", "f/g 2"],
    );
    check(&[vec![file("f", 1)], vec![dir("f", 0o700)]], &["f/ 700"]);
}

#[test]
fn a_file_replaces_a_directory_and_its_subtree() {
    check(
        &[vec![file("d/e/f", 1), file("d/g", 1), file("d", 2)]],
        &["d 2"],
    );
    check(&[vec![file("d/e/f", 1)], vec![file("d", 2)]], &["d 2"]);
}

#[test]
fn a_directory_over_a_directory_keeps_children_and_takes_metadata() {
    let old = with_xattr(dir("d", 0o700), "user.old", b"1");
    let new = with_xattr(dir("d", 0o750), "user.new", b"");
    let expected = ["d/ 750 user.new=", "d/f 1"];
    check(&[vec![old.clone(), file("d/f", 1), new.clone()]], &expected);
    check(&[vec![old, file("d/f", 1)], vec![new]], &expected);
}

#[test]
fn a_directory_that_was_a_file_in_between_is_opaque() {
    let upper = vec![file("d", 1), dir("d", 0o700), file("d/new", 2)];
    check_layer(&upper, &["d/ 700 opaque", "d/new 2"]);
    check(&[vec![file("d/old", 1)], upper], &["d/ 700", "d/new 2"]);
}

// Implied directories

#[test]
fn an_implied_directory_leaves_the_lower_one_as_it_is() {
    let lower = with_xattr(dir("d", 0o1777), "user.x", b"y");
    check(
        &[vec![lower], vec![file("d/e/f", 1)]],
        &["d/ 1777 user.x=y", "d/e/ 755 implied", "d/e/f 1"],
    );
}

#[test]
fn an_implied_directory_is_0755_and_roots_where_nothing_lies_below() {
    let tree = merge(&[vec![file("d/f", 1)]]).unwrap();
    let d = tree.lookup(tree.root(), b"d").unwrap();
    assert_eq!(tree.inode(d).metadata, fs_tree::Metadata::IMPLIED);
    assert_eq!(tree.inode(tree.root()).metadata.mode, 0o755);
    assert_eq!(
        (tree.inode(d).metadata.uid, tree.inode(d).metadata.gid),
        (0, 0)
    );
}

#[test]
fn an_implied_directory_may_be_described_later() {
    check(
        &[vec![file("d/f", 1), dir("d", 0o700)]],
        &["d/ 700", "d/f 1"],
    );
    check(
        &[vec![file("d/f", 1)], vec![dir("d", 0o700)]],
        &["d/ 700", "d/f 1"],
    );
}

#[test]
fn a_layer_records_which_directories_are_implied() {
    check_layer(
        &[file("a/b/f", 1), dir("a/b", 0o700)],
        &["a/ 755 implied", "a/b/ 700", "a/b/f 1"],
    );
}

#[test]
fn an_implied_parent_follows_a_lower_symlink() {
    for target in [
        "usr/lib",
        "/usr/lib",
        "./usr//lib/",
        "../../usr/lib",
        "usr/x/../lib",
    ] {
        let link = format!("lib -> {target}");
        check(
            &[
                vec![dir("usr/lib", 0o700), symlink("lib", target)],
                vec![file("lib/x", 1)],
            ],
            &[&link, "usr/ 755 implied", "usr/lib/ 700", "usr/lib/x 1"],
        );
    }
}

#[test]
fn an_implied_parent_follows_a_link_of_its_own_layer_in_the_state_of_that_moment() {
    check(
        &[vec![
            file("l/a", 1),
            symlink("l", "d"),
            file("l/b", 2),
            symlink("l", "e"),
            file("l/c", 3),
        ]],
        &[
            "d/ 755 implied",
            "d/b 2",
            "e/ 755 implied",
            "e/c 3",
            "l -> e",
        ],
    );
}

#[test]
fn an_implied_parent_through_a_dangling_link_makes_the_target() {
    check(
        &[vec![symlink("l", "a/b")], vec![file("l/f", 1)]],
        &["a/ 755 implied", "a/b/ 755 implied", "a/b/f 1", "l -> a/b"],
    );
}

#[test]
fn a_missing_directory_that_dot_dot_leaves_again_is_not_implied() {
    check(
        &[vec![symlink("l", "gone/../d")], vec![file("l/f", 1)]],
        &["d/ 755 implied", "d/f 1", "l -> gone/../d"],
    );
    check(
        &[vec![file("x", 1), symlink("l", "x/../d"), file("l/f", 2)]],
        &["d/ 755 implied", "d/f 2", "l -> x/../d", "x 1"],
    );
}

#[test]
fn a_new_symlink_may_change_where_the_same_parent_leads() {
    let layer = vec![
        symlink("s", "y/x/.."),
        file("s/f", 1),
        symlink("s/x", "p/q"),
        file("s/g", 2),
    ];
    let expected = [
        "s -> y/x/..",
        "y/ 755 implied",
        "y/f 1",
        "y/p/ 755 implied",
        "y/p/g 2",
        "y/x -> p/q",
    ];
    check_layer(&layer, &expected);
    check(&[layer], &expected);
}

#[test]
fn a_directory_for_a_symlink_may_change_where_the_same_parent_leads() {
    let layer = vec![
        symlink("y/x", "/e"),
        symlink("e/again", "/y"),
        symlink("s", "y/x/again"),
        file("s/f", 1),
        dir("s/x", 0o700),
        file("s/g", 2),
    ];
    let expected = [
        "e/ 755 implied",
        "e/again -> /y",
        "s -> y/x/again",
        "y/ 755 implied",
        "y/f 1",
        "y/x/ 700",
        "y/x/again/ 755 implied",
        "y/x/again/g 2",
    ];
    check(&[layer], &expected);
}

#[test]
fn a_whiteout_of_the_last_parent_forgets_where_it_was() {
    let mut tree = Tree::new();
    let mut layer = LayerApplier::new(&mut tree);
    let mut apply = |change: OwnedChange| change.with(|change| layer.apply(change)).unwrap();
    // A link to a lower file leaves an implied directory with nothing in it.
    assert_eq!(
        apply(hard_link("d/a", "below")),
        fs_tree::Applied::LinksBelow
    );
    apply(whiteout("d"));
    apply(file("d/f", 1));
    assert_eq!(lines(&list_tree(&tree)), ["d/ 755 implied opaque", "d/f 1"]);
}

#[test]
fn dot_dot_of_the_root_is_the_root() {
    check(
        &[vec![symlink("l", "../../../d"), file("l/f", 1)]],
        &["d/ 755 implied", "d/f 1", "l -> ../../../d"],
    );
}

#[test]
fn an_explicit_directory_replaces_a_symlink() {
    check(
        &[
            vec![file("d/f", 1), symlink("l", "d")],
            vec![dir("l", 0o700), file("l/g", 2)],
        ],
        &["d/ 755 implied", "d/f 1", "l/ 700", "l/g 2"],
    );
}

#[test]
fn the_last_name_of_an_entry_is_never_followed() {
    check(
        &[vec![file("f", 1), symlink("l", "f")], vec![file("l", 2)]],
        &["f 1", "l 2"],
    );
}

#[test]
fn a_parent_that_is_a_file_is_an_error() {
    let error = check_refused(
        &[vec![file("f", 1)], vec![file("f/g", 2)]],
        ErrorKind::ParentNotADirectory,
    );
    assert!(error.to_string().starts_with("f/g: "), "{error}");
    check_refused(
        &[vec![file("f", 1), symlink("l", "f"), dir("l/d/e", 0o755)]],
        ErrorKind::ParentNotADirectory,
    );
}

#[test]
fn links_that_go_round_are_an_error() {
    check_refused(
        &[vec![symlink("a", "b"), symlink("b", "a"), file("a/f", 1)]],
        ErrorKind::SymlinkLoop,
    );
    check_refused(
        &[vec![symlink("a", "a/x"), file("a/f", 1)]],
        ErrorKind::SymlinkLoop,
    );
}

#[test]
fn forty_links_are_followed_and_forty_one_are_not() {
    let chain = |links: usize| {
        let mut layer: Vec<_> = (0..links)
            .map(|n| symlink(&format!("l{n}"), &format!("l{}", n + 1)))
            .collect();
        layer.push(file("l0/f", 1));
        vec![layer]
    };
    assert!(merge(&chain(40)).is_ok());
    check_refused(&chain(41), ErrorKind::SymlinkLoop);
}

// The root

#[test]
fn the_root_takes_its_own_metadata_and_keeps_the_lower_one_without() {
    let root = with_xattr(dir("", 0o711), "user.r", b"1");
    check(
        &[vec![root], vec![file("f", 1)]],
        &["/ 711 user.r=1", "f 1"],
    );
    check(&[vec![dir("", 0o711)], vec![dir("", 0o700)]], &["/ 700"]);
}

#[test]
fn the_root_is_nothing_but_a_directory() {
    check_refused(&[vec![file("", 1)]], ErrorKind::RootNotADirectory);
    check_refused(
        &[vec![file("f", 1), hard_link("", "f")]],
        ErrorKind::RootNotADirectory,
    );
}

// Names and xattrs

#[test]
fn names_are_bytes() {
    let mut tree = Tree::new();
    let names: Vec<Vec<u8>> = vec![vec![0xff, 0xfe], vec![b'n'; 255], b"!x".to_vec()];
    let mut merge = merge_layer(&mut tree, []);
    for name in &names {
        merge
            .apply(&Change {
                path: name,
                kind: ChangeKind::Node {
                    metadata: fs_tree::Metadata::default(),
                    xattrs: &[],
                    node: fs_tree::NewNode::Fifo,
                },
            })
            .unwrap();
    }
    for name in &names {
        assert!(tree.lookup(tree.root(), name).is_some());
    }
    assert_eq!(tree.entry_count(), 3);
}

#[test]
fn an_empty_xattr_value_is_an_empty_xattr_and_a_new_file_takes_none_of_the_old() {
    let old = with_xattr(file("f", 1), "security.capability", b"\x01");
    let new = with_xattr(file("f", 2), "user.empty", b"");
    check(&[vec![old.clone()], vec![new]], &["f 2 user.empty="]);
    check(&[vec![old], vec![file("f", 2)]], &["f 2"]);
}
