//! Where inodes stand, and in which form.

use super::*;

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
    let options = Options::default().with_inline_max_bytes(4096);
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
