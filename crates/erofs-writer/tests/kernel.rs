//! What the kernel and fsck.erofs say of long xattr name prefixes.
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
    let options = Options {
        minimum_kernel,
        ..Options::default()
    };
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
