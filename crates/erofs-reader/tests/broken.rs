//! Images that are broken in one way each, and what is said of them.
#![allow(
    clippy::unwrap_used,
    clippy::cast_possible_truncation,
    reason = "a test fails where its numbers do not fit"
)]

mod common;

use common::raw::{ROOT, Raw, dir_block, inode};
use erofs_format::{DataLayout, Features, HOLE};
use erofs_reader::FileType::{self, Directory, Regular};
use erofs_reader::{
    CheckOptions, DirProblem, Error, Image, InodeProblem, Limit, Limits, SuperProblem, check,
};

const DOT: (&str, u64, FileType) = (".", ROOT, Directory);
const DOT_DOT: (&str, u64, FileType) = ("..", ROOT, Directory);

/// An image of a root with these names; more is put in by the caller.
fn rooted(nlink: u32, names: &[(&str, u64, FileType)]) -> Raw {
    let mut raw = Raw::new(3);
    raw.dir(ROOT, nlink, names);
    raw
}

/// The first thing that is wrong with an image that can be opened.
fn wrong(raw: &mut Raw) -> Error {
    let image = Image::open(raw.build()).unwrap();
    let error = check(&image, &CheckOptions::default()).unwrap_err();
    assert!(
        error.is_corrupt() || matches!(error, Error::Limit { .. }),
        "{error}"
    );
    assert!(!error.to_string().contains(char::is_control));
    error
}

fn dir_problem(error: Error) -> DirProblem {
    match error {
        Error::Dir { problem, .. } => problem,
        other => panic!("{other}"),
    }
}

fn inode_problem(error: Error) -> InodeProblem {
    match error {
        Error::Inode { problem, .. } => problem,
        other => panic!("{other}"),
    }
}

fn super_problem(raw: &mut Raw) -> SuperProblem {
    match Image::open(raw.build()) {
        Err(Error::Super { problem }) => problem,
        other => panic!("{other:?}"),
    }
}

#[test]
fn superblocks_that_cannot_be_are_refused() {
    let sound = || rooted(2, &[DOT, DOT_DOT]);
    assert!(Image::open(sound().build()).is_ok());

    let mut raw = sound();
    raw.sb.magic = 1.into();
    assert!(matches!(
        super_problem(&mut raw),
        SuperProblem::Magic { actual: 1, .. }
    ));
    let mut raw = sound();
    raw.sb.feature_incompat = 0x8000_0180.into();
    assert_eq!(
        super_problem(&mut raw),
        SuperProblem::Features { bits: 0x8000_0180 }
    );
    let mut raw = sound();
    raw.sb.blkszbits = 9;
    assert!(matches!(
        super_problem(&mut raw),
        SuperProblem::BlockBits { actual: 9, .. }
    ));
    let mut raw = sound();
    raw.sb.dirblkbits = 1;
    assert!(matches!(
        super_problem(&mut raw),
        SuperProblem::DirBlockBits { actual: 1 }
    ));
    let mut raw = sound();
    raw.sb.blocks = 4.into();
    assert!(matches!(
        super_problem(&mut raw),
        SuperProblem::Truncated {
            expected: 16384,
            actual: 12288
        }
    ));
    let mut bytes = sound().build();
    bytes[1500] ^= 1;
    assert!(matches!(
        Image::open(bytes).unwrap_err(),
        Error::Super {
            problem: SuperProblem::Checksum { .. }
        }
    ));
    assert!(matches!(
        Image::open(vec![0; 100]).unwrap_err(),
        Error::Super {
            problem: SuperProblem::TooShort { actual: 100, .. }
        }
    ));
}

