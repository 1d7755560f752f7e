//! Images that are saved to archives, and the blobs that are kept for that.
#![cfg(target_os = "linux")]
#![allow(
    clippy::unwrap_used,
    reason = "a test, and what it calls, fails by panicking"
)]

mod archives;
#[path = "../common/mod.rs"]
mod common;
mod damage;
mod kept;

use std::path::Path;

use microsandbox_image::{
    ArchiveOptions, GlobalCache, ImageArchive, LoadOptions, Loader, Platform, PullError,
    PullOptions, PullResult, Reference,
};
use msb_testkit::image::{ImageBuilder, Layer};

use common::registry_in;

fn cache(folder: &Path) -> GlobalCache {
    GlobalCache::new(folder).unwrap()
}

async fn pull_keeping(cache: &Path, reference: &Reference) -> Result<PullResult, PullError> {
    let options = PullOptions {
        keep_blobs: true,
        ..Default::default()
    };
    registry_in(cache).pull(reference, &options).await
}

/// Loads the image that is to be cached as `tag`, and keeps its blobs.
async fn load_keeping(cache: &Path, path: &Path, tag: &str) -> PullResult {
    let archive = ImageArchive::open(path, ArchiveOptions::default()).await;
    let image = archive.unwrap().image_named(&tag.parse().unwrap()).unwrap();
    let platform = Platform::new("linux", "amd64");
    let loader = Loader::new(platform, GlobalCache::new(cache).unwrap());
    let options = LoadOptions::default().with_keep_blobs(true);
    loader.load(&image, &options).await.unwrap()
}

/// Three layers in three compressions: the upper ones delete, replace and link.
fn image() -> ImageBuilder {
    let base = "dir . mode=0755\ndir etc\nfile etc/a size=9000 seed=1\nfile etc/b size=10 seed=2";
    let middle = "whiteout etc/b\nfile etc/c size=5000 seed=3\nlink etc/d target=etc/c";
    let top = "symlink l target=etc\nfile l/e size=4096 seed=4\nfile large size=900000 seed=5 fill=random";
    ImageBuilder::new()
        .layer(Layer::recipe(base).gzip())
        .layer(Layer::recipe(middle).zstd())
        .layer(Layer::recipe(top).plain())
        .config(serde_json::json!({"Env": ["A=b"], "Cmd": ["/l"]}))
}
