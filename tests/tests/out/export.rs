//! Exports, compared with what QEMU, GNU tar, umoci, fsck.erofs and the kernel see of the same image.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::Path;
use std::process::Command;

use erofs_reader::{DataLayout, FileType, Image, Limits};
use microsandbox_image::{ExportError, ExportFormat, ExportOptions, NewFileError, PullResult};
use msb_testkit::image::{ImageBuilder, Layer};
use msb_testkit::mount::KernelMount;
use msb_testkit::tree::{Ignore, Listing};
use msb_testkit::worlds::{TAG, World};
use msb_testkit::{erofs_tools, umoci, vmdk};
use rustix::mount::{MountFlags, UnmountFlags};

use super::common::{mounted, walk};
use super::{load, load_layout};

/// Every type of file, and everything that does not fit the fields of a tar header.
fn image() -> ImageBuilder {
    let long = "d".repeat(120);
    let base = format!(
        "dir . mode=0751 uid=3 mtime=951782400\n\
         dir etc mode=0755 mtime=5\n\
         file etc/gone data=x\n\
         file etc/a size=9000 seed=1 mode=4755 uid=3000000 gid=4000000 mtime=-5\n\
         file etc/small data=hello mtime=951782400.123456789 xattr.user.x=hex:00ff0a xattr.user.y=z\n\
         file bin/ping size=70000 seed=2 fill=random xattr.security.capability=hex:0100000200200000000000000000000000000000\n\
         symlink s target=../x\n\
         char c dev=1:3 mode=0666\n\
         block b dev=8:300\n\
         fifo f mode=0600\n\
         dir {long}/{long}\n\
         file {long}/{long}/n data=deep\n\
         symlink long target={long}/{long}/n\n\
         file n\\xff\\x01 data=bytes\n\
         file hole sparse=pax1.0 map=0:4096,4194304:100 size=8388608 seed=3\n\
         file empty size=0"
    );
    let upper = format!(
        "whiteout etc/gone\nlink etc/hard target=etc/a\nlink z target={long}/{long}/n\nlink s2 target=s\n\
         file late size=4096 seed=4"
    );
    ImageBuilder::new()
        .layer(Layer::recipe(&base).gzip())
        .layer(Layer::recipe(&upper).gzip())
}

fn options(format: ExportFormat) -> ExportOptions {
    ExportOptions::default().with_format(format)
}

/// Extracts an archive with GNU tar, as root.
fn extracted(archive: &Path, into: &Path) -> Listing {
    fs::create_dir(into).unwrap();
    let mut tar = Command::new("tar");
    tar.args(["--xattrs", "--xattrs-include=*", "--numeric-owner", "-xpf"]);
    let output = tar.arg(archive).arg("-C").arg(into).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    Listing::walk(into).unwrap()
}

/// Compares the archive of an image with its mounted disk, and with the tree that umoci unpacks from its layers.
fn archive_equals_umoci(result: &PullResult, layout: &Path, tag: &str, folder: &Path) {
    let archive = folder.join("image.tar");
    result
        .export(&archive, &options(ExportFormat::Tar))
        .unwrap();
    let ours = extracted(&archive, &folder.join("extracted"));
    let disk = walk(&mounted(result));
    ours.same("archive", &disk, "disk", &Ignore::default())
        .unwrap();
    let theirs = umoci::unpack(layout, tag, &folder.join("bundle")).unwrap();
    // umoci does not read sparse files.
    let ignore = Ignore {
        paths: vec!["/hole".into()],
        ..umoci::known_losses()
    };
    ours.same("archive", &theirs, "umoci", &ignore).unwrap();
}

#[tokio::test]
async fn a_raw_export_is_the_disk_that_qemu_reads() {
    let folder = tempfile::tempdir().unwrap();
    let result = load(folder.path(), &image()).await;
    let at = |name: &str| folder.path().join(name);
    vmdk::flatten(&result.vmdk, &at("qemu.raw")).unwrap();
    let expected = fs::read(at("qemu.raw")).unwrap();
    let bytes = result.export(at("raw"), &ExportOptions::default()).unwrap();
    assert_eq!(bytes, expected.len() as u64);
    assert!(fs::read(at("raw")).unwrap() == expected);
    let mut stream = Vec::new();
    assert_eq!(
        result.export_to(&mut stream, ExportFormat::Raw).unwrap(),
        bytes
    );
    assert!(stream == expected);
    // To another file system, which shares no blocks.
    let other = Small::new(64 << 20);
    let path = other.0.path().join("raw");
    result.export(&path, &ExportOptions::default()).unwrap();
    assert!(fs::read(&path).unwrap() == expected);
    let mount = KernelMount::erofs(&at("raw"), &[]).unwrap();
    assert_eq!(walk(&mount), walk(&mounted(&result)));
}

#[tokio::test]
async fn a_raw_export_is_as_sparse_as_the_cache() {
    let folder = tempfile::tempdir().unwrap();
    let image = ImageBuilder::new()
        .layer(Layer::recipe("file zeros size=67108864 fill=zero\nfile a size=9000").gzip());
    let result = load(folder.path(), &image).await;
    let raw = folder.path().join("raw");
    result.export(&raw, &ExportOptions::default()).unwrap();
    let allocated = |path: &Path| path.metadata().unwrap().blocks() * 512;
    let cached: u64 = result
        .extents
        .iter()
        .map(|extent| allocated(&extent.path))
        .sum();
    assert!(raw.metadata().unwrap().len() > 64 << 20);
    assert!(
        allocated(&raw) <= cached + (64 << 10),
        "{} {cached}",
        allocated(&raw)
    );
}

