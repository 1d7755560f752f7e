//! Images of the real mkfs.erofs, held against what was put in.
#![cfg(target_os = "linux")] // The sources have device nodes and xattrs of Linux.
#![allow(
    clippy::unwrap_used,
    clippy::cast_possible_truncation,
    reason = "a test fails where its numbers do not fit"
)]

mod common;

use std::collections::HashMap;
use std::ffi::OsStr;
use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::{Read, Seek, SeekFrom};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, symlink};
use std::path::{Path, PathBuf};
use std::time::{Duration, UNIX_EPOCH};

use common::{mkfs::mkfs, text};
use erofs_format::Crc32c;
use erofs_reader::{
    CheckOptions, DataLayout, FileType, Image, Limits, Place, ReadAt, check, check_with,
};
use rustix::fs::{
    AtFlags, CWD, FileType as HostType, Mode, Timespec, Timestamps, XattrFlags, makedev, mknodat,
    setxattr, utimensat,
};

fn bytes(len: usize, seed: u8) -> Vec<u8> {
    (0..len)
        .map(|i| (i as u8).wrapping_mul(31) ^ (i >> 8) as u8 ^ seed)
        .collect()
}

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// Everything that a file system may hold, as far as this user may make it.
fn source(root: &Path) {
    for (name, len) in [
        ("empty", 0),
        ("one", 1),
        ("block-1", 4095),
        ("block", 4096),
        ("block+1", 4097),
        ("two", 8192),
        ("long", 300_001),
    ] {
        fs::write(root.join(name), bytes(len, 7)).unwrap();
    }
    for name in ["!x", "+x", "-x", "a b", "a=b", "new\nline", "back\\slash"] {
        fs::write(root.join(name), name).unwrap();
    }
    fs::write(root.join(OsStr::from_bytes(b"\xff\xfe not utf-8")), "x").unwrap();
    // mkfs.erofs 1.5 fails with 255.
    fs::write(root.join("n".repeat(254)), "x").unwrap();

    let dir = root.join("dir");
    fs::create_dir(&dir).unwrap();
    fs::create_dir_all(dir.join("a/b/c")).unwrap();
    fs::hard_link(root.join("long"), dir.join("long-too")).unwrap();
    fs::hard_link(root.join("one"), dir.join("a/one-too")).unwrap();
    fs::hard_link(root.join("one"), dir.join("a/b/one-more")).unwrap();
    symlink("../long", dir.join("link")).unwrap();
    symlink("/dir/a", dir.join("absolute")).unwrap();
    symlink("t/".repeat(2047), dir.join("link-4094")).unwrap();

    let many = root.join("many");
    fs::create_dir(&many).unwrap();
    for i in 0..1200 {
        fs::write(many.join(format!("file-{i}")), "").unwrap();
    }

    let sparse = File::create(root.join("sparse")).unwrap();
    sparse.set_len(1 << 20).unwrap();
    std::os::unix::fs::FileExt::write_all_at(&sparse, b"island", 512 * 1024).unwrap();

    let fifo = Mode::from_raw_mode(0o600);
    mknodat(CWD, root.join("fifo"), HostType::Fifo, fifo, 0).unwrap();
    fs::set_permissions(root.join("one"), fs::Permissions::from_mode(0o4755)).unwrap();
    fs::set_permissions(&dir, fs::Permissions::from_mode(0o1777)).unwrap();

    xattr(&root.join("one"), "user.one", b"1");
    xattr(&root.join("two"), "user.empty", b"");
    xattr(&root.join("two"), "user.two", &bytes(300, 1));
    xattr(&dir, "user.dir", b"\0\n=\\ ");
    for i in 0..20 {
        // Shared by many, which mkfs.erofs stores once.
        xattr(&many.join(format!("file-{i}")), "user.shared", &[9; 40]);
        xattr(
            &many.join(format!("file-{i}")),
            "user.own",
            format!("{i}").as_bytes(),
        );
    }
    if is_root() {
        let null = Mode::from_raw_mode(0o666);
        let dev = makedev(1, 3);
        mknodat(CWD, root.join("null"), HostType::CharacterDevice, null, dev).unwrap();
        let dev = makedev(259, 70_000);
        mknodat(CWD, root.join("disk"), HostType::BlockDevice, null, dev).unwrap();
        xattr(&root.join("one"), "trusted.t", b"t");
        chown(root.join("block"), Some(70_000), Some(4_000_000_000)).unwrap();
    }
    settle(root);
    let ages = [
        (
            "two",
            UNIX_EPOCH + Duration::new(1_700_000_000, 123_456_789),
        ),
        ("block", UNIX_EPOCH - Duration::new(1, 500_000_000)),
        ("empty", UNIX_EPOCH + Duration::new(5_000_000_000, 0)),
    ];
    for (name, time) in ages {
        let file = File::options().write(true).open(root.join(name)).unwrap();
        file.set_modified(time).unwrap();
    }
}

