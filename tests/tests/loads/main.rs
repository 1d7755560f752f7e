//! Images from OCI layouts and archives, against the same images from a registry.
#![cfg(target_os = "linux")]
#![allow(
    clippy::unwrap_used,
    reason = "a test, and what it calls, fails by panicking"
)]

mod archives;
#[path = "../common/mod.rs"]
mod common;
mod hostile;
mod names;
mod same;
mod verified;
mod worlds;

use std::error::Error as _;
use std::path::Path;

use microsandbox_image::{
    ArchiveOptions, GlobalCache, ImageArchive, LoadOptions, Loader, Platform, PullError,
    PullResult, Reference,
};
use msb_testkit::image::{ImageBuilder, Layer};

fn loader(cache: &Path) -> Loader {
    Loader::new(
        Platform::new("linux", "amd64"),
        GlobalCache::new(cache).unwrap(),
    )
}

async fn open(path: &Path) -> Result<ImageArchive, PullError> {
    ImageArchive::open(path, ArchiveOptions::default()).await
}

/// Loads the image that is to be cached as `tag`.
async fn load(cache: &Path, path: &Path, tag: &str) -> Result<PullResult, PullError> {
    let image = open(path).await?.image_named(&name(tag))?;
    loader(cache).load(&image, &LoadOptions::default()).await
}

fn name(text: &str) -> Reference {
    text.parse().unwrap()
}

/// Returns an error and its causes in one line.
fn text(error: &PullError) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}

/// Three layers in three compressions: the upper ones delete, replace and link.
fn image() -> ImageBuilder {
    let base = "dir . mode=0755\ndir etc\nfile etc/a size=9000 seed=1\nfile etc/b size=10 seed=2";
    let middle = "whiteout etc/b\nfile etc/c size=5000 seed=3\nlink etc/d target=etc/c";
    let top = "symlink l target=etc\nfile l/e size=4096 seed=4\nfile large size=9000000 seed=5 fill=random";
    ImageBuilder::new()
        .layer(Layer::recipe(base).gzip())
        .layer(Layer::recipe(middle).zstd())
        .layer(Layer::recipe(top).plain())
        .config(serde_json::json!({"Env": ["A=b"], "Cmd": ["/l"]}))
}
