//! Another cache on a read-only file system, and a disk of it that is mounted.

use rustix::mount::{MountFlags, UnmountFlags};

use microsandbox_image::MountOptions;

use super::*;

/// A read-only bind mount of a directory.
struct ReadOnly(TempDir);

impl ReadOnly {
    fn new(of: &Path) -> Self {
        let target = tempfile::tempdir().unwrap();
        rustix::mount::mount_bind(of, target.path()).unwrap();
        let flags = MountFlags::BIND | MountFlags::RDONLY;
        rustix::mount::mount_remount(target.path(), flags, "").unwrap();
        Self(target)
    }
}

impl Drop for ReadOnly {
    fn drop(&mut self) {
        rustix::mount::unmount(self.0.path(), UnmountFlags::DETACH).unwrap();
    }
}

fn is_root() -> bool {
    let is_root = rustix::process::geteuid().is_root();
    assert!(
        is_root || std::env::var_os("CI").is_none(),
        "mounting needs root"
    );
    is_root
}

#[tokio::test]
async fn a_cache_on_a_read_only_file_system_serves_disks_and_layers() {
    if !is_root() {
        return;
    }
    let setup = Setup::new(&[1, 2, 3]).await;
    let mounted = ReadOnly::new(setup.tier.path());
    assert!(fs::write(mounted.0.path().join("x"), "").is_err());
    for is_self_contained in [false, true] {
        let own = tempfile::tempdir().unwrap();
        let mut options = reading([mounted.0.path()]);
        options.is_self_contained = is_self_contained;
        let result = pull(&cache(own.path(), options), &setup.reference).await;
        assert_eq!(setup.requested_layers(), [] as [usize; 0]);
        result.verify(true).unwrap();
        assert_eq!(result.vmdk.starts_with(own.path()), is_self_contained);
    }
}

#[tokio::test]
async fn a_disk_that_is_used_in_place_is_mounted_and_unmounted() {
    if !is_root() {
        return;
    }
    let setup = Setup::new(&[1, 2]).await;
    let own = tempfile::tempdir().unwrap();
    let cache = setup.above(&own);
    let result = pull(&cache, &setup.reference).await;
    let target = tempfile::tempdir().unwrap();
    result
        .mount(target.path(), &MountOptions::default())
        .unwrap();
    assert_eq!(fs::read(target.path().join("d2/f")).unwrap().len(), 60_000);
    cache.unmount(target.path()).unwrap();
}