/// Gives all files a time of whole seconds: mkfs.erofs 1.9 drops the nanoseconds of those that are as new as the image.
fn settle(at: &Path) {
    if fs::symlink_metadata(at).unwrap().is_dir() {
        for entry in fs::read_dir(at).unwrap() {
            settle(&entry.unwrap().path());
        }
    }
    let time = Timespec {
        tv_sec: 1_600_000_000,
        tv_nsec: 0,
    };
    let times = Timestamps {
        last_access: time,
        last_modification: time,
    };
    utimensat(CWD, at, &times, AtFlags::SYMLINK_NOFOLLOW).unwrap();
}

fn xattr(path: &Path, name: &str, value: &[u8]) {
    setxattr(path, name, value, XattrFlags::empty()).unwrap();
}

/// What the dump of an image of this directory must be, by the host's own system calls.
fn expected(root: &Path) -> String {
    let mut out = String::new();
    let mut first = HashMap::new();
    describe(root, b"", &mut first, &mut out);
    out
}

fn describe(at: &Path, path: &[u8], first: &mut HashMap<u64, String>, out: &mut String) {
    let meta = fs::symlink_metadata(at).unwrap();
    let shown = if path.is_empty() {
        "/".into()
    } else {
        escape(path)
    };
    let letter = match meta.mode() & 0o170_000 {
        0o100_000 => 'f',
        0o040_000 => 'd',
        0o020_000 => 'c',
        0o060_000 => 'b',
        0o010_000 => 'p',
        0o120_000 => 'l',
        other => panic!("mode {other:o}"),
    };
    write!(
        out,
        "{shown} {letter} {:04o} {}:{} nlink={} mtime={}.{:09}",
        meta.mode() & 0o7777,
        meta.uid(),
        meta.gid(),
        meta.nlink(),
        meta.mtime(),
        meta.mtime_nsec()
    )
    .unwrap();
    if let Some(same) = first.get(&meta.ino()).filter(|_| letter != 'd') {
        writeln!(out, " same={same}").unwrap();
        return;
    }
    first.insert(meta.ino(), shown);
    if matches!(letter, 'c' | 'b') {
        let dev = meta.rdev();
        write!(
            out,
            " dev={}:{}",
            rustix::fs::major(dev),
            rustix::fs::minor(dev)
        )
        .unwrap();
    }
    if letter == 'f' {
        let sum = Crc32c::of(&fs::read(at).unwrap()).get();
        write!(out, " size={} crc32c={sum:08x}", meta.len()).unwrap();
    }
    if letter == 'l' {
        let target = fs::read_link(at).unwrap();
        let target = target.as_os_str().as_bytes();
        write!(out, " size={} target={}", target.len(), escape(target)).unwrap();
    }
    for (name, value) in host_xattrs(at) {
        write!(out, " {}={}", escape(&name), escape(&value)).unwrap();
    }
    out.push('\n');
    if letter == 'd' {
        let mut names: Vec<_> = fs::read_dir(at)
            .unwrap()
            .map(|e| e.unwrap().file_name())
            .collect();
        names.sort();
        for name in names {
            let below = [path, b"/", name.as_bytes()].concat();
            describe(&at.join(&name), &below, first, out);
        }
    }
}

fn host_xattrs(at: &Path) -> Vec<(Vec<u8>, Vec<u8>)> {
    let mut list = vec![0; 4096];
    let len = rustix::fs::llistxattr(at, &mut list[..]).unwrap();
    let mut xattrs: Vec<_> = list[..len]
        .split(|byte| *byte == 0)
        .filter(|name| !name.is_empty())
        .map(|name| {
            let mut value = vec![0; 65536];
            let len = rustix::fs::lgetxattr(at, name, &mut value[..]).unwrap();
            value.truncate(len);
            (name.to_vec(), value)
        })
        .collect();
    xattrs.sort();
    xattrs
}

