//! Runs the examples on real trees; fsck.erofs, mkfs.erofs and the kernel's mount are the oracles.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "../examples/from_directory.rs"]
#[allow(dead_code, reason = "the example's own main is not called")]
mod from_directory;
#[path = "../examples/from_tar.rs"]
#[allow(dead_code, reason = "the example's own main is not called")]
mod from_tar;
#[path = "../examples/merge_two.rs"]
#[allow(dead_code, reason = "the example's own main is not called")]
mod merge_two;

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use erofs_reader::{CheckOptions, Image, check, dump};
use msb_testkit::mount::KernelMount;
use msb_testkit::tar::recipe;
use msb_testkit::tree::{Ignore, Listing};
use msb_testkit::{erofs_tools, oracle};
use tempfile::TempDir;

/// A tree with everything that a tar file and the `tar` crate support.
const LOWER: &str = "dir . mode=0750 mtime=7
dir a mode=0700 mtime=1.5
file a/long size=1000000 seed=1 xattr.user.x=1
file a/block size=4096 seed=2
file a/tail size=4097 seed=3 uid=70000 gid=4000000000
file a/small data=hello xattr.security.capability=hex:0100000200040000000000000000000000000000
file a/empty
link b/other target=a/long
symlink l target=a/small
char null dev=1:3
block disk dev=8:17
fifo pipe mode=0600
file b/gone size=9000 seed=4
file old data=x mtime=-1.25
dir c/d/e mode=1777";

const UPPER: &str = "file a/block size=5000 seed=5
char b/gone dev=0:0
char l dev=0:0
link new/name target=new/file
file c/d/f size=20000 seed=6 xattr.user.y=2";

struct World {
    dir: TempDir,
}

impl World {
    fn new() -> Self {
        let _ = oracle::require(oracle::Tool::FsckErofs);
        Self {
            // Next to the target directory, because a memory file system may not support user xattrs.
            dir: tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap(),
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn image_of(&self, name: &str, text: &str) -> PathBuf {
        let image = self.path(name);
        from_tar::build(&recipe(text)[..], &image).unwrap();
        sound(&image, &[]);
        image
    }
}

/// Returns the tree that the kernel shows of an image, after our reader and fsck.erofs have accepted it.
fn sound(image: &Path, devices: &[&Path]) -> Listing {
    let open = |path: &Path| File::open(path).unwrap();
    let files = devices.iter().map(|path| open(path)).collect();
    let ours = Image::open_with_devices(open(image), files).unwrap();
    check(&ours, &CheckOptions::default()).unwrap();
    dump(&ours, &mut Vec::new()).unwrap();
    erofs_tools::fsck(image, devices).unwrap();
    let mount = KernelMount::erofs(image, devices).unwrap();
    Listing::walk(mount.path()).unwrap()
}

#[test]
fn from_directory_equals_the_directory_and_mkfs_erofs() {
    let world = World::new();
    // A tree with all of it on disk: extracted by fsck.erofs.
    let (tree, image, other) = (world.path("tree"), world.path("image"), world.path("other"));
    erofs_tools::extract(&world.image_of("tar", LOWER), &[], &tree).unwrap();
    from_directory::build(&tree, &image).unwrap();
    let mounted = sound(&image, &[]);
    let source = Listing::walk(&tree).unwrap();
    let nothing = Ignore::default();
    mounted
        .same("image", &source, "directory", &nothing)
        .unwrap();

    // mkfs.erofs stores no nanoseconds in compact inodes, so force extended ones.
    erofs_tools::mkfs(&other, &tree, &["-Eforce-inode-extended"]).unwrap();
    mounted
        .same("image", &sound(&other, &[]), "mkfs.erofs", &nothing)
        .unwrap();
}

#[test]
fn from_tar_equals_mkfs_erofs_on_the_archive() {
    let world = World::new();
    let (archive, other) = (world.path("archive"), world.path("other"));
    fs::write(&archive, recipe(LOWER)).unwrap();
    let mounted = sound(&world.image_of("image", LOWER), &[]);
    erofs_tools::mkfs(&other, &archive, &["--tar=f", "-Eforce-inode-extended"]).unwrap();
    // mkfs.erofs has its own rule for the attributes of directories that the archive only implies.
    let implied = Ignore {
        paths: vec!["/b".to_owned(), "/c".to_owned()],
        ..Ignore::default()
    };
    mounted
        .same("image", &sound(&other, &[]), "mkfs.erofs", &implied)
        .unwrap();
    assert_eq!(
        mounted.get("/b/other").unwrap().link.as_deref(),
        Some(&b"/a/long"[..])
    );
}

#[test]
fn from_tar_takes_what_gnu_tar_writes_by_default() {
    let world = World::new();
    let (tree, archive) = (world.path("tree"), world.path("archive"));
    erofs_tools::extract(&world.image_of("tar", LOWER), &[], &tree).unwrap();
    for format in [
        &[][..],
        &["--format=gnu"],
        &["--format=ustar", "--mtime=@7"],
        &["--format=oldgnu"],
        &["--format=pax", "--xattrs", "--xattrs-include=*"],
    ] {
        let image = world.path("image");
        // A ustar header has no room for large IDs and for times before 1970.
        let owner = ["--owner=0", "--group=0"];
        let mut tar = std::process::Command::new("tar");
        tar.args(format).args(owner).arg("-cf").arg(&archive);
        let status = tar.arg("-C").arg(&tree).arg(".").status().unwrap();
        assert!(status.success(), "{format:?}");
        from_tar::build(File::open(&archive).unwrap(), &image).unwrap();
        let mounted = sound(&image, &[]);
        assert_eq!(
            mounted.get("/a/long").unwrap().size,
            Some(1_000_000),
            "{format:?}"
        );
        assert_eq!(
            mounted.get("/disk").unwrap().rdev,
            Some((8, 17)),
            "{format:?}"
        );
    }
}

#[test]
fn merge_two_points_into_both_images() {
    let world = World::new();
    let (lower, upper) = (
        world.image_of("lower", LOWER),
        world.image_of("upper", &format!("{UPPER}\nfile new/file data=late")),
    );
    let merged = world.path("merged");
    merge_two::build(&lower, &upper, &merged).unwrap();
    let mounted = sound(&merged, &[&lower, &upper]);
    assert!(mounted.get("/b/gone").is_none() && mounted.get("/l").is_none());
    assert_eq!(mounted.get("/a/block").unwrap().size, Some(5000));
    assert_eq!(
        mounted.get("/b/other").unwrap().link.as_deref(),
        Some(&b"/a/long"[..])
    );
    assert_eq!(mounted.get("/new/file").unwrap().nlink, Some(2));

    // All other files are unchanged, wherever their data is.
    let was = sound(&lower, &[]);
    for path in [
        "/a/long", "/a/tail", "/a/small", "/a/empty", "/null", "/disk", "/pipe",
    ] {
        assert_eq!(mounted.get(path), was.get(path), "{path}");
    }
    let bytes = fs::metadata(&merged).unwrap().len();
    assert!(bytes <= 5 * 4096, "{bytes} bytes without the files' own");
    let image = Image::open_metadata(File::open(&merged).unwrap()).unwrap();
    assert_eq!(image.minimum_kernel().to_string(), "5.16");
}
