//! The root, names and xattrs.

use super::*;

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
