//! TRAPS.md, "EROFS": what is written is read back, by a reader that shares nothing with the writer but the format; what
//! EROFS cannot hold is an error with a name.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::io::{self, Cursor, Read, Seek, SeekFrom, Write};

use erofs_format::{BLOCK_SIZE, Crc32c, HOLE};
use erofs_reader::{CheckOptions, DataLayout, Image, Place, check, dump};
use erofs_writer::{
    Attributes, Builder, Device, Error, Feature, ImageWriter, InodeProblem, KernelVersion,
    MemoryInline, Metadata, NewContent, NewNode, NoInline, Options, Timestamp, Tree, Written,
};

const BLOCK: u64 = BLOCK_SIZE as u64;

fn metadata(mode: u16) -> Metadata {
    Metadata {
        mode,
        ..Metadata::default()
    }
}

fn with(metadata: Metadata, xattrs: &[(&[u8], &[u8])]) -> Attributes {
    let set =
        |attributes: Attributes, (name, value): &(&[u8], &[u8])| attributes.xattr(name, value);
    xattrs.iter().fold(metadata.into(), set)
}

/// Why the first of these paths cannot be written.
fn problem(error: Error, expected: &[u8]) -> InodeProblem {
    match error {
        Error::Inode { path, problem } if path == expected => problem,
        error => panic!("{error}"),
    }
}

fn builder() -> Builder<Cursor<Vec<u8>>> {
    Builder::new(Cursor::new(Vec::new())).unwrap()
}

/// An image by its builder, whose bytes have been checked for all that has to hold of every image.
fn image(build: impl Fn(&mut Builder<Cursor<Vec<u8>>>) -> Result<(), Error>) -> Image<Vec<u8>> {
    let once = || {
        let mut image = builder();
        build(&mut image).unwrap();
        let (written, output) = image.finish().unwrap();
        (written, output.into_inner())
    };
    let (written, bytes) = once();
    assert!(once().1 == bytes, "the same gives the same bytes");
    sound(written, bytes)
}

fn sound(written: Written, bytes: Vec<u8>) -> Image<Vec<u8>> {
    assert_eq!(
        (written.bytes(), written.crc32c),
        (bytes.len() as u64, Crc32c::of(&bytes))
    );
    let image = Image::open(bytes).unwrap();
    assert_eq!(image.superblock().inos.get(), written.inodes);
    assert_eq!(image.root().unwrap().nid, 1);
    check(&image, &CheckOptions::default()).unwrap();
    image
}

fn text(image: &Image<Vec<u8>>) -> String {
    let mut text = Vec::new();
    dump(image, &mut text).unwrap();
    String::from_utf8(text).unwrap()
}

#[test]
fn an_empty_image_is_a_root() {
    let image = image(|_| Ok(()));
    assert_eq!(text(&image), "/ d 0755 0:0 nlink=2 mtime=0.000000000\n");
    assert_eq!(image.superblock().blocks.get(), 2);
}

