//! Disks on which one pull fits and two do not.

use std::sync::Arc;

use msb_testkit::tree::Listing;
use rustix::mount::{MountFlags, UnmountFlags, mount, unmount};

use super::*;

/// A small file system, unmounted when it is dropped.
struct Tmpfs(TempDir);

impl Tmpfs {
    fn new(kib: usize) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let size = format!("size={kib}k\0");
        let size = std::ffi::CStr::from_bytes_with_nul(size.as_bytes()).unwrap();
        mount("none", folder.path(), "tmpfs", MountFlags::empty(), size).unwrap();
        Self(folder)
    }

    fn cache(&self) -> std::path::PathBuf {
        self.0.path().join("cache")
    }
}

impl Drop for Tmpfs {
    fn drop(&mut self) {
        unmount(self.0.path(), UnmountFlags::DETACH).unwrap();
    }
}

/// Two layers: one that is as long as its blob, and one that grows tenfold, more than a reservation expects.
fn image(seed: usize) -> ImageBuilder {
    let repeated: String = (0..30)
        .map(|n| format!("file r{n} size=100000 seed={seed}\n"))
        .collect();
    ImageBuilder::new()
        .layer(Layer::recipe(&format!("file a size=1000000 seed={seed}1")).gzip())
        .layer(Layer::recipe(&repeated).zstd())
}

#[tokio::test]
async fn of_two_pulls_that_fit_one_by_one_at_least_one_succeeds() {
    if !rustix::process::geteuid().is_root() {
        assert!(std::env::var_os("CI").is_none(), "mounting needs root");
        return;
    }
    let images = [1, 2].map(|seed| Arc::new(Served::new(&image(seed))));
    let (mut fits, mut both, mut one) = (0, 0, 0);
    for kib in (2..22).map(|size| size * 640) {
        let alone = Tmpfs::new(kib);
        let fits_alone = match pull(&alone.cache(), &images[0].reference).await {
            Ok(_) => true,
            Err(error) => {
                assert!(error.is_full(), "{kib} KiB: {error:?}");
                false
            }
        };
        drop(alone);
        let disk = Tmpfs::new(kib);
        let tasks = images.each_ref().map(|served| {
            let (cache, reference) = (disk.cache(), served.reference.clone());
            tokio::spawn(async move { pull(&cache, &reference).await })
        });
        let mut succeeded = 0;
        for task in tasks {
            match task.await.unwrap() {
                Ok(result) => {
                    result.verify(true).unwrap();
                    succeeded += 1;
                }
                Err(error) => {
                    assert!(error.is_full(), "{kib} KiB: {error:?}");
                    let text = error.to_string();
                    assert!(text.contains("available"), "{text}");
                }
            }
        }
        assert!(!fits_alone || succeeded > 0, "{kib} KiB: both failed");
        assert!(fits_alone || succeeded == 0, "{kib} KiB");
        fits += usize::from(fits_alone);
        both += usize::from(succeeded == 2);
        one += usize::from(succeeded == 1);
        // Nothing of the failed pulls remains but what a later one can use.
        let left = Listing::walk(&disk.cache()).unwrap();
        assert!(!format!("{left:?}").contains(".tmp-"), "{left:?}");
    }
    println!("of 20 sizes one fits in {fits}, two in {both}, one of two in {one}");
    assert!(fits > both && both > 0 && one > 0 && fits < 20);
}
