//! Mounts of images on this machine.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use microsandbox_image::{GlobalCache, MountError, MountOptions, PruneOptions, PullResult};
use msb_testkit::image::{ImageBuilder, Layer};
use msb_testkit::oracle::{Tool, require};
use msb_testkit::tree::{Ignore, Listing};
use msb_testkit::worlds::World;
use rustix::mount::{MountFlags, UnmountFlags};
use tempfile::TempDir;

use super::common::{mounted, walk};
use super::{load, load_layout};

fn image() -> ImageBuilder {
    let base = "dir . mode=2751 uid=3 gid=4 mtime=951782400.5\ndir etc\nfile etc/a size=9000 seed=1\n\
                file su mode=4755 data=x\nchar null dev=1:3 mode=0666\nfile etc/gone data=x";
    ImageBuilder::new()
        .layer(Layer::recipe(base).gzip())
        .layer(Layer::recipe("whiteout etc/gone\nfile etc/b size=5000 seed=2").gzip())
}

/// A loaded image and a directory with a blank in its name, which is unmounted in the end.
struct Setup {
    folder: TempDir,
    result: Option<PullResult>,
}

impl Setup {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let result = load(folder.path(), &image()).await;
        fs::create_dir(folder.path().join("a point")).unwrap();
        let result = Some(result);
        Self { folder, result }
    }

    fn result(&self) -> &PullResult {
        self.result.as_ref().unwrap()
    }

    fn at(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn point(&self) -> PathBuf {
        self.at("a point")
    }

    fn cache(&self) -> GlobalCache {
        GlobalCache::new(self.at("cache")).unwrap()
    }

    fn writable(&self) -> MountOptions {
        MountOptions::default().with_upper(self.at("upper dir"))
    }

    /// Returns type and options of the topmost mount of the point.
    fn options(&self) -> String {
        let mut findmnt = Command::new(require(Tool::Findmnt));
        findmnt.args(["--noheadings", "--output", "FSTYPE,OPTIONS", "--mountpoint"]);
        let output = findmnt.arg(self.point()).output().unwrap();
        String::from_utf8(output.stdout).unwrap()
    }
}

impl Drop for Setup {
    fn drop(&mut self) {
        while rustix::mount::unmount(self.point(), UnmountFlags::DETACH).is_ok() {}
    }
}

#[tokio::test]
async fn a_mount_has_every_file_and_no_rights() {
    let setup = Setup::new().await;
    setup
        .result()
        .mount(setup.point(), &MountOptions::default())
        .unwrap();
    let expected = walk(&mounted(setup.result()));
    assert_eq!(Listing::walk(&setup.point()).unwrap(), expected);
    let options = setup.options();
    for option in ["erofs", "ro", "nosuid", "nodev"] {
        assert!(options.contains(option), "{option}: {options}");
    }
    // A device of the image opens nothing.
    assert!(fs::File::open(setup.point().join("null")).is_err());
    setup.cache().unmount(setup.point()).unwrap();
    assert_eq!(fs::read_dir(setup.point()).unwrap().count(), 0);
}

#[tokio::test]
async fn a_writable_mount_keeps_its_changes_and_the_root_of_the_image() {
    let setup = Setup::new().await;
    let point = setup.point();
    let expected = walk(&mounted(setup.result()));
    setup.result().mount(&point, &setup.writable()).unwrap();
    let seen = Listing::walk(&point).unwrap();
    // The link count of directories is another one in overlays.
    let ignore = Ignore {
        nlinks: true,
        ..Ignore::default()
    };
    expected.same("disk", &seen, "overlay", &ignore).unwrap();
    let options = setup.options();
    assert!(
        options.contains("overlay") && options.contains("nosuid") && options.contains("nodev"),
        "{options}"
    );
    fs::write(point.join("etc/new"), b"new").unwrap();
    fs::remove_file(point.join("etc/a")).unwrap();
    let permissions = std::os::unix::fs::PermissionsExt::from_mode(0o700);
    fs::set_permissions(&point, permissions).unwrap();
    setup.cache().unmount(&point).unwrap();
    assert_eq!(fs::read_dir(&point).unwrap().count(), 0);

    setup.result().mount(&point, &setup.writable()).unwrap();
    assert_eq!(fs::read(point.join("etc/new")).unwrap(), b"new");
    assert!(!point.join("etc/a").exists());
    assert_eq!(point.metadata().unwrap().mode() & 0o7777, 0o700);
    setup.cache().unmount(&point).unwrap();
    // The disk itself is unchanged.
    assert_eq!(walk(&mounted(setup.result())), expected);
}

