//! Options: lengths, times, and what kernels read.

use super::*;

#[test]
fn small_files_are_inline_up_to_a_length() {
    for (max, inline) in [(0, 0), (100, 100), (4096, 4096), (u16::MAX, 4096)] {
        let options = Options::default().with_inline_max_bytes(max);
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
        let options = Options::default()
            .with_fixed_time(Timestamp {
                secs: 1_700_000_000,
                nanos: 5,
            })
            .with_uuid([9; 16]);
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
    let options = Options::default().with_fixed_time(Timestamp { secs: -5, nanos: 0 });
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
    Options::default()
        .with_minimum_kernel(KernelVersion::new(major, minor))
        .with_devices(vec![Device::new(b"d", 10); devices])
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
    let options = Options::default().with_minimum_kernel(kernel);
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
