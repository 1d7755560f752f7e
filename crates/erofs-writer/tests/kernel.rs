//! What the kernel and fsck.erofs say of long xattr name prefixes, and of inodes that do not stand in the tree's order.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs::File;
use std::path::Path;

use erofs_reader::Image;
use erofs_writer::{Attributes, Builder, KernelVersion, Options};
use msb_testkit::erofs_tools;
use msb_testkit::mount::KernelMount;
use msb_testkit::tree::{Ignore, Listing};

/// Xattrs in every namespace, with names that begin alike, repeat as a whole, or are alone.
fn build(path: &Path, minimum_kernel: KernelVersion) -> u64 {
    let options = Options::default().with_minimum_kernel(minimum_kernel);
    let mut image = Builder::with_options(File::create(path).unwrap(), options).unwrap();
    // Version 2; owner rw, user 1000 r, group r, mask r, others r.
    let entries: [(u8, u8, i32); 5] = [
        (1, 6, -1),
        (2, 4, 1000),
        (4, 4, -1),
        (16, 4, -1),
        (32, 4, -1),
    ];
    let entry =
        |(tag, perm, id): (u8, u8, i32)| [&[tag, 0, perm, 0][..], &id.to_le_bytes()].concat();
    let acl = [vec![2, 0, 0, 0], entries.map(entry).concat()].concat();
    for index in 0..1000 {
        let attributes = Attributes::new(0o644)
            .xattr("trusted.overlay.redirect", format!("/some/where/{index}"))
            .xattr("trusted.overlay.metacopy", index.to_string())
            .xattr(format!("user.org.example.build.{}", index % 300), "y")
            .xattr(format!("user.{index}"), "x")
            .xattr("security.selinux", format!("system_u:object_r:t{index}:s0"))
            .xattr("system.posix_acl_access", &acl);
        image
            .file(format!("d{}/f{index}", index % 9), attributes, &b""[..])
            .unwrap();
    }
    let (written, file) = image.finish().unwrap();
    file.sync_all().unwrap();
    assert!(written.minimum_kernel <= minimum_kernel);
    written.bytes()
}

#[test]
fn names_with_long_prefixes_are_what_the_kernel_shows() {
    let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let (long, plain) = (dir.path().join("long"), dir.path().join("plain"));
    let saved = build(&plain, KernelVersion::new(6, 3)) - build(&long, KernelVersion::new(6, 4));
    assert!(saved > 30_000, "{saved}");
    let image = Image::open(File::open(&long).unwrap()).unwrap();
    assert!(image.superblock().xattr_prefix_count > 3);
    assert_eq!(image.minimum_kernel(), KernelVersion::new(6, 4));

    let shown = [&long, &plain].map(|path| {
        erofs_tools::fsck(path, &[]).unwrap();
        let mount = KernelMount::erofs(path, &[]).unwrap();
        Listing::walk(mount.path()).unwrap()
    });
    let entry = shown[0].get("/d1/f10").unwrap();
    let xattrs = entry.xattrs.as_ref().unwrap();
    assert_eq!(xattrs.len(), 6, "{xattrs:?}");
    assert_eq!(xattrs[&b"trusted.overlay.redirect"[..]], b"/some/where/10");
    shown[0]
        .same("with prefixes", &shown[1], "without", &Ignore::default())
        .unwrap();

    let tree = dir.path().join("tree");
    erofs_tools::extract(&long, &[], &tree).unwrap();
    let extracted = Listing::walk(&tree).unwrap();
    shown[0]
        .same("kernel", &extracted, "fsck.erofs", &Ignore::default())
        .unwrap();
}

#[test]
fn inodes_that_fill_gaps_are_what_the_kernel_shows() {
    let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let options = Options::default().with_inline_max_bytes(2048);
    let path = dir.path().join("gaps");
    let mut image = Builder::with_options(File::create(&path).unwrap(), options).unwrap();
    for index in 0..1000_u32 {
        let data =
            vec![u8::try_from(index % 251).unwrap(); [1500, 0, 40, 2000][index as usize % 4]];
        let attributes = Attributes::new(0o644).mtime(i64::from(index % 3), 0);
        image
            .file(format!("d{}/f{index}", index % 9), attributes, &data[..])
            .unwrap();
        let half = format!("d{}/h{index}", index % 9);
        // A hole, then a block: two chunk indexes. `fsck.erofs` gives no length to a file that ends in a hole.
        let pieces = [(4096, &[7; 904][..])];
        image.sparse_file(half, 0o644, 5000, pieces).unwrap();
    }
    image.finish().unwrap().1.sync_all().unwrap();

    erofs_tools::fsck(&path, &[]).unwrap();
    let mount = KernelMount::erofs(&path, &[]).unwrap();
    for index in 0..1000_u32 {
        let of = |kind| mount.path().join(format!("d{}/{kind}{index}", index % 9));
        let len = [1500, 0, 40, 2000][index as usize % 4];
        let expected = vec![u8::try_from(index % 251).unwrap(); len];
        assert!(std::fs::read(of('f')).unwrap() == expected, "{index}");
        let half = [vec![0; 4096], vec![7; 904]].concat();
        assert!(std::fs::read(of('h')).unwrap() == half, "{index}");
    }
    let shown = Listing::walk(mount.path()).unwrap();
    let tree = dir.path().join("tree");
    erofs_tools::extract(&path, &[], &tree).unwrap();
    let extracted = Listing::walk(&tree).unwrap();
    shown
        .same("kernel", &extracted, "fsck.erofs", &Ignore::default())
        .unwrap();
}
