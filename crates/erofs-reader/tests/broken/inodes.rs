//! Inodes: their links, their bytes, their data.

use super::*;

#[test]
fn link_counts_are_verified() {
    for file_type in [Regular, FileType::Symlink, FileType::Fifo] {
        for (nlink, names) in [(0, 1), (1, 2), (1, 3), (2, 1), (2, 3), (3, 2)] {
            let all = ["a", "b", "c"].map(|name| (name, 20, file_type));
            let entries: Vec<_> = [DOT, DOT_DOT]
                .into_iter()
                .chain(all)
                .take(2 + names)
                .collect();
            let mut raw = rooted(2, &entries);
            let mut linked = inode(file_type, DataLayout::FlatInline, 1);
            linked.i_nlink = nlink.into();
            if file_type == FileType::Fifo {
                linked.i_size = 0.into();
            }
            assert_eq!(
                inode_problem(wrong(raw.inode(20, linked, b"x"))),
                InodeProblem::Nlink {
                    expected: names as u64,
                    actual: nlink
                },
                "{file_type:?}"
            );
        }
    }
}

#[test]
fn a_wrong_count_of_subdirectories_is_found() {
    assert_eq!(
        inode_problem(wrong(&mut rooted(3, &[DOT, DOT_DOT]))),
        InodeProblem::Nlink {
            expected: 2,
            actual: 3
        }
    );
}

#[test]
fn a_second_name_is_reported_before_the_limit_that_it_exceeds() {
    let names = [DOT, DOT_DOT, ("a", 20, Regular), ("b", 20, Regular)];
    let mut raw = rooted(2, &names);
    let image = Image::open(raw.chunked(20, 8192, &[(0, 2), (0, 2)]).build()).unwrap();
    let mut options = CheckOptions::default();
    options.limits.chunks = Some(3);
    assert_eq!(
        inode_problem(check(&image, &options).unwrap_err()),
        InodeProblem::Nlink {
            expected: 2,
            actual: 1
        }
    );
    options.limits.chunks = Some(1);
    let error = check(&image, &options).unwrap_err();
    assert!(matches!(error, Error::Limit { .. }), "{error}");
}

#[test]
fn data_is_passed_on_after_the_structure_is_verified() {
    let names = [DOT, DOT_DOT, ("a", 20, Regular), ("b", 20, Regular)];
    let mut raw = rooted(2, &names);
    let mut linked = inode(Regular, DataLayout::FlatInline, 1);
    linked.i_nlink = 2.into();
    raw.inode(20, linked, b"x");
    let image = Image::open(raw.build()).unwrap();
    // The superblock counts no inodes.
    let error = check_with(
        &image,
        &CheckOptions::default(),
        |_, _| -> Result<(), Error> { panic!("handed out") },
    );
    assert!(matches!(error, Err(Error::InodeCount { .. })));

    let mut options = CheckOptions::default();
    options.inode_count = false;
    let mut paths = Vec::new();
    let summary = check_with(&image, &options, |entry, mut reader| {
        let mut data = Vec::new();
        reader.read_to_end(&mut data).unwrap();
        paths.push((entry.path.to_vec(), data));
        Ok::<_, Error>(())
    });
    assert_eq!(paths, [(b"/a".to_vec(), b"x".to_vec())]);
    assert_eq!(summary.unwrap().paths, 3);
}

#[test]
fn an_inode_that_readdir_hides_is_found() {
    let mut raw = rooted(2, &[DOT, DOT_DOT, ("a", 0, Regular)]);
    // The root follows nid 0, which takes 64 bytes.
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
fn data_over_metadata_or_the_superblock_is_found() {
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
fn extents_outside_their_device_are_found() {
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
    // The last byte needs a whole block of the device too.
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
