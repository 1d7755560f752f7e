//! Ranges, extents, lookups and paths.

use super::*;

#[test]
fn ranges_of_files_read_as_the_host_reads_them() {
    let world = world();
    for flags in [&[][..], &["--chunksize=4096"], &["--chunksize=16384"]] {
        mkfs(flags, &world.image, &world.source);
        let image = Image::open(fs::read(&world.image).unwrap()).unwrap();
        for name in ["one", "block-1", "block", "block+1", "long", "sparse"] {
            let data = fs::read(world.source.join(name)).unwrap();
            let inode = image.lookup_path(name.as_bytes()).unwrap().unwrap();
            for start in [
                0,
                1,
                4094,
                4095,
                4096,
                4097,
                65_535,
                299_999,
                524_286,
                1 << 20,
            ] {
                for len in [0, 1, 2, 4096, 70_000] {
                    let mut buf = vec![0xaa; len];
                    let read = image.read_at(&inode, start as u64, &mut buf).unwrap();
                    let from = data.len().min(start);
                    assert_eq!(buf[..read], data[from..data.len().min(start + len)]);
                }
            }
            let mut file = image.open_file(&inode).unwrap();
            file.seek(SeekFrom::End(-1)).unwrap();
            let mut rest = Vec::new();
            file.read_to_end(&mut rest).unwrap();
            assert_eq!(rest, data[data.len() - 1..]);
        }
    }
}

#[test]
fn extents_locate_every_byte() {
    let world = world();
    mkfs(&["--chunksize=4096"], &world.image, &world.source);
    let disk = fs::read(&world.image).unwrap();
    let image = Image::open(disk.as_slice()).unwrap();
    let data = fs::read(world.source.join("long")).unwrap();
    let inode = image.lookup_path(b"long").unwrap().unwrap();
    let mut next = 0;
    for extent in image.extents(&inode).unwrap() {
        let extent = extent.unwrap();
        assert_eq!(extent.logical, next);
        next += extent.len;
        let (Place::Device { offset, .. } | Place::Inline { offset }) = extent.place else {
            panic!("a hole in a file without zeros");
        };
        let (logical, offset, len) = (
            extent.logical as usize,
            offset as usize,
            extent.len as usize,
        );
        assert_eq!(disk[offset..offset + len], data[logical..logical + len]);
    }
    assert_eq!(next, data.len() as u64);
}

#[test]
fn every_name_of_a_big_directory_is_found_by_binary_search() {
    let world = world();
    mkfs(&[], &world.image, &world.source);
    let image = Image::open(File::open(&world.image).unwrap()).unwrap();
    let many = image.lookup_path(b"/many/").unwrap().unwrap();
    let mut names = 0;
    for entry in image.read_dir(&many).unwrap() {
        let entry = entry.unwrap();
        assert_eq!(
            image.lookup(&many, &entry.name).unwrap(),
            Some(entry.clone())
        );
        let other = [&entry.name[..], b"\x01"].concat();
        assert_eq!(image.lookup(&many, &other).unwrap(), None);
        names += 1;
    }
    assert_eq!(names, 1200);
    for name in [b"".as_slice(), b"a", b"z", b"\xff"] {
        assert_eq!(image.lookup(&many, name).unwrap(), None);
    }
    let dot_dot = image.lookup(&many, b"..").unwrap().unwrap();
    assert_eq!(dot_dot.nid, image.root().unwrap().nid);
}

#[test]
fn paths_follow_links_inside_the_root_only() {
    let world = world();
    mkfs(&[], &world.image, &world.source);
    let image = Image::open(File::open(&world.image).unwrap()).unwrap();
    let nid = |path: &str| {
        image
            .resolve_path(path.as_bytes())
            .unwrap()
            .map(|inode| inode.nid)
    };
    let long = nid("long");
    assert!(long.is_some());
    assert_eq!(nid("dir/link"), long);
    assert_eq!(nid("/dir/absolute/one-too"), nid("one"));
    assert_eq!(nid("dir/absolute/../link"), long);
    assert_eq!(nid("../../../long"), long);
    assert_eq!(nid("long/x"), None);
    assert_eq!(nid("nothing"), None);

    let link = image.lookup_path(b"dir/link").unwrap().unwrap();
    assert_eq!(link.file_type, FileType::Symlink);
    assert_eq!(image.read_link(&link).unwrap(), b"../long");
    assert_eq!(image.lookup_path(b"dir/absolute/one-too").unwrap(), None);
}

#[test]
fn every_file_is_passed_on_once() {
    let world = world();
    mkfs(&["--chunksize=4096"], &world.image, &world.source);
    let image = Image::open(File::open(&world.image).unwrap()).unwrap();
    let mut seen = 0;
    let summary = check_with(&image, &CheckOptions::default(), |entry, mut reader| {
        let path = OsStr::from_bytes(&entry.path[1..]);
        let mut data = Vec::new();
        reader.read_to_end(&mut data).unwrap();
        assert_eq!(data, fs::read(world.source.join(path)).unwrap());
        seen += 1;
        Ok::<(), erofs_reader::Error>(())
    })
    .unwrap();
    assert_eq!(seen, summary.files);
    assert_eq!(summary.directories, 6);
    assert_eq!(summary.symlinks, 3);
    assert_eq!(summary.paths, summary.inodes + 3);
}
