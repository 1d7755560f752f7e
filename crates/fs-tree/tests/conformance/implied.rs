//! Implied directories, and where their paths lead.

use super::*;

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
    // A link to a lower file leaves an implied directory empty.
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
fn a_parent_that_is_a_file_of_the_same_layer_is_an_error() {
    let error = check_refused(
        &[vec![file("f", 1), file("f/g", 2)]],
        ErrorKind::ParentNotADirectory,
    );
    assert!(error.to_string().starts_with("f/g: "), "{error}");
    check_refused(
        &[vec![file("f", 1), symlink("l", "f"), dir("l/d/e", 0o755)]],
        ErrorKind::ParentNotADirectory,
    );
}

#[test]
fn an_implied_parent_replaces_whatever_lower_layers_have_but_a_directory() {
    for lower in [
        file("etc", 1),
        char_device("etc", 1, 3),
        block_device("etc", 8, 0),
        fifo("etc"),
        hard_link("etc", "other"),
    ] {
        check(
            &[vec![file("other", 9), lower], vec![file("etc/conf/x", 2)]],
            &[
                "etc/ 755 implied",
                "etc/conf/ 755 implied",
                "etc/conf/x 2",
                "other 9",
            ],
        );
    }
}

#[test]
fn an_implied_parent_replaces_a_lower_file_below_a_directory_and_behind_a_symlink() {
    check(
        &[
            vec![dir("d", 0o700), file("d/f", 1)],
            vec![file("d/f/g", 2)],
        ],
        &["d/ 700", "d/f/ 755 implied", "d/f/g 2"],
    );
    check(
        &[
            vec![file("f", 1), symlink("l", "f")],
            vec![dir("l/d/e", 0o700)],
        ],
        &["f/ 755 implied", "f/d/ 755 implied", "f/d/e/ 700", "l -> f"],
    );
    // A link of the layer to a file below it, and a link below it to a file of the layer.
    check(
        &[vec![file("f", 1)], vec![symlink("l", "f"), file("l/x", 2)]],
        &["f/ 755 implied", "f/x 2", "l -> f"],
    );
    check(
        &[vec![symlink("l", "f")], vec![file("f", 1), file("l/x", 2)]],
        &["f/ 755 implied", "f/x 2", "l -> f"],
    );
}

#[test]
fn whiteouts_beside_an_implied_parent_leave_it_to_replace_a_lower_file() {
    for marker in [
        whiteout("etc"),
        whiteout("etc/y"),
        whiteout("etc/conf"),
        whiteout("etc/conf/y"),
        opaque("etc"),
        opaque("etc/conf"),
    ] {
        let expected = ["etc/ 755 implied", "etc/conf/ 755 implied", "etc/conf/x 2"];
        for markers_first in [true, false] {
            let mut upper = vec![file("etc/conf/x", 2)];
            upper.insert(usize::from(!markers_first), marker.clone());
            check(&[vec![file("etc", 1)], upper], &expected);
        }
    }
    // A marker alone replaces nothing.
    check(&[vec![file("etc", 1)], vec![whiteout("etc/y")]], &["etc 1"]);
    check(&[vec![file("etc", 1)], vec![opaque("etc")]], &["etc 1"]);
}

#[test]
fn an_implied_parent_leaves_the_other_names_of_a_replaced_file() {
    check(
        &[
            vec![file("a", 1), hard_link("b", "a"), hard_link("c", "a")],
            vec![file("a/x", 2)],
        ],
        &["a/ 755 implied", "a/x 2", "b 1 =bx2", "c 1 =bx2"],
    );
}

#[test]
fn a_hard_link_below_its_own_target_is_an_error() {
    check_refused(
        &[vec![file("f", 1)], vec![hard_link("f/g", "f")]],
        ErrorKind::LinkToDirectory,
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