fn escape(bytes: &[u8]) -> String {
    let mut out = String::new();
    for byte in bytes {
        if byte.is_ascii_graphic() && *byte != b'\\' && *byte != b'=' {
            out.push(char::from(*byte));
        } else {
            write!(out, "\\x{byte:02x}").unwrap();
        }
    }
    out
}

struct World {
    _dir: tempfile::TempDir,
    source: PathBuf,
    image: PathBuf,
}

fn world() -> World {
    // Beside the target directory rather than in a memory file system, which may hold no user xattrs.
    let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let source_dir = dir.path().join("source");
    fs::create_dir(&source_dir).unwrap();
    source(&source_dir);
    World {
        source: source_dir,
        image: dir.path().join("image.erofs"),
        _dir: dir,
    }
}

#[track_caller]
fn assert_same(actual: &str, expected: &str, flags: &[&str]) {
    for (actual, expected) in actual.lines().zip(expected.lines()) {
        assert_eq!(actual, expected, "with {flags:?}");
    }
    assert_eq!(actual.lines().count(), expected.lines().count());
}

#[test]
fn every_uncompressed_layout_reads_back_as_what_was_put_in() {
    let world = world();
    let expected = expected(&world.source);
    for flags in [
        &[][..],
        &["-x1"],
        &["-x1000"],
        &["-Enoinline_data"],
        &["-Eforce-inode-extended"],
        &["--chunksize=4096"],
        &["--chunksize=65536"],
        &["-Eforce-chunk-indexes", "--chunksize=16384"],
        &["-Enosbcrc"],
        &["-E^xattr-name-filter"],
        &["--fsalignblks=16", "--dsunit=4"],
        &["--xattr-prefix=user.s", "--xattr-prefix=user.own"],
        &["--xattr-prefix=user.", "-x1", "--chunksize=8192"],
    ] {
        mkfs(flags, &world.image, &world.source);
        let image = Image::open(File::open(&world.image).unwrap()).unwrap();
        let summary = check(&image, &CheckOptions::default())
            .unwrap_or_else(|error| panic!("{flags:?}: {error}"));
        assert_eq!(summary.paths, expected.lines().count() as u64);
        assert_same(&text(&image).unwrap(), &expected, flags);
    }
}

#[test]
fn data_on_an_extra_device_read_back() {
    let world = world();
    let expected = expected(&world.source);
    let blob = world.image.with_extension("blob");
    let flag = format!("--blobdev={}", blob.display());
    // mkfs.erofs 1.9 makes compact inodes of whole seconds here, if it is let.
    let flags = [flag.as_str(), "--chunksize=65536", "-Eforce-inode-extended"];
    mkfs(&flags, &world.image, &world.source);
    let open = |path: &Path| File::open(path).unwrap();

    let image = Image::open_with_devices(open(&world.image), vec![open(&blob)]).unwrap();
    check(&image, &CheckOptions::default()).unwrap();
    assert_same(&text(&image).unwrap(), &expected, &flags);

    // It has no address on a flat disk.
    assert!(Image::open(open(&world.image)).unwrap_err().is_corrupt());
    let image = Image::open_metadata(open(&world.image)).unwrap();
    check(&image, &CheckOptions::default()).unwrap();
    assert!(text(&image).unwrap_err().to_string().contains("device 1"));
}

#[test]
fn fixed_time_and_compact_inodes_read_back() {
    let world = world();
    mkfs(
        &["-T1234567890", "-Eforce-inode-compact", "--all-root"],
        &world.image,
        &world.source,
    );
    let image = Image::open(fs::read(&world.image).unwrap()).unwrap();
    check(&image, &CheckOptions::default()).unwrap();
    for line in text(&image).unwrap().lines() {
        assert!(line.contains(" 0:0 "), "{line}");
        assert!(line.contains(" mtime=1234567890.000000000"), "{line}");
    }
}

