//! Directories and lookups in them.

use super::*;

#[test]
fn a_mis_sorted_directory_is_an_error_and_hides_its_names() {
    let names = [
        DOT,
        DOT_DOT,
        ("z", 20, Regular),
        ("a", 22, Regular),
        ("b", 24, Regular),
    ];
    let mut raw = rooted(2, &names);
    raw.empty(20).empty(22).empty(24);
    assert_eq!(dir_problem(wrong(&mut raw)), DirProblem::Order);
    let image = Image::open(raw.build()).unwrap();
    // The binary search of the kernel does not find the name either.
    assert!(
        image
            .lookup(&image.root().unwrap(), b"b")
            .unwrap()
            .is_none()
    );

    let mut raw = rooted(2, &[DOT, DOT_DOT, ("a", 20, Regular), ("a", 20, Regular)]);
    assert_eq!(dir_problem(wrong(raw.empty(20))), DirProblem::Order);
}

#[test]
fn the_order_is_checked_across_blocks() {
    let mut raw = Raw::new(4);
    let long = format!("m{}", "n".repeat(200));
    let mut first = dir_block(&[DOT, DOT_DOT, (&long, 20, Regular)]);
    first.resize(4096, 0);
    first.extend_from_slice(&dir_block(&[("a", 20, Regular)]));
    let mut root = inode(Directory, DataLayout::FlatPlain, first.len() as u64);
    root.i_u = 2.into();
    root.i_nlink = 2.into();
    raw.inode(ROOT, root, &[]).put(2 * 4096, &first).empty(20);
    assert_eq!(dir_problem(wrong(&mut raw)), DirProblem::Order);
}

#[test]
fn invalid_names_are_refused() {
    for (name, problem) in [
        ("a/b", DirProblem::NameBytes),
        ("a\0b", DirProblem::Tail),
        (
            "",
            DirProblem::NameBounds {
                start: 39,
                end: 39,
                len: 39,
            },
        ),
    ] {
        let mut raw = rooted(2, &[DOT, DOT_DOT, (name, 20, Regular)]);
        assert_eq!(dir_problem(wrong(raw.empty(20))), problem, "{name:?}");
    }
    let long = "x".repeat(256);
    let mut raw = rooted(2, &[DOT, DOT_DOT, (&long, 20, Regular)]);
    assert!(matches!(
        dir_problem(wrong(&mut raw)),
        DirProblem::NameBounds { .. }
    ));
    // A slash in a name before the last one.
    let mut raw = rooted(2, &[DOT, DOT_DOT, ("a\0", 20, Regular), ("b", 20, Regular)]);
    assert_eq!(dir_problem(wrong(&mut raw)), DirProblem::NameBytes);
}

#[test]
fn dot_and_dot_dot_must_exist_and_be_right() {
    for (names, problem) in [
        (vec![DOT_DOT], DirProblem::Dot { actual: None }),
        (
            vec![(".", 9, Directory), DOT_DOT],
            DirProblem::Dot { actual: Some(9) },
        ),
        (
            vec![(".", ROOT, Regular), DOT_DOT],
            DirProblem::Dot { actual: None },
        ),
        (
            vec![DOT],
            DirProblem::DotDot {
                expected: None,
                actual: None,
            },
        ),
        (
            vec![DOT, ("..", 9, Directory)],
            DirProblem::DotDot {
                expected: Some(ROOT),
                actual: Some(9),
            },
        ),
    ] {
        assert_eq!(dir_problem(wrong(&mut rooted(2, &names))), problem);
    }
}

#[test]
fn a_cycle_of_directories_ends() {
    let mut raw = rooted(3, &[DOT, DOT_DOT, ("d", 20, Directory)]);
    raw.dir(
        20,
        3,
        &[
            (".", 20, Directory),
            ("..", ROOT, Directory),
            ("up", ROOT, Directory),
        ],
    );
    assert_eq!(
        dir_problem(wrong(&mut raw)),
        DirProblem::SecondName { child: ROOT }
    );
    let mut raw = rooted(
        4,
        &[DOT, DOT_DOT, ("d", 20, Directory), ("e", 20, Directory)],
    );
    raw.dir(20, 2, &[(".", 20, Directory), ("..", ROOT, Directory)]);
    assert_eq!(
        dir_problem(wrong(&mut raw)),
        DirProblem::SecondName { child: 20 }
    );
}

#[test]
fn depth_and_names_are_bounded() {
    let mut raw = rooted(3, &[DOT, DOT_DOT, ("d", 20, Directory)]);
    raw.dir(
        20,
        3,
        &[
            (".", 20, Directory),
            ("..", ROOT, Directory),
            ("e", 30, Directory),
        ],
    );
    raw.dir(30, 2, &[(".", 30, Directory), ("..", 20, Directory)]);
    raw.sb.inos = 3.into();
    let image = Image::open(raw.build()).unwrap();
    check(&image, &CheckOptions::default()).unwrap();
    type Set = fn(&mut Limits);
    let set: [(Set, Limit); 3] = [
        (|limits| limits.depth = 1, Limit::Depth),
        (|limits| limits.names = Some(1), Limit::Names),
        (|limits| limits.path_bytes = 3, Limit::PathBytes),
    ];
    for (set, expected) in set {
        let mut options = CheckOptions::default();
        set(&mut options.limits);
        let error = check(&image, &options).unwrap_err();
        assert!(
            matches!(error, Error::Limit { limit, .. } if limit == expected),
            "{error}"
        );
    }
}
