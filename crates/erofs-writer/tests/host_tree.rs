//! Compares copies of host directories with the directories; fsck.erofs and the kernel's mount are the oracles.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs::{self, File, Permissions};
use std::io::Cursor;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::net::UnixListener;
use std::path::Path;

use erofs_reader::{CheckOptions, Image, check};
use erofs_writer::{Builder, Error, HostOperation, HostTree, Omitted};
use msb_testkit::mount::KernelMount;
use msb_testkit::tree::{Ignore, Listing};
use msb_testkit::{erofs_tools, oracle};
use rustix::fs::{CWD, FileType, Mode, Timespec, Timestamps, XattrFlags};
use tempfile::TempDir;

/// Creates a directory next to the build, because a memory file system may not support user xattrs.
fn folder() -> TempDir {
    tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap()
}

/// Fills a directory with one file of each type.
fn fill(root: &Path) {
    fs::create_dir_all(root.join("a/deep/er")).unwrap();
    fs::write(root.join("a/file"), vec![7; 10_000]).unwrap();
    fs::write(root.join("a/empty"), "").unwrap();
    fs::write(root.join("small"), "hello").unwrap();
    fs::hard_link(root.join("a/file"), root.join("a/deep/again")).unwrap();
    symlink("a/missing", root.join("dangling")).unwrap();
    fs::hard_link(root.join("dangling"), root.join("dangling-too")).unwrap();
    for (name, kind, device) in [
        ("null", FileType::CharacterDevice, (1, 3)),
        ("disk", FileType::BlockDevice, (8, 257)),
        ("pipe", FileType::Fifo, (0, 0)),
    ] {
        let (mode, (major, minor)) = (Mode::from_raw_mode(0o640), device);
        let device = rustix::fs::makedev(major, minor);
        rustix::fs::mknodat(CWD, root.join(name), kind, mode, device).unwrap();
    }
    rustix::fs::chown(
        root.join("small"),
        Some(rustix::fs::Uid::from_raw(70_000)),
        Some(rustix::fs::Gid::from_raw(4)),
    )
    .unwrap();
    fs::set_permissions(root.join("small"), Permissions::from_mode(0o4711)).unwrap();
    fs::set_permissions(root.join("a"), Permissions::from_mode(0o1777)).unwrap();
    for (name, value) in [("user.empty", ""), ("user.long", "value")] {
        rustix::fs::setxattr(
            root.join("small"),
            name,
            value.as_bytes(),
            XattrFlags::empty(),
        )
        .unwrap();
    }
    for (name, secs, nanos) in [
        ("small", -2, 250_000_000),
        ("a/deep", 1_700_000_000, 123_456_789),
    ] {
        let time = Timespec {
            tv_sec: secs,
            tv_nsec: nanos,
        };
        let times = Timestamps {
            last_access: time,
            last_modification: time,
        };
        rustix::fs::utimensat(CWD, root.join(name), &times, rustix::fs::AtFlags::empty()).unwrap();
    }
}

#[test]
fn the_image_equals_the_directory() {
    let _ = oracle::require(oracle::Tool::FsckErofs);
    let dir = folder();
    let (tree, file) = (dir.path().join("tree"), dir.path().join("image"));
    fs::create_dir(&tree).unwrap();
    fill(&tree);
    let mut image = Builder::new(File::create(&file).unwrap()).unwrap();
    let omitted = HostTree::new(&tree).add_to(&mut image, "").unwrap();
    assert_eq!(omitted, []);
    image.finish().unwrap();

    check(
        &Image::open(File::open(&file).unwrap()).unwrap(),
        &CheckOptions::default(),
    )
    .unwrap();
    erofs_tools::fsck(&file, &[]).unwrap();
    let mount = KernelMount::erofs(&file, &[]).unwrap();
    let mounted = Listing::walk(mount.path()).unwrap();
    let source = Listing::walk(&tree).unwrap();
    mounted
        .same("image", &source, "directory", &Ignore::default())
        .unwrap();
    assert_eq!(
        mounted.get("/a/file").unwrap().link.as_deref(),
        Some(&b"/a/deep/again"[..])
    );
}

#[test]
fn omissions_are_reported() {
    let dir = folder();
    let tree = dir.path();
    let socket = tree.join("socket");
    let _listener = UnixListener::bind(&socket).unwrap();
    fs::write(tree.join("file"), "data").unwrap();
    let mut image = Builder::new(Cursor::new(Vec::new())).unwrap();
    let omitted = HostTree::new(tree).add_to(&mut image, "").unwrap();
    assert_eq!(omitted, [Omitted::Socket { path: socket }]);
    let (written, _) = image.finish().unwrap();
    assert_eq!(written.inodes, 2);
}

#[test]
fn the_image_itself_can_lie_in_the_directory() {
    let dir = folder();
    let file = dir.path().join("image");
    fs::write(dir.path().join("data"), "data").unwrap();
    let mut image = Builder::new(File::create(&file).unwrap()).unwrap();
    fs::hard_link(&file, dir.path().join("other name")).unwrap();
    let tree = HostTree::new(dir.path()).exclude(&file).unwrap();
    tree.add_to(&mut image, "below/here").unwrap();
    image.finish().unwrap();
    let image = Image::open(File::open(&file).unwrap()).unwrap();
    let names = |path: &str| {
        let inode = image.resolve_path(path).unwrap().unwrap();
        let names = image.read_dir(&inode).unwrap();
        names.map(|entry| entry.unwrap().name).collect::<Vec<_>>()
    };
    assert_eq!(names("/"), [b"below"]);
    assert_eq!(names("/below/here"), [b"data"]);
}

#[test]
fn equal_trees_result_in_equal_images() {
    let images = [false, true].map(|reversed| {
        let dir = folder();
        let mut names: Vec<_> = (0..200).map(|index| format!("file-{index}")).collect();
        if reversed {
            names.reverse();
        }
        for name in names {
            fs::write(dir.path().join(&name), name).unwrap();
        }
        let options = erofs_writer::Options::default()
            .with_fixed_time(erofs_writer::Timestamp { secs: 1, nanos: 0 });
        let mut image = Builder::with_options(Cursor::new(Vec::new()), options).unwrap();
        HostTree::new(dir.path()).add_to(&mut image, "").unwrap();
        image.finish().unwrap().1.into_inner()
    });
    assert!(images[0] == images[1]);
}

#[test]
fn an_error_has_the_path_and_the_operation() {
    let dir = folder();
    let missing = dir.path().join("missing");
    let mut image = Builder::new(Cursor::new(Vec::new())).unwrap();
    let error = HostTree::new(&missing).add_to(&mut image, "").unwrap_err();
    assert!(matches!(
        &error,
        Error::Host { path, operation: HostOperation::Stat, .. } if *path == missing
    ));
    assert!(error.to_string().ends_with("/missing: read the attributes"));
}
