//! Images of mkfs.erofs, compared with their source directories.
#![cfg(target_os = "linux")] // The sources have device nodes and xattrs of Linux.
#![allow(
    clippy::unwrap_used,
    clippy::cast_possible_truncation,
    reason = "a test fails where its numbers do not fit"
)]

mod access;
#[path = "../common/mod.rs"]
mod common;
mod layouts;

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

/// Fills a directory with one of everything that this user can create.
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
        // Shared by many inodes; mkfs.erofs stores it once.
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

/// Sets the times of all files to whole seconds: mkfs.erofs 1.9 drops the nanoseconds of files as new as the image.
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

struct World {
    _dir: tempfile::TempDir,
    source: PathBuf,
    image: PathBuf,
}

fn world() -> World {
    // Next to the target directory, because a memory file system may not support user xattrs.
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
