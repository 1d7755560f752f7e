//! Xattrs and symbolic links.

use super::*;

#[test]
fn an_xattr_body_of_its_header_alone_is_refused() {
    let mut raw = rooted(2, &[DOT, DOT_DOT, ("f", 20, Regular)]);
    let mut file = inode(Regular, DataLayout::FlatPlain, 0);
    file.i_xattr_icount = 1.into();
    raw.inode(20, file, &[0; 12]);
    assert_eq!(
        inode_problem(wrong(&mut raw)),
        InodeProblem::XattrBody { size: 12 }
    );
}

#[test]
fn xattrs_that_exceed_their_body_are_refused() {
    for body in [
        // More shared ids than fit.
        [0, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
        // A value past the end.
        [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 1, 0],
        // A name where none is allowed, an unknown namespace, an unknown prefix.
        [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0],
        [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 5, 0, 0],
        [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x80, 0, 0],
        // A shared id out of bounds.
        [0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 255, 255, 255, 255],
    ] {
        let mut raw = rooted(2, &[DOT, DOT_DOT, ("f", 20, Regular)]);
        let mut file = inode(Regular, DataLayout::FlatPlain, 0);
        file.i_xattr_icount = 2.into();
        raw.inode(20, file, &body);
        assert!(matches!(wrong(&mut raw), Error::Xattr { nid: 20, .. }));
    }
}

#[test]
fn endless_symbolic_links_are_an_error() {
    let mut raw = rooted(2, &[DOT, DOT_DOT, ("l", 20, FileType::Symlink)]);
    let image = Image::open(raw.link(20, "./l").build()).unwrap();
    assert!(matches!(
        image.resolve_path(b"l").unwrap_err(),
        Error::TooManyLinks { allowed: 40 }
    ));
    let mut raw = rooted(2, &[DOT, DOT_DOT, ("l", 20, FileType::Symlink)]);
    assert!(matches!(
        inode_problem(wrong(raw.link(20, ""))),
        InodeProblem::LinkTarget { size: 0 }
    ));
}

#[test]
fn invalid_long_xattr_prefixes_are_refused() {
    const AT: usize = 2 * 4096;
    const NAME_TOO_LONG: &[u8] = &[0, 1];
    for (table, start, count, index) in [
        (&b"\0\0\x01"[..], AT, 1, 0),
        (NAME_TOO_LONG, AT, 1, 0),
        (b"\x02\0\x05a", AT, 1, 0),
        (b"\x02\0\x81a", AT, 1, 0),
        (b"\x02\0\x01a\x02\0\x00a", AT, 2, 1),
        (b"\x02\0\x01a", AT, 200, 1),
        (b"", 3 * 4096 - 4, 1, 0),
        (b"", 3 * 4096, 1, 0),
        (b"", usize::MAX, 1, 0),
    ] {
        let mut raw = rooted(2, &[DOT, DOT_DOT]);
        raw.sb.feature_incompat = Features::INCOMPAT_XATTR_PREFIXES.into();
        raw.sb.xattr_prefix_count = count;
        raw.sb.xattr_prefix_start = u32::try_from(start / 4).unwrap_or(u32::MAX).into();
        raw.put(AT, table);
        match Image::open(raw.build()).unwrap_err() {
            Error::Super {
                problem: SuperProblem::XattrPrefix { index: found },
            } => assert_eq!(found, index, "{table:?}"),
            error => panic!("{error}"),
        }
    }
}
