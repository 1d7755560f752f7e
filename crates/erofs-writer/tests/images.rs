//! TRAPS.md, "EROFS": what is written is read back, by a reader that shares nothing with the writer but the format; what
//! EROFS cannot hold is an error with a name.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::io::{self, Cursor, Seek, SeekFrom, Write};

use erofs_format::{BLOCK_SIZE, Crc32c, HOLE};
use erofs_reader::{CheckOptions, DataLayout, Image, Place, check, dump};
use erofs_writer::{
    Builder, Device, Error, ImageWriter, MemoryInline, Metadata, NewContent, NewNode, NoInline,
    Options, Timestamp, Tree, Written,
};

const BLOCK: u64 = BLOCK_SIZE as u64;

fn metadata(mode: u16) -> Metadata {
    Metadata {
        mode,
        ..Metadata::default()
    }
}

fn builder() -> Builder<Cursor<Vec<u8>>> {
    Builder::new(Cursor::new(Vec::new()), Options::default()).unwrap()
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
            builder.file(name, metadata(0o644), &[], &mut &b""[..])?;
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
        assert!(image.lookup_path(&[b"/", name].concat()).unwrap().is_some());
    }
}

#[test]
fn directories_at_the_edges_of_their_blocks() {
    // Two dots take 27 bytes of a block, each name of 8 bytes takes 20.
    for count in [0, 1, 100, 101, 102, 202, 203, 204, 205, 206, 407, 408, 2000] {
        let image = image(|builder| {
            for index in 0..count {
                builder.symlink(
                    format!("d/n{index:07}").as_bytes(),
                    metadata(0o777),
                    &[],
                    b"x",
                )?;
            }
            builder.directory(b"d", metadata(0o700), &[])
        });
        assert_eq!(text(&image).lines().count(), count + 2);
    }
    for len in [1, 100, 254, 255] {
        let image = image(|builder| {
            for byte in b'a'..=b'z' {
                builder.symlink(&vec![byte; len], metadata(0o777), &[], b"x")?;
            }
            Ok(())
        });
        assert_eq!(text(&image).lines().count(), 27);
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
            builder.symlink(format!("l{len}").as_bytes(), metadata, some, &target)?;
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
            builder.file(
                format!("f{index}").as_bytes(),
                metadata,
                &[],
                &mut &b"x"[..],
            )?;
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
        builder.file(b"f", metadata(0o644), &[], &mut &b"x"[..])?;
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
            builder.directory(format!("d{index}").as_bytes(), metadata(0o755), &shared)?;
        }
        for len in 0..40 {
            let value = vec![b'v'; len];
            let xattrs: &[(&[u8], &[u8])] = &[(b"security.capability", &value)];
            builder.file(
                format!("f{len}").as_bytes(),
                metadata(0o644),
                xattrs,
                &mut &vec![1; 5000][..],
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
    let mut builder = Builder::new(Cursor::new(Vec::new()), options)?;
    let value = vec![b'v'; xattr];
    let xattrs: &[(&[u8], &[u8])] = &[(b"security.capability", &value)];
    let node = NewNode::Regular {
        size,
        crc32c: 0,
        content,
    };
    builder.node(
        b"f",
        metadata(0o644),
        if xattr == 0 { &[] } else { xattrs },
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
            matches!(error, Error::Extent { .. }),
            "{content:?}: {error}"
        );
    }
}

#[test]
fn names_that_erofs_cannot_hold_are_refused() {
    for name in [&[b'n'; 256][..], b"a\0b"] {
        let mut builder = builder();
        builder.directory(name, metadata(0o755), &[]).unwrap();
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
        builder.directory(b"d", metadata(0o755), &[pair]).unwrap();
        assert!(
            matches!(builder.finish(), Err(Error::Xattr { .. })),
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
    builder.directory(b"d", metadata(0o755), &many).unwrap();
    assert!(matches!(
        builder.finish(),
        Err(Error::XattrsTooLarge { .. })
    ));
}

#[test]
fn device_numbers_and_device_tables_that_erofs_cannot_hold_are_refused() {
    for (major, minor) in [(4096, 0), (0, 1 << 20), (u32::MAX, u32::MAX)] {
        let mut builder = builder();
        builder
            .node(
                b"c",
                metadata(0o644),
                &[],
                NewNode::CharDevice { major, minor },
            )
            .unwrap();
        assert!(matches!(builder.finish(), Err(Error::DeviceNumber { .. })));
    }
    for len in [0, 65] {
        let devices = vec![Device {
            tag: vec![b't'; len],
            blocks: 1,
        }];
        let result = Builder::new(
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
    let result = Builder::new(
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
        let mut builder = Builder::new(Full(Cursor::new(Vec::new()), room), Options::default())?;
        builder.file(b"f", metadata(0o644), &[], &mut &vec![1; 300_000][..])?;
        builder.symlink(b"l", metadata(0o777), &[], &[b't'; 4095])?;
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
    let error = builder()
        .file(b"a/f", metadata(0o644), &[], &mut Failing)
        .unwrap_err();
    assert!(matches!(error, Error::ReadData { path, .. } if path == b"a/f"));
}
