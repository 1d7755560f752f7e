//! Images that are published as EROFS layers: what is pushed, and what other tools make of it.
#![cfg(target_os = "linux")]
#![allow(
    clippy::unwrap_used,
    reason = "a test, and what it calls, fails by panicking"
)]

#[path = "../common/mod.rs"]
mod common;
mod hostile;
mod pull;
mod push;

use std::path::Path;

use microsandbox_image::{
    PullOptions, PullResult, PushError, PushOptions, PushResult, Reference, Registry,
};
use msb_testkit::image::{ImageBuilder, Layer};

use common::registry_in;

/// Three layers in three compressions; the upper ones delete, replace and link. The last one spans several ranges.
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

/// Pulls an image and keeps its blobs.
async fn pull_keeping(cache: &Path, reference: &Reference) -> PullResult {
    let options = PullOptions {
        keep_blobs: true,
        ..Default::default()
    };
    let pulled = registry_in(cache).pull(reference, &options).await;
    pulled.unwrap()
}

async fn try_push(
    registry: &Registry,
    image: &PullResult,
    destination: &Reference,
) -> Result<PushResult, PushError> {
    let options = PushOptions::default();
    registry.push(image, destination, &options).await
}

async fn push_to(cache: &Path, image: &PullResult, destination: &Reference) -> PushResult {
    let pushed = try_push(&registry_in(cache), image, destination).await;
    pushed.unwrap()
}
