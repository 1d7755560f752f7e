//! Entries and their data, as passed by a caller.

use super::*;

#[test]
fn inline_data_is_read_back_and_missing_data_is_an_error() {
    for size in [1, 100, 2048, 2049, 4096, 5000] {
        let bytes = vec![b'i'; size];
        let mut inline = MemoryInline::default();
        let key = inline.push(&bytes);
        let mut tree = Tree::new();
        let content = NewContent::Inline { key };
        let node = NewNode::Regular {
            size: size as u64,
            crc32c: 0,
            content,
        };
        tree.add(tree.root(), b"f", metadata(0o644), &[], node)
            .unwrap();
        let writer = || ImageWriter::new(Cursor::new(Vec::new()), Options::default()).unwrap();
        let (written, output) = writer().finish(&tree, &mut inline).unwrap();
        let image = sound(written, output.into_inner());
        let inode = image.lookup_path(b"/f").unwrap().unwrap();
        let mut read = vec![0; size];
        image.read_at(&inode, 0, &mut read).unwrap();
        assert!(read == bytes, "{size}");
        assert!(matches!(
            writer().finish(&tree, &mut NoInline),
            Err(Error::ReadInline { .. })
        ));
    }
}

/// Accepts a limited number of bytes.
struct Full(Cursor<Vec<u8>>, usize);

impl Write for Full {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let taken = bytes.len().min(self.1);
        self.1 -= taken;
        if taken == 0 && !bytes.is_empty() {
            return Err(io::ErrorKind::StorageFull.into());
        }
        self.0.write(&bytes[..taken])
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Seek for Full {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.0.seek(to)
    }
}

#[test]
fn an_output_that_is_full_at_any_byte_is_a_write_error() {
    let write = |room| -> Result<usize, Error> {
        let mut builder = Builder::new(Full(Cursor::new(Vec::new()), room))?;
        builder.file(b"f", 0o644, &vec![1; 300_000][..])?;
        builder.symlink(b"l", 0o777, [b't'; 4095])?;
        Ok(room - builder.finish()?.1.1)
    };
    let needed = write(1 << 30).unwrap();
    for room in (0..needed).step_by(4999).chain([needed - 1]) {
        assert!(matches!(write(room), Err(Error::Write { .. })), "{room}");
    }
    assert!(write(needed).is_ok());
}

#[test]
fn a_source_of_data_that_fails_is_named() {
    struct Failing;
    impl io::Read for Failing {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            Err(io::ErrorKind::Other.into())
        }
    }
    let error = builder().file(b"a/f", 0o644, Failing).unwrap_err();
    assert!(matches!(error, Error::ReadData { path, .. } if path == b"a/f"));
}

#[test]
fn entries_come_in_any_order() {
    let image = image(|builder| {
        builder.hard_link("z", "y")?;
        builder.hard_link("/y/", "./x")?;
        builder.file("d/f", 0o600, &b"x"[..])?;
        builder.directory("d", 0o700)?;
        builder.file("gone/below", 0o600, &b"x"[..])?;
        builder.hard_link("gone/link", "nowhere")?;
        builder.remove("gone")?;
        builder.hard_link("replaced", "nowhere")?;
        builder.symlink("replaced", 0o777, "t")?;
        builder.file("x", 0o644, &b"late"[..])?;
        builder.directory("/", 0o711)
    });
    let image = text(&image);
    assert!(image.starts_with("/ d 0711 "), "{image}");
    assert!(image.contains("/d d 0700 "), "{image}");
    assert!(
        image.contains("/z f 0644 0:0 nlink=3 mtime=0.000000000 same=/x\n"),
        "{image}"
    );
    assert!(image.contains("/replaced l "), "{image}");
    assert!(!image.contains("gone"), "{image}");
}

#[test]
fn cyclic_and_dangling_hard_links_and_paths_with_dots_are_refused() {
    let mut circle = builder();
    for (path, target) in [("a", "b"), ("b", "c"), ("c", "a")] {
        circle.hard_link(path, target).unwrap();
    }
    let error = circle.finish().unwrap_err().to_string();
    assert!(
        error.contains("hard link to") && error.contains("does not exist"),
        "{error}"
    );
    let error = builder().directory("a/../b", 0o755).unwrap_err();
    assert!(matches!(error, Error::ParentInPath { path } if path == b"a/../b"));
}

#[test]
fn pieces_of_a_sparse_file_keep_their_offsets_and_holes_take_no_space() {
    // Offsets of pieces of 100 bytes each; the file ends after the last one, or later.
    let cases: [(&[u64], u64, usize); 7] = [
        (&[], 1 << 40, 1),
        (&[0], 100, 1),
        (&[5000], 1 << 20, 2),
        (&[0, 100, 4000, 4100, 8192], 8292, 1),
        (&[0, 1 << 20], 1 << 21, 3),
        (&[8191, 8291, 20_480], 30_000, 4),
        (&[40_960], 41_060, 2),
    ];
    for (offsets, size, most) in cases {
        let byte = |at: u64| u8::try_from(at % 251 + 1).unwrap();
        let image = image(|builder| {
            let pieces = offsets
                .iter()
                .map(|&at| (at, io::repeat(byte(at)).take(100)));
            builder.sparse_file("f", 0o600, size, pieces)
        });
        let inode = image.lookup_path("f").unwrap().unwrap();
        assert_eq!(inode.size, size);
        for &at in offsets {
            let mut found = [0; 100];
            image.read_at(&inode, at, &mut found).unwrap();
            assert_eq!(found, [byte(at); 100], "{offsets:?} {at}");
            let mut before = [7];
            if at > 0 && !offsets.contains(&(at - 100)) {
                image.read_at(&inode, at - 1, &mut before).unwrap();
                assert_eq!(before, [0], "{offsets:?} {at}");
            }
        }
        let extents = image.extents(&inode).unwrap().map(Result::unwrap);
        let merged = extents.fold(Vec::new(), |mut kinds: Vec<bool>, extent| {
            let is_hole = matches!(extent.place, Place::Hole);
            if kinds.last() != Some(&is_hole) {
                kinds.push(is_hole);
            }
            kinds
        });
        assert!(merged.len() <= most + 1, "{offsets:?}: {merged:?}");
        assert!(image.superblock().blocks.get() < 12);
    }
}

#[test]
fn pieces_that_overlap_or_exceed_the_file_are_refused() {
    for (pieces, at) in [
        (&[(10, &b"abc"[..]), (12, b"x")][..], 12),
        (&[(10, b"abc"), (4, b"x")], 4),
        (&[(99, b"ab")], 99),
        (&[(101, b"a")], 101),
        (&[(u64::MAX, b"ab")], u64::MAX),
    ] {
        let error = builder()
            .sparse_file("a/f", 0o600, 100, pieces.iter().copied())
            .unwrap_err();
        assert!(
            matches!(&error, Error::Piece { path, offset, size: 100 } if path == b"a/f" && *offset == at),
            "{error}"
        );
    }
}