#[tokio::test]
async fn a_mount_outlives_the_files_of_the_cache() {
    let mut setup = Setup::new().await;
    let result = setup.result.take().unwrap();
    result
        .mount(setup.point(), &MountOptions::default())
        .unwrap();
    let expected = Listing::walk(&setup.point()).unwrap();
    let cache = setup.cache();
    cache.remove(&result.reference, &result.platform).unwrap();
    let files: Vec<PathBuf> = result
        .extents
        .iter()
        .map(|extent| extent.path.clone())
        .collect();
    let prune = PruneOptions::with_grace(Duration::ZERO);
    cache.prune(&prune).unwrap();
    assert!(
        files.iter().all(|file| file.exists()),
        "the result has a lease"
    );
    drop(result);
    cache.prune(&prune).unwrap();
    assert!(!files.iter().any(|file| file.exists()));
    // Reads come from the files, not from memory.
    fs::write("/proc/sys/vm/drop_caches", "3").unwrap();
    assert_eq!(Listing::walk(&setup.point()).unwrap(), expected);
    cache.unmount(setup.point()).unwrap();
}

#[tokio::test]
async fn umount_ends_nothing_but_mounts_of_its_cache() {
    let setup = Setup::new().await;
    let point = setup.point();
    let cache = setup.cache();
    let error = cache.unmount(&point).unwrap_err();
    assert!(matches!(error, MountError::NotMounted { .. }), "{error}");
    let error = cache.unmount(setup.at("missing")).unwrap_err();
    assert!(matches!(error, MountError::Path { .. }), "{error}");

    setup
        .result()
        .mount(&point, &MountOptions::default())
        .unwrap();
    let error = setup.result().mount(&point, &setup.writable()).unwrap_err();
    assert!(
        matches!(error, MountError::AlreadyMounted { .. }),
        "{error}"
    );
    let other = GlobalCache::new(setup.at("other")).unwrap();
    let error = other.unmount(&point).unwrap_err();
    assert!(matches!(error, MountError::Foreign { .. }), "{error}");

    // Another mount on top of ours.
    rustix::mount::mount("none", &point, "tmpfs", MountFlags::empty(), None).unwrap();
    let error = cache.unmount(&point).unwrap_err();
    assert!(
        error
            .to_string()
            .contains("the tmpfs mount of none is not of this cache"),
        "{error}"
    );
    rustix::mount::unmount(&point, UnmountFlags::empty()).unwrap();

    let open = fs::File::open(point.join("etc/a")).unwrap();
    let error = cache.unmount(&point).unwrap_err();
    assert!(matches!(error, MountError::Busy { .. }), "{error}");
    drop(open);
    cache.unmount(&point).unwrap();
}

#[tokio::test]
async fn a_failed_mount_leaves_nothing_mounted() {
    let setup = Setup::new().await;
    let point = setup.point();
    let into = |upper: &Path| MountOptions::default().with_upper(upper);
    // A file; a directory inside of the mount; a file system without overlays.
    fs::write(setup.at("file"), b"").unwrap();
    for upper in [setup.at("file"), point.join("upper"), "/proc/self".into()] {
        let error = setup.result().mount(&point, &into(&upper)).unwrap_err();
        assert!(matches!(error, MountError::Upper { .. }), "{error:?}");
        let error = setup.cache().unmount(&point).unwrap_err();
        assert!(matches!(error, MountError::NotMounted { .. }), "{error}");
    }
    let error = setup
        .result()
        .mount(setup.at("file"), &MountOptions::default())
        .unwrap_err();
    assert!(matches!(error, MountError::Path { .. }), "{error}");
    // A layer that is gone: the kernel names the option.
    let layer = &setup.result().layers[1].erofs;
    fs::remove_file(layer).unwrap();
    let error = setup
        .result()
        .mount(&point, &MountOptions::default())
        .unwrap_err();
    assert!(matches!(error, MountError::Path { .. }), "{error:?}");
}

/// The options of such a mount do not fit the page that mount(2) takes.
#[tokio::test]
async fn an_image_of_120_layers_is_mounted() {
    let folder = tempfile::tempdir().unwrap();
    let layout = World::ManyLayers.layout().unwrap();
    let result = load_layout(&folder.path().join("cache"), &layout).await;
    let point = folder.path().join("a point");
    fs::create_dir(&point).unwrap();
    let setup = Setup {
        folder,
        result: Some(result),
    };
    setup
        .result()
        .mount(&point, &MountOptions::default())
        .unwrap();
    let expected = walk(&mounted(setup.result()));
    assert_eq!(Listing::walk(&point).unwrap(), expected);
    setup.cache().unmount(&point).unwrap();
}

#[tokio::test]
async fn a_path_that_the_kernel_does_not_mount_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let deep = folder.path().join("d".repeat(200));
    fs::create_dir(&deep).unwrap();
    let result = load(&deep, &image()).await;
    let point = folder.path().join("point");
    fs::create_dir(&point).unwrap();
    let error = result.mount(&point, &MountOptions::default()).unwrap_err();
    assert!(
        matches!(error, MountError::PathTooLong { limit: 255, .. }),
        "{error}"
    );
    assert!(error.to_string().contains("/disks/sha256/"), "{error}");
    assert_eq!(fs::read_dir(&point).unwrap().count(), 0);
}