#[tokio::test]
async fn a_tar_export_equals_the_tree_of_umoci_and_of_the_kernel() {
    let folder = tempfile::tempdir().unwrap();
    let result = load(folder.path(), &image()).await;
    archive_equals_umoci(&result, &folder.path().join("layout"), "t", folder.path());
    // The same bytes to a stream, and from another cache.
    let expected = fs::read(folder.path().join("image.tar")).unwrap();
    let mut stream = Vec::new();
    result.export_to(&mut stream, ExportFormat::Tar).unwrap();
    assert!(stream == expected);
    let other = load_layout(&folder.path().join("other"), &folder.path().join("layout")).await;
    let mut stream = Vec::new();
    other.export_to(&mut stream, ExportFormat::Tar).unwrap();
    assert!(stream == expected);
}

async fn world_equals_umoci(world: World) {
    let folder = tempfile::tempdir().unwrap();
    let layout = world.layout().unwrap();
    let result = load_layout(&folder.path().join("cache"), &layout).await;
    archive_equals_umoci(&result, &layout, TAG, folder.path());
}

#[tokio::test]
async fn the_archive_of_a_python_application_equals_umoci() {
    world_equals_umoci(World::Python).await;
}

#[tokio::test]
async fn the_archive_of_50_000_files_equals_umoci() {
    world_equals_umoci(World::Node).await;
}

#[tokio::test]
async fn the_archive_of_120_layers_equals_umoci() {
    world_equals_umoci(World::ManyLayers).await;
}

#[tokio::test]
async fn an_erofs_export_is_one_image_of_contiguous_files() {
    let folder = tempfile::tempdir().unwrap();
    let result = load(folder.path(), &image()).await;
    let path = folder.path().join("one.erofs");
    let bytes = result.export(&path, &options(ExportFormat::Erofs)).unwrap();
    assert_eq!(path.metadata().unwrap().len(), bytes);
    erofs_tools::fsck(&path, &[]).unwrap();
    let mount = KernelMount::erofs(&path, &[]).unwrap();
    assert_eq!(walk(&mount), walk(&mounted(&result)));
    let image = Image::open(fs::File::open(&path).unwrap()).unwrap();
    assert!(image.devices().is_empty());
    assert_eq!(image.minimum_kernel().to_string(), "5.4");
    let mut walk = image.walk(&Limits::default()).unwrap();
    while let Some(entry) = walk.next_entry() {
        let inode = entry.unwrap().inode;
        if inode.file_type == FileType::Regular {
            assert_eq!(inode.layout, DataLayout::FlatPlain);
        }
    }
    let error = result
        .export_to(&mut Vec::new(), ExportFormat::Erofs)
        .unwrap_err();
    assert!(matches!(error, ExportError::NoStream { .. }), "{error}");
}

/// A file system of a few bytes.
struct Small(tempfile::TempDir);

impl Small {
    fn new(bytes: u64) -> Self {
        let point = tempfile::tempdir().unwrap();
        let size = std::ffi::CString::new(format!("size={bytes}")).unwrap();
        let flags = MountFlags::NOSUID | MountFlags::NODEV;
        rustix::mount::mount("none", point.path(), "tmpfs", flags, &*size).unwrap();
        Self(point)
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        let _ = rustix::mount::unmount(self.0.path(), UnmountFlags::DETACH);
    }
}

#[tokio::test]
async fn a_full_disk_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let result = load(folder.path(), &image()).await;
    let small = Small::new(64 << 10);
    for format in [ExportFormat::Raw, ExportFormat::Tar, ExportFormat::Erofs] {
        let path = small.0.path().join("out");
        let error = result.export(&path, &options(format)).unwrap_err();
        assert!(error.is_full(), "{format}: {error:?}");
        assert_eq!(fs::read_dir(small.0.path()).unwrap().count(), 0, "{format}");
    }
}

#[tokio::test]
async fn an_existing_file_stays_without_force_and_a_failure_keeps_it_with_force() {
    let folder = tempfile::tempdir().unwrap();
    let result = load(folder.path(), &image()).await;
    let path = folder.path().join("out");
    fs::write(&path, b"mine").unwrap();
    let error = result.export(&path, &ExportOptions::default()).unwrap_err();
    let exists = matches!(error, ExportError::File(NewFileError::Exists { .. }));
    assert!(exists, "{error}");
    assert_eq!(fs::read(&path).unwrap(), b"mine");
    let force = ExportOptions::default().with_force(true);
    // A layer of another length than the record states is found before the file is replaced.
    let layer = &result.layers[1].erofs;
    let whole = fs::read(layer).unwrap();
    fs::set_permissions(layer, fs::Permissions::from_mode(0o644)).unwrap();
    fs::write(layer, &whole[..4096]).unwrap();
    let error = result.export(&path, &force).unwrap_err();
    assert!(error.is_corrupt(), "{error}");
    assert_eq!(fs::read(&path).unwrap(), b"mine");
    fs::write(layer, &whole).unwrap();
    let bytes = result.export(&path, &force).unwrap();
    assert_eq!(path.metadata().unwrap().len(), bytes);
}
