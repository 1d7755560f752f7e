//! Directories and their blocks.

use super::*;
use fs_tree::{Change, ChangeKind, LayerApplier};

#[test]
fn an_empty_image_is_a_root() {
    let image = image(|_| Ok(()));
    assert_eq!(text(&image), "/ d 0755 0:0 nlink=2 mtime=0.000000000\n");
    assert_eq!(image.superblock().blocks.get(), 2);
}

#[test]
fn dot_and_dot_dot_are_sorted() {
    let names: [&[u8]; 8] = [b"!x", b"+x", b"-x", b"...", b".x", b"0", b"\xff", b"\x01"];
    let image = image(|builder| {
        for name in names {
            builder.file(name, 0o644, &b""[..])?;
        }
        Ok(())
    });
    let found = text(&image);
    let found: Vec<&str> = found
        .lines()
        .map(|line| line.split(' ').next().unwrap())
        .collect();
    assert_eq!(
        found,
        [
            "/", "/\\x01", "/!x", "/+x", "/-x", "/...", "/.x", "/0", "/\\xff"
        ]
    );
    for name in names {
        assert!(image.lookup_path([b"/", name].concat()).unwrap().is_some());
    }
}

#[test]
fn directories_at_the_edges_of_their_blocks() {
    // Two dots take 27 bytes of a block, each name of 8 bytes takes 20.
    for count in [0, 1, 100, 101, 102, 202, 203, 204, 205, 206, 407, 408, 2000] {
        let image = image(|builder| {
            for index in 0..count {
                builder.symlink(format!("d/n{index:07}").as_bytes(), 0o777, b"x")?;
            }
            builder.directory(b"d", 0o700)
        });
        assert_eq!(text(&image).lines().count(), count + 2);
    }
    for len in [1, 100, 254, 255] {
        let image = image(|builder| {
            for byte in b'a'..=b'z' {
                builder.symlink(vec![byte; len], 0o777, b"x")?;
            }
            Ok(())
        });
        assert_eq!(text(&image).lines().count(), 27);
    }
}

#[test]
fn directory_blocks_that_are_full_to_the_last_byte() {
    // After the first block, names of 4 bytes take 16 bytes each: 256 of them fill a block.
    for count in [253, 254, 509, 510, 511, 1000] {
        let image = image(|builder| {
            (0..count).try_for_each(|index| builder.symlink(format!("{index:04}"), 0o777, b"x"))
        });
        assert_eq!(text(&image).lines().count(), count + 1);
        let in_first = (BLOCK - 27) / 16;
        let behind = count as u64 - in_first.min(count as u64);
        let size = if behind == 0 {
            27 + 16 * count as u64
        } else {
            BLOCK + 16 * behind
        };
        assert_eq!(image.root().unwrap().size, size);
    }
}

#[test]
fn an_opaque_directory_has_one_marker_and_its_own_xattrs() {
    const OPAQUE: &[u8] = b"trusted.overlay.opaque";
    let mut tree = Tree::new();
    let mut layer = LayerApplier::new(&mut tree);
    // An archived marker has no effect on an opaque directory, and is kept on another one.
    let xattrs: &[(&[u8], &[u8])] = &[(OPAQUE, b"archived"), (b"user.a", b"1"), (b"user.z", b"2")];
    for path in [&b"opaque"[..], b"plain"] {
        let kind = ChangeKind::Node {
            metadata: metadata(0o755),
            xattrs,
            node: NewNode::Directory,
        };
        layer.apply(&Change { path, kind }).unwrap();
    }
    let kind = ChangeKind::Opaque;
    let path = b"opaque";
    layer.apply(&Change { path, kind }).unwrap();

    let writer = ImageWriter::new(Cursor::new(Vec::new()), Options::default()).unwrap();
    let (written, output) = writer.finish(&tree, &mut NoInline).unwrap();
    let image = sound(written, output.into_inner());
    for (path, marker) in [("opaque", &b"y"[..]), ("plain", b"archived")] {
        let inode = image.lookup_path(path).unwrap().unwrap();
        let mut found: Vec<_> = image
            .xattrs(&inode)
            .unwrap()
            .into_iter()
            .map(|xattr| (xattr.name, xattr.value))
            .collect();
        found.sort();
        let expected: [(&[u8], &[u8]); 3] = [(OPAQUE, marker), xattrs[1], xattrs[2]];
        let expected = expected.map(|(name, value)| (name.to_vec(), value.to_vec()));
        assert_eq!(found, expected, "{path}");
    }
}
