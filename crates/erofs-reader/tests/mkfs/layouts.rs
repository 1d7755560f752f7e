//! Layouts that can be read, and unsupported ones, which are refused by name.

use super::*;

/// Returns the expected dump of an image of this directory, from the host's own system calls.
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
        let checksum = Crc32c::of(&fs::read(at).unwrap()).get();
        write!(out, " size={} crc32c={checksum:08x}", meta.len()).unwrap();
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

#[track_caller]
fn assert_same(actual: &str, expected: &str, flags: &[&str]) {
    for (actual, expected) in actual.lines().zip(expected.lines()) {
        assert_eq!(actual, expected, "with {flags:?}");
    }
    assert_eq!(actual.lines().count(), expected.lines().count());
}

#[test]
fn every_uncompressed_layout_reads_back_as_its_source() {
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
    // mkfs.erofs 1.9 stores whole seconds in compact inodes here unless told otherwise.
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
fn compressed_images_open_and_only_their_data_is_refused() {
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
        // The tree and the uncompressed files can be read.
        assert_eq!(image.walk(&Limits::default()).map(count).unwrap(), paths);
        let link = image.lookup_path("dir/link").unwrap().unwrap();
        assert_eq!(image.read_link(&link).unwrap(), b"../long");
    }
}

#[test]
fn unsupported_layouts_are_refused_on_opening() {
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
fn an_image_has_the_minimum_kernel_of_its_features() {
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
