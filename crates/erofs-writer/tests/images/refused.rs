//! What EROFS cannot hold.

use super::*;

#[test]
fn names_that_erofs_cannot_hold_are_refused() {
    for name in [&b"."[..], b"..", b"", b"a/b"] {
        let mut tree = Tree::new();
        tree.add(tree.root(), name, metadata(0o644), &[], NewNode::Fifo)
            .unwrap();
        let writer = ImageWriter::new(Cursor::new(Vec::new()), Options::default()).unwrap();
        assert!(
            matches!(writer.finish(&tree, &mut NoInline), Err(Error::Name { name: found, .. }) if found == name)
        );
    }
    for name in [&[b'n'; 256][..], b"a\0b"] {
        let mut builder = builder();
        builder.directory(name, 0o755).unwrap();
        assert!(matches!(builder.finish(), Err(Error::Name { .. })));
    }
}

#[test]
fn xattrs_that_erofs_cannot_hold_are_refused() {
    let long = ["user.", &"n".repeat(256)].concat();
    let big = vec![0; 65_536];
    let refused: [(&[u8], &[u8]); 4] = [
        (b"odd.name", b""),
        (b"user.", b""),
        (long.as_bytes(), b""),
        (b"user.a", &big),
    ];
    for pair in refused {
        let mut builder = builder();
        builder
            .directory(b"d", with(metadata(0o755), &[pair]))
            .unwrap();
        assert!(
            matches!(
                problem(builder.finish().unwrap_err(), b"d"),
                InodeProblem::Xattr { .. }
            ),
            "{:?}",
            pair.0
        );
    }
    let names: Vec<String> = (0..5).map(|index| format!("user.{index}")).collect();
    let value = vec![0; 65_000];
    let many: Vec<(&[u8], &[u8])> = names
        .iter()
        .map(|name| (name.as_bytes(), &value[..]))
        .collect();
    let mut builder = builder();
    builder
        .directory(b"d", with(metadata(0o755), &many))
        .unwrap();
    assert!(matches!(
        problem(builder.finish().unwrap_err(), b"d"),
        InodeProblem::XattrsTooLarge { .. }
    ));
}

#[test]
fn symbolic_links_that_no_system_can_make_are_refused() {
    for target in [vec![], vec![b't'; 4096], b"a\0b".to_vec()] {
        let mut builder = builder();
        builder.symlink(b"l", 0o777, &target).unwrap();
        let expected = InodeProblem::LinkTarget {
            start: target[..target.len().min(64)].to_vec(),
            bytes: target.len(),
        };
        assert_eq!(problem(builder.finish().unwrap_err(), b"l"), expected);
    }
    let mut builder = builder();
    builder.symlink(b"l", 0o777, vec![b't'; 4095]).unwrap();
    builder.finish().unwrap();
}

#[test]
fn device_numbers_and_device_tables_that_erofs_cannot_hold_are_refused() {
    for (major, minor) in [(4096, 0), (0, 1 << 20), (u32::MAX, u32::MAX)] {
        let mut builder = builder();
        builder
            .node(b"c", 0o644, NewNode::CharDevice { major, minor })
            .unwrap();
        assert!(matches!(
            problem(builder.finish().unwrap_err(), b"c"),
            InodeProblem::DeviceNumber { .. }
        ));
    }
    for len in [0, 65] {
        let devices = vec![Device::new(vec![b't'; len], 1)];
        let result = Builder::with_options(
            Cursor::new(Vec::new()),
            Options::default().with_devices(devices),
        );
        assert!(
            matches!(result, Err(Error::DeviceTag { device_id: 1, len: found }) if found == len)
        );
    }
    let devices = vec![Device::new(b"t", 1); 65_536];
    let result = Builder::with_options(
        Cursor::new(Vec::new()),
        Options::default().with_devices(devices),
    );
    assert!(matches!(result, Err(Error::TooManyDevices { .. })));
}