#[test]
fn device_tables_that_overlap_or_leave_the_disk_are_refused() {
    let sound = || rooted(2, &[DOT, DOT_DOT]);
    assert!(matches!(
        super_problem(sound().devices(&[(1, 2)])),
        SuperProblem::DeviceOverlap {
            device_id: 1,
            uniaddr: 2,
            end: 3
        }
    ));
    assert!(matches!(
        super_problem(sound().devices(&[(2, 4), (1, 3), (1, 5)])),
        SuperProblem::DeviceOverlap {
            device_id: 3,
            uniaddr: 5,
            end: 6
        }
    ));
    assert!(matches!(
        super_problem(sound().devices(&[(1, 3)])),
        SuperProblem::DeviceTruncated {
            device_id: 1,
            expected: 4096,
            actual: 0
        }
    ));
    let mut raw = sound();
    raw.devices(&[(1, 3)]).sb.devt_slotoff = 95.into();
    raw.sb.extra_devices = 2.into();
    assert!(matches!(
        super_problem(&mut raw),
        SuperProblem::DeviceTable { .. }
    ));
    let image = sound().devices(&[(1, 3)]).build();
    assert!(matches!(
        Image::open_with_devices(image.clone(), vec![]).unwrap_err(),
        Error::Super {
            problem: SuperProblem::DeviceCount {
                expected: 1,
                actual: 0
            }
        }
    ));
    assert!(matches!(
        Image::open_with_devices(image, vec![vec![0; 4095]]).unwrap_err(),
        Error::Super {
            problem: SuperProblem::DeviceTruncated { actual: 4095, .. }
        }
    ));
}

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
    // What halving comes upon: the kernel does not find it either.
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
fn order_is_held_across_blocks() {
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
fn names_that_cannot_be_are_refused() {
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
    // A slash hides from whoever only looks at the last name.
    let mut raw = rooted(2, &[DOT, DOT_DOT, ("a\0", 20, Regular), ("b", 20, Regular)]);
    assert_eq!(dir_problem(wrong(&mut raw)), DirProblem::NameBytes);
}

#[test]
fn dot_and_dot_dot_have_to_be_there_and_right() {
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

#[test]
fn a_lost_hard_link_and_a_wrong_directory_count_are_found() {
    let mut raw = rooted(2, &[DOT, DOT_DOT, ("a", 20, Regular), ("b", 20, Regular)]);
    assert_eq!(
        inode_problem(wrong(raw.empty(20))),
        InodeProblem::Nlink {
            expected: 2,
            actual: 1
        }
    );
    assert_eq!(
        inode_problem(wrong(&mut rooted(3, &[DOT, DOT_DOT]))),
        InodeProblem::Nlink {
            expected: 2,
            actual: 3
        }
    );
}

#[test]
fn an_inode_that_readdir_hides_is_found() {
    let mut raw = rooted(2, &[DOT, DOT_DOT, ("a", 0, Regular)]);
    // The root follows right behind nid 0, which is 64 bytes.
    assert_eq!(inode_problem(wrong(raw.empty(0))), InodeProblem::NidZero);
}

#[test]
fn a_name_of_another_type_than_its_inode_is_found() {
    let mut raw = rooted(2, &[DOT, DOT_DOT, ("a", 20, FileType::Fifo)]);
    assert!(matches!(
        dir_problem(wrong(raw.empty(20))),
        DirProblem::Type { child: 20, .. }
    ));
}

#[test]
fn a_wrong_count_of_inodes_is_found() {
    let error = wrong(&mut rooted(2, &[DOT, DOT_DOT]));
    assert!(matches!(
        error,
        Error::InodeCount {
            expected: 0,
            actual: 1
        }
    ));
}

#[test]
fn inodes_that_share_bytes_are_found() {
    let names = [DOT, DOT_DOT, ("a", 20, Regular), ("b", 22, Regular)];
    let mut raw = rooted(2, &names);
    // The inline tail of 20 begins where 22 does.
    raw.inode(20, inode(Regular, DataLayout::FlatInline, 10), &[])
        .empty(22);
    let error = wrong(&mut raw);
    assert!(
        matches!(
            error,
            Error::Overlap {
                first: 20,
                second: 22,
                ..
            }
        ),
        "{error}"
    );
}

#[test]
fn data_over_metadata_or_the_superblock_are_found() {
    let file = |block: u32| {
        let mut raw = rooted(2, &[DOT, DOT_DOT, ("f", 20, Regular)]);
        let mut file = inode(Regular, DataLayout::FlatPlain, 4096);
        file.i_u = block.into();
        wrong(raw.inode(20, file, &[]))
    };
    assert!(matches!(
        file(0),
        Error::Reserved {
            nid: 20,
            offset: 1024
        }
    ));
    // The inodes lie in block 1.
    assert!(matches!(
        file(1),
        Error::Overlap {
            first: ROOT,
            second: 20,
            ..
        }
    ));
    assert!(matches!(file(2), Error::InodeCount { .. }));
}

#[test]
fn extents_that_leave_their_device_are_found() {
    let file = |chunks: &[(u16, u32)]| {
        let mut raw = rooted(2, &[DOT, DOT_DOT, ("f", 20, Regular)]);
        raw.chunked(20, chunks.len() as u64 * 4096, chunks);
        inode_problem(wrong(&mut raw))
    };
    assert!(matches!(
        file(&[(0, 3)]),
        InodeProblem::Extent {
            device_id: 0,
            offset: 12288,
            ..
        }
    ));
    assert!(matches!(
        file(&[(0, HOLE), (0, HOLE - 1)]),
        InodeProblem::Extent { .. }
    ));
    assert!(matches!(
        file(&[(0, 2), (1, 0)]),
        InodeProblem::NoSuchDevice {
            logical: 4096,
            device_id: 1,
            devices: 0
        }
    ));

    let flat = |size, start: u32, layout| {
        let mut raw = rooted(2, &[DOT, DOT_DOT, ("f", 20, Regular)]);
        let mut inode = inode(Regular, layout, size);
        inode.i_u = start.into();
        raw.inode(20, inode, &[]);
        inode_problem(wrong(&mut raw))
    };
    // A block of the device is needed for the last byte too.
    assert!(matches!(
        flat(4097, 2, DataLayout::FlatPlain),
        InodeProblem::Extent { .. }
    ));
    assert!(matches!(
        flat(1, HOLE, DataLayout::FlatPlain),
        InodeProblem::NoStartBlock { size: 1 }
    ));
    assert!(matches!(
        flat(4000, 2, DataLayout::FlatInline),
        InodeProblem::InlineTail { .. }
    ));
    assert!(matches!(
        flat(1 << 63, 2, DataLayout::FlatPlain),
        InodeProblem::Size { .. }
    ));
    assert!(matches!(
        flat((1 << 63) - 1, 0x20, DataLayout::ChunkBased),
        InodeProblem::ChunkTable { .. }
    ));
    assert!(matches!(
        flat(1, 0x40, DataLayout::ChunkBased),
        InodeProblem::ChunkFormat { format: 0x40 }
    ));
}

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
fn xattrs_that_leave_their_body_are_refused() {
    for body in [
        // More shared ids than there is room.
        [0, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
        // A value past the end.
        [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 1, 0],
        // A name where none may be, a namespace that is not there, a prefix that is not there.
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
fn links_without_end_are_given_up() {
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
fn long_xattr_prefixes_that_cannot_be_are_refused() {
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
