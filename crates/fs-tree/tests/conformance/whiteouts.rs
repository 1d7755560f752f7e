//! Whiteouts and opaque markers.

use super::*;

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
fn a_whiteout_of_a_missing_path_is_accepted() {
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
fn a_marker_below_a_file_of_its_own_layer_has_no_effect() {
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
