//! Hard links.

use super::*;

#[test]
fn a_hard_link_to_a_path_that_its_own_layer_hides_is_left_to_the_merge() {
    let upper = vec![whiteout("a"), hard_link("y", "a")];
    let (_, applied) = alone(&upper);
    assert_eq!(applied.last(), Some(&Applied::LinksBelow));
    check_refused(&[vec![file("a", 1)], upper], ErrorKind::LinkTargetMissing);
}

#[test]
fn a_hard_link_to_an_implied_directory_is_left_to_the_merge() {
    let lower = vec![symlink("a", "b")];
    for (implies, name) in [
        (Some(file("a/x", 1)), "y"),
        (Some(whiteout("a/x")), "y"),
        (None, "a/y"),
    ] {
        let upper: Vec<_> = implies.into_iter().chain([hard_link(name, "a")]).collect();
        let (_, applied) = alone(&upper);
        assert_eq!(applied.last(), Some(&Applied::LinksBelow));
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
    let (_, applied) = alone(&[hard_link("a", "below")]);
    assert_eq!(applied, [Applied::LinksBelow]);
}