#[test]
fn dot_and_dot_dot_stand_in_their_sorted_place() {
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
    // Behind the first block, names of 4 bytes take 16 bytes each: 256 of them are a block.
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
fn tails_of_every_length_behind_inodes_of_every_length() {
    // Symlinks are kept with their inodes; xattrs shift what is behind an inode, and a time makes it a long one.
    let value = [7; 40];
    let image = image(|builder| {
        for len in (1..4096).step_by(37) {
            let target = vec![b't'; len];
            let xattrs: &[(&[u8], &[u8])] = &[(b"user.a", &value[..len % 41])];
            let mut metadata = metadata(0o777);
            metadata.mtime.secs = i64::try_from(len % 3).unwrap();
            let some = if len % 5 == 0 { &[][..] } else { xattrs };
            builder.symlink(format!("l{len}").as_bytes(), with(metadata, some), &target)?;
        }
        Ok(())
    });
    for len in (1..4096).step_by(37) {
        let inode = image
            .lookup_path(format!("/l{len}").as_bytes())
            .unwrap()
            .unwrap();
        assert_eq!(image.read_link(&inode).unwrap(), vec![b't'; len]);
        assert_eq!(
            image.xattrs(&inode).unwrap().len(),
            usize::from(len % 5 != 0)
        );
    }
}

#[test]
fn inodes_that_fill_gaps_keep_their_data() {
    let options = Options {
        inline_max_bytes: 4096,
        ..Options::default()
    };
    let mut builder = Builder::with_options(Cursor::new(Vec::new()), options).unwrap();
    let data = |index: usize| vec![u8::try_from(index % 251).unwrap(); [1500, 0, 40, 0][index % 4]];
    for index in 0..2000 {
        let path = format!("d{}/{index:04}", index / 100);
        builder.file(path, 0o644, &data(index)[..]).unwrap();
        let path = format!("d{}/{index:04}-hole", index / 100);
        let size = index as u64 % 3 * BLOCK;
        builder.sparse_file::<&[u8]>(path, 0o644, size, []).unwrap();
    }
    let (written, output) = builder.finish().unwrap();
    let image = sound(written, output.into_inner());
    let mut last = 0;
    let mut backward = 0;
    for index in 0..2000 {
        let path = format!("d{}/{index:04}", index / 100);
        let inode = image.lookup_path(path).unwrap().unwrap();
        let mut read = vec![0; data(index).len()];
        assert_eq!(image.read_at(&inode, 0, &mut read).unwrap(), read.len());
        assert_eq!((read.len() as u64, &read), (inode.size, &data(index)));
        backward += usize::from(std::mem::replace(&mut last, inode.nid) > inode.nid);
    }
    assert!(
        backward > 100,
        "{backward} inodes stand before their neighbour"
    );
    // Two of the 500 long inodes fill three quarters of a block; all short ones fit into the rest. Then 20 directories.
    assert!(written.blocks <= 1 + 252 + 20, "{} blocks", written.blocks);
}

#[test]
fn an_inode_in_a_gap_before_the_root_is_not_taken_for_the_root() {
    for xattr in [1000, 2000, 3000, 60_000] {
        let mut builder = builder();
        let attributes = Attributes::new(0o755).xattr("user.a", vec![7; xattr]);
        builder.directory(b"", attributes).unwrap();
        for index in 0..60 {
            builder
                .file(format!("{index:020}"), 0o644, &b""[..])
                .unwrap();
        }
        let (_, output) = builder.finish().unwrap();
        let image = Image::open(output.into_inner()).unwrap();
        check(&image, &CheckOptions::default()).unwrap();
        let root = image.root().unwrap();
        let first = image.lookup_path(format!("{:020}", 0)).unwrap().unwrap();
        assert_eq!(first.nid < root.nid, xattr > 2000, "{xattr}");
        assert_eq!(image.xattrs(&root).unwrap()[0].value.len(), xattr);
    }
}

#[test]
fn compact_and_extended_inodes() {
    let odd = [
        Metadata {
            uid: 65_535,
            gid: 65_535,
            ..metadata(0o7777)
        },
        Metadata {
            uid: 65_536,
            ..metadata(0)
        },
        Metadata {
            gid: u32::MAX,
            ..metadata(0o644)
        },
        Metadata {
            mtime: Timestamp {
                secs: i64::MIN,
                nanos: 0,
            },
            ..metadata(0o644)
        },
        Metadata {
            mtime: Timestamp {
                secs: i64::MAX,
                nanos: 999_999_999,
            },
            ..metadata(0o644)
        },
        Metadata {
            mtime: Timestamp { secs: -1, nanos: 1 },
            ..metadata(0o644)
        },
    ];
    let image = image(|builder| {
        for (index, metadata) in odd.into_iter().enumerate() {
            builder.file(format!("f{index}").as_bytes(), metadata, &b"x"[..])?;
        }
        Ok(())
    });
    for (index, metadata) in odd.into_iter().enumerate() {
        let inode = image
            .lookup_path(format!("/f{index}").as_bytes())
            .unwrap()
            .unwrap();
        let time = Timestamp {
            secs: inode.mtime_secs,
            nanos: inode.mtime_nanos,
        };
        let found = Metadata {
            mode: inode.mode & 0o7777,
            uid: inode.uid,
            gid: inode.gid,
            mtime: time,
        };
        assert_eq!(found, metadata);
        assert_eq!(inode.extended, index > 0, "{index}");
    }
}

#[test]
fn more_names_than_16_bits_make_an_extended_inode() {
    let image = image(|builder| {
        builder.file(b"f", 0o644, &b"x"[..])?;
        (0..65_536).try_for_each(|index| builder.hard_link(format!("l{index}").as_bytes(), b"f"))
    });
    let inode = image.lookup_path(b"/f").unwrap().unwrap();
    assert_eq!((inode.nlink, inode.extended), (65_537, true));
}

#[test]
fn xattrs_of_every_body_length_and_more_than_255_shared_ones() {
    let names: Vec<String> = (0..300)
        .map(|index| format!("user.shared-name-{index:03}"))
        .collect();
    let shared: Vec<(&[u8], &[u8])> = names
        .iter()
        .map(|name| (name.as_bytes(), &b"one and the same value"[..]))
        .collect();
    let image = image(|builder| {
        for index in 0..3 {
            builder.directory(
                format!("d{index}").as_bytes(),
                with(metadata(0o755), &shared),
            )?;
        }
        for len in 0..40 {
            let value = vec![b'v'; len];
            let xattrs: &[(&[u8], &[u8])] = &[(b"security.capability", &value)];
            builder.file(
                format!("f{len}").as_bytes(),
                with(metadata(0o644), xattrs),
                &vec![1; 5000][..],
            )?;
        }
        Ok(())
    });
    for index in 0..3 {
        let inode = image
            .lookup_path(format!("/d{index}").as_bytes())
            .unwrap()
            .unwrap();
        assert_eq!(image.xattrs(&inode).unwrap().len(), 300);
    }
    for len in 0..40 {
        let inode = image
            .lookup_path(format!("/f{len}").as_bytes())
            .unwrap()
            .unwrap();
        assert_eq!(image.xattrs(&inode).unwrap()[0].value, vec![b'v'; len]);
    }
}

/// A tree of one file, written over devices of so many blocks.
fn over_devices(
    blocks: &[u32],
    size: u64,
    content: NewContent<'_>,
    xattr: usize,
) -> Result<Image<Vec<u8>>, Error> {
    let devices = blocks.iter().map(|&blocks| Device {
        tag: b"t".to_vec(),
        blocks,
    });
    let options = Options {
        devices: devices.collect(),
        ..Options::default()
    };
    let mut builder = Builder::with_options(Cursor::new(Vec::new()), options)?;
    let value = vec![b'v'; xattr];
    let xattrs: &[(&[u8], &[u8])] = &[(b"security.capability", &value)];
    let node = NewNode::Regular {
        size,
        crc32c: 0,
        content,
    };
    builder.node(
        b"f",
        with(metadata(0o644), if xattr == 0 { &[] } else { xattrs }),
        node,
    )?;
    let (_, output) = builder.finish()?;
    let image = Image::open_metadata(output.into_inner()).unwrap();
    check(&image, &CheckOptions::default()).unwrap();
    Ok(image)
}

#[test]
fn a_chunk_index_begins_at_the_inodes_end_plus_xattrs_aligned_up_to_8() {
    for xattr in 0..30 {
        let content = NewContent::Contiguous {
            device: 2,
            offset: 3 * BLOCK,
        };
        let image = over_devices(&[10, 20], 5 * BLOCK + 1, content, xattr).unwrap();
        let inode = image.lookup_path(b"/f").unwrap().unwrap();
        assert_eq!(inode.layout, DataLayout::ChunkBased);
        let extents: Vec<_> = image.extents(&inode).unwrap().map(Result::unwrap).collect();
        assert_eq!(extents.len(), 1, "{xattr}");
        assert!(!matches!(extents[0].place, Place::Hole));
    }
}

#[test]
fn a_hole_is_all_ones_and_nothing_with_a_size_is() {
    for size in [1, BLOCK, 1 << 40, 8 << 40] {
        let image = over_devices(&[], size, NewContent::Absent, 0).unwrap();
        let inode = image.lookup_path(b"/f").unwrap().unwrap();
        assert!(
            image
                .extents(&inode)
                .unwrap()
                .all(|extent| matches!(extent.unwrap().place, Place::Hole))
        );
    }
    let image = over_devices(&[], 0, NewContent::Absent, 0).unwrap();
    let inode = image.lookup_path(b"/f").unwrap().unwrap();
    assert_eq!((inode.layout, inode.size), (DataLayout::FlatPlain, 0));
    assert_eq!(HOLE, u32::MAX);
}

#[test]
fn device_slots_are_cumulative_and_checked_for_overflow() {
    let content = |device| NewContent::Contiguous { device, offset: 0 };
    let image = over_devices(&[10, 20, 1 << 31], 5, content(3), 0).unwrap();
    let own = image.superblock().blocks.get();
    let slots: Vec<_> = image
        .devices()
        .iter()
        .map(|device| (device.uniaddr, device.blocks))
        .collect();
    assert_eq!(slots, [(own, 10), (own + 10, 20), (own + 30, 1 << 31)]);
    for blocks in [&[u32::MAX][..], &[1 << 31, 1 << 31], &[u32::MAX - 1, 1]] {
        assert!(
            matches!(
                over_devices(blocks, 5, content(1), 0),
                Err(Error::ImageTooLarge)
            ),
            "{blocks:?}"
        );
    }
}

#[test]
fn pieces_that_a_device_does_not_have_are_refused() {
    let at = |device, offset| NewContent::Contiguous { device, offset };
    for (size, content) in [
        (1, at(2, 0)),
        (1, at(1, 10 * BLOCK)),
        (BLOCK + 1, at(1, 9 * BLOCK)),
        (1, at(1, 1)),
        (u64::MAX, at(1, 0)),
        (1, at(1, u64::MAX - 4095)),
        (1, at(0, BLOCK * 100)),
    ] {
        let error = over_devices(&[10], size, content, 0).unwrap_err();
        assert!(
            matches!(problem(error, b"f"), InodeProblem::Extent { .. }),
            "{content:?}"
        );
    }
}

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
        let devices = vec![Device {
            tag: vec![b't'; len],
            blocks: 1,
        }];
        let result = Builder::with_options(
            Cursor::new(Vec::new()),
            Options {
                devices,
                ..Options::default()
            },
        );
        assert!(
            matches!(result, Err(Error::DeviceTag { device_id: 1, len: found }) if found == len)
        );
    }
    let devices = vec![
        Device {
            tag: b"t".to_vec(),
            blocks: 1
        };
        65_536
    ];
    let result = Builder::with_options(
        Cursor::new(Vec::new()),
        Options {
            devices,
            ..Options::default()
        },
    );
    assert!(matches!(result, Err(Error::TooManyDevices { .. })));
}

