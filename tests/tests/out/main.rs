//! Disks that leave the cache: facts for booting, users, exports, mounts, and disks for writable roots.
#![cfg(target_os = "linux")]
#![allow(
    clippy::unwrap_used,
    reason = "a test, and what it calls, fails by panicking"
)]

#[path = "../common/mod.rs"]
mod common;
mod descriptor;
mod export;
mod guest;
mod gvisor;
mod mount;
mod user;
mod verity;

use std::path::Path;

use microsandbox_image::{
    ArchiveOptions, GlobalCache, ImageArchive, LoadOptions, Loader, Platform, PullResult,
};
use msb_testkit::image::ImageBuilder;

/// Writes an OCI layout and loads its image as `example.org/x:t`.
async fn load(folder: &Path, image: &ImageBuilder) -> PullResult {
    let layout = folder.join("layout");
    image.write_layout(&layout, "t").unwrap();
    load_layout(&folder.join("cache"), &layout).await
}

async fn load_layout(cache: &Path, layout: &Path) -> PullResult {
    let archive = ImageArchive::open(layout, ArchiveOptions::default()).await;
    let image = archive
        .unwrap()
        .image_named(&"example.org/x:t".parse().unwrap());
    let platform = Platform::new("linux", "amd64");
    let loader = Loader::new(platform, GlobalCache::new(cache).unwrap());
    let loaded = loader.load(&image.unwrap(), &LoadOptions::default()).await;
    loaded.unwrap()
}