#[test]
fn compressed_images_open_and_only_their_data_are_refused() {
    let world = world();
    fs::write(world.source.join("zeros"), [b'a'; 100_000]).unwrap();
    mkfs(&["-zlz4"], &world.image, &world.source);
    let image = Image::open(fs::read(&world.image).unwrap()).unwrap();
    let file = image.lookup_path(b"zeros").unwrap().unwrap();
    assert_eq!((file.layout, file.size), (DataLayout::Compressed, 100_000));
    let error = image.read_at(&file, 0, &mut [0; 10]).unwrap_err();
    assert!(error.is_unsupported() && !error.is_corrupt(), "{error}");
    let paths = expected(&world.source).lines().count() as u64;
    assert_eq!(image.walk(&Limits::default()).map(count).unwrap(), paths);
}

#[test]
fn compressed_layouts_are_refused_by_the_names_of_their_features() {
    let world = world();
    for index in 0..20 {
        let text = format!("some text that repeats {index}\n").repeat(3000);
        fs::write(world.source.join(format!("text-{index}")), text).unwrap();
    }
    let paths = expected(&world.source).lines().count() as u64;
    for (flags, names) in [
        (&["-zlz4"][..], &["zero-padded compression"][..]),
        (&["-zlz4", "-Elegacy-compress"], &["compress"]),
        (&["-zlz4hc", "-C65536"], &["compression configurations"]),
        (&["-zdeflate"], &["compression configurations"]),
        (&["-zlz4", "-Eztailpacking"], &["packed tails"]),
        (&["-zlz4", "-Efragments"], &["fragments"]),
        (&["-zlz4", "-Eall-fragments"], &["fragments"]),
        (&["-zlz4", "-Ededupe"], &["fragments"]),
        (
            &["-zlz4", "-Efragments", "--xattr-prefix=user.s"],
            &["fragments", "long xattr name prefixes"],
        ),
    ] {
        mkfs(flags, &world.image, &world.source);
        let image = Image::open(File::open(&world.image).unwrap()).unwrap();
        let file = image.lookup_path("text-7").unwrap().unwrap();
        assert_eq!(file.layout, DataLayout::Compressed, "{flags:?}");
        let error = image.read_at(&file, 0, &mut [0; 10]).unwrap_err();
        assert!(error.is_unsupported() && !error.is_corrupt(), "{error}");
        for name in names {
            assert!(error.to_string().contains(name), "{flags:?}: {error}");
        }
        // What is not compressed is read, and the tree is.
        assert_eq!(image.walk(&Limits::default()).map(count).unwrap(), paths);
        let link = image.lookup_path("dir/link").unwrap().unwrap();
        assert_eq!(image.read_link(&link).unwrap(), b"../long");
    }
}

#[test]
fn layouts_that_are_not_read_are_refused_when_they_are_opened() {
    let world = world();
    for (flags, names) in [
        (&["-E48bit"][..], &["48-bit addresses"][..]),
        (&["-E48bit", "--chunksize=4096"], &["48-bit addresses"]),
        (&["-zlz4", "-m4096"], &["48-bit addresses", "a metabox"]),
        (&["-b512"], &["blocks of 2^9 bytes"]),
    ] {
        mkfs(flags, &world.image, &world.source);
        let error = Image::open(File::open(&world.image).unwrap()).unwrap_err();
        assert!(
            error.is_unsupported() && !error.is_corrupt(),
            "{flags:?}: {error}"
        );
        for name in names {
            assert!(error.to_string().contains(name), "{flags:?}: {error}");
        }
    }
}

#[test]
fn an_image_says_which_kernel_it_needs() {
    let world = world();
    for (flags, needed) in [
        (&[][..], "5.4"),
        (&["--chunksize=4096"], "5.15"),
        (&["-zlz4", "-Efragments"], "6.1"),
        (&["--xattr-prefix=user.s"], "6.4"),
    ] {
        mkfs(flags, &world.image, &world.source);
        let image = Image::open(File::open(&world.image).unwrap()).unwrap();
        assert_eq!(image.minimum_kernel().to_string(), needed, "{flags:?}");
    }
}

fn count<D: ReadAt>(mut walk: erofs_reader::Walk<'_, D>) -> u64 {
    let mut count = 0;
    while let Some(entry) = walk.next_entry() {
        entry.unwrap();
        count += 1;
    }
    count
}

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
fn extents_tell_where_every_byte_is() {
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
fn every_name_of_a_big_directory_is_found_by_halving_and_no_other() {
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
fn the_proof_hands_out_every_file_once() {
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