#[test]
fn inline_data_comes_back_and_a_store_that_has_lost_it_is_an_error() {
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

/// Takes so many bytes and no more.
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
fn hard_links_in_a_circle_or_to_nothing_and_paths_with_dots_are_refused() {
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
fn pieces_of_a_sparse_file_keep_their_places_and_holes_take_no_room() {
    // Places of pieces, each of 100 bytes; the file ends behind the last one, or later.
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
        let merged = extents.fold(Vec::new(), |mut sum: Vec<bool>, extent| {
            let is_hole = matches!(extent.place, Place::Hole);
            if sum.last() != Some(&is_hole) {
                sum.push(is_hole);
            }
            sum
        });
        assert!(merged.len() <= most + 1, "{offsets:?}: {merged:?}");
        assert!(image.superblock().blocks.get() < 12);
    }
}

#[test]
fn pieces_that_overlap_or_leave_the_file_are_refused() {
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

#[test]
fn small_files_are_inline_up_to_a_length() {
    for (max, inline) in [(0, 0), (100, 100), (4096, 4096), (u16::MAX, 4096)] {
        let options = Options {
            inline_max_bytes: max,
            ..Options::default()
        };
        let mut builder = Builder::with_options(Cursor::new(Vec::new()), options).unwrap();
        for size in [0_usize, 1, 100, 101, 2048, 2049, 4095, 4096, 4097, 300_000] {
            builder
                .file(format!("{size}"), 0o600, &vec![3; size][..])
                .unwrap();
        }
        let (written, output) = builder.finish().unwrap();
        let image = sound(written, output.into_inner());
        for size in [0_usize, 1, 100, 101, 2048, 2049, 4095, 4096, 4097, 300_000] {
            let inode = image.lookup_path(format!("{size}")).unwrap().unwrap();
            let mut data = Vec::new();
            image
                .open_file(&inode)
                .unwrap()
                .read_to_end(&mut data)
                .unwrap();
            assert_eq!(data, vec![3; size]);
            // The longest tail behind an inode is half a block; longer ones lie in blocks behind the inodes.
            let is_inline = inode.layout == DataLayout::FlatInline;
            assert_eq!(
                is_inline,
                size > 0 && size <= inline.min(2048),
                "{max} {size}"
            );
        }
    }
}

#[test]
fn a_fixed_time_makes_images_of_one_tree_at_two_times_equal() {
    let at = |secs| {
        let options = Options {
            fixed_time: Some(Timestamp {
                secs: 1_700_000_000,
                nanos: 5,
            }),
            uuid: [9; 16],
            ..Options::default()
        };
        let mut builder = Builder::with_options(Cursor::new(Vec::new()), options).unwrap();
        builder
            .file("f", Attributes::new(0o644).mtime(secs, 7), &b"x"[..])
            .unwrap();
        let (written, output) = builder.finish().unwrap();
        sound(written, output.into_inner())
    };
    let image = at(1);
    assert_eq!(text(&image), text(&at(2)));
    assert_eq!(image.superblock().uuid, [9; 16]);
    for path in ["/", "f"] {
        let inode = image.lookup_path(path).unwrap().unwrap();
        assert_eq!(
            (inode.mtime_secs, inode.mtime_nanos, inode.extended),
            (1_700_000_000, 5, false)
        );
    }
    let options = Options {
        fixed_time: Some(Timestamp { secs: -5, nanos: 0 }),
        ..Options::default()
    };
    let image = Builder::with_options(Cursor::new(Vec::new()), options).unwrap();
    let (written, output) = image.finish().unwrap();
    assert_eq!(
        sound(written, output.into_inner())
            .root()
            .unwrap()
            .mtime_secs,
        -5
    );
}

/// Options for a declared kernel, with a device or without.
fn for_kernel(major: u16, minor: u16, devices: usize) -> Options {
    Options {
        minimum_kernel: KernelVersion::new(major, minor),
        devices: vec![
            Device {
                tag: b"d".to_vec(),
                blocks: 10
            };
            devices
        ],
        ..Options::default()
    }
}

#[test]
fn a_feature_that_the_declared_kernel_lacks_is_refused_by_name() {
    let new = |options| Builder::with_options(Cursor::new(Vec::new()), options);
    let error = new(for_kernel(5, 15, 1)).unwrap_err();
    let expected =
        "a device table: from Linux 5.16 on, and the image is declared to be read by 5.15";
    assert_eq!(error.to_string(), expected);
    assert!(matches!(
        error,
        Error::Kernel { feature: Feature::DeviceTable, needed, declared }
            if needed == KernelVersion::new(5, 16) && declared == KernelVersion::new(5, 15)
    ));

    let mut old = new(for_kernel(5, 14, 0)).unwrap();
    old.sparse_file::<&[u8]>("dir/hole", 0o600, 5, []).unwrap();
    let error = old.finish().unwrap_err();
    assert!(error.to_string().starts_with("dir/hole: "), "{error}");
    assert!(matches!(
        problem(error, b"dir/hole"),
        InodeProblem::Kernel {
            feature: Feature::ChunkedFile,
            ..
        }
    ));

    let mut old = new(for_kernel(5, 4, 0)).unwrap();
    old.file("f", 0o600, &vec![1; 9000][..]).unwrap();
    let (written, output) = old.finish().unwrap();
    assert_eq!(written.minimum_kernel, KernelVersion::new(5, 4));
    sound(written, output.into_inner());
}

#[test]
fn an_image_says_which_kernel_it_needs() {
    for (devices, hole, needed) in [(0, false, (5, 4)), (0, true, (5, 15)), (1, false, (5, 16))] {
        let options = for_kernel(6, 12, devices);
        let mut builder = Builder::with_options(Cursor::new(Vec::new()), options).unwrap();
        if hole {
            builder.sparse_file::<&[u8]>("h", 0o600, 5, []).unwrap();
        }
        let (written, output) = builder.finish().unwrap();
        let image = Image::open_metadata(output.into_inner()).unwrap();
        let needed = KernelVersion::new(needed.0, needed.1);
        assert_eq!(
            (written.minimum_kernel, image.minimum_kernel()),
            (needed, needed)
        );
    }
}

/// An image with so many files of different values under one long name, and of one value under many names.
fn long_names(files: usize, kernel: KernelVersion) -> (Written, Image<Vec<u8>>) {
    let options = Options {
        minimum_kernel: kernel,
        ..Options::default()
    };
    let mut builder = Builder::with_options(Cursor::new(Vec::new()), options).unwrap();
    for index in 0..files {
        let attributes = Attributes::new(0o644)
            .xattr("trusted.overlay.redirect", format!("/path/{index}"))
            .xattr(format!("user.org.example.application.{index}"), "y")
            .xattr("user.x", "z");
        builder
            .file(format!("f{index:05}"), attributes, &b"data"[..])
            .unwrap();
    }
    let (written, output) = builder.finish().unwrap();
    (written, sound(written, output.into_inner()))
}

#[test]
fn long_xattr_name_prefixes_are_used_where_they_save_a_block() {
    let new = KernelVersion::new(6, 4);
    let (written, image) = long_names(2000, new);
    let (old_written, old) = long_names(2000, KernelVersion::new(6, 3));
    assert_eq!(text(&image), text(&old), "the same tree");
    assert_eq!(
        (written.minimum_kernel, old_written.minimum_kernel),
        (new, KernelVersion::BASE)
    );
    assert!(image.superblock().xattr_prefix_count > 0 && old.superblock().xattr_prefix_count == 0);
    // Two names of 17 and 24 bytes that are no longer stored 2000 times.
    let saved = old_written.bytes() - written.bytes();
    assert!(saved > 60_000, "{saved}");

    let (written, image) = long_names(50, new);
    assert_eq!(
        (
            written.minimum_kernel,
            image.superblock().xattr_prefix_count
        ),
        (KernelVersion::BASE, 0)
    );
}

#[test]
fn a_file_that_needs_too_many_chunks_is_named() {
    let mut builder = builder();
    builder
        .sparse_file("dir/sparse", 0o600, 1 << 40, [(4096, &b"x"[..])])
        .unwrap();
    builder.hard_link("z", "dir/sparse").unwrap();
    let error = builder.finish().unwrap_err();
    assert_eq!(
        error.to_string(),
        "dir/sparse: its 1099511627776 bytes need 268435456 chunk indexes; the limit is 1048576"
    );
    assert!(matches!(
        problem(error, b"dir/sparse"),
        InodeProblem::TooManyChunks { .. }
    ));
}
