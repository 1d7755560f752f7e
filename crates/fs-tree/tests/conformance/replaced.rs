//! Repeated names.

use super::*;

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
