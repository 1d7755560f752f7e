//! Layers shared by several images and registries.

use std::process::{Command, Stdio};

use super::*;
use crate::common::msb_image;

fn layer() -> Layer {
    Layer::recipe("dir etc\nfile etc/a size=300000 seed=1\nfile etc/b size=100 seed=2")
}

fn start(cache: &Path, reference: &Reference) -> std::process::Child {
    Command::new(msb_image())
        .arg("--cache-dir")
        .arg(cache)
        .args(["pull", "--progress", "none", &reference.to_string()])
        .stdout(Stdio::null())
        .spawn()
        .unwrap()
}

#[tokio::test]
async fn a_dripping_registry_delays_no_pull_from_another_one() {
    let image = ImageBuilder::new().layer(layer().gzip());
    let (dripping, good) = (Served::new(&image), Served::new(&image));
    let digest = &dripping.built.layer_digests[0];
    let drip = Fault::Slow(1, Duration::from_secs(1));
    dripping.registry.fault(digest, drip);
    // With another layer, so that the disks differ; and with the same one, so that the disks are the same.
    let cache = tempfile::tempdir().unwrap();
    let mut holder = start(cache.path(), &dripping.reference);
    until("the holder downloads", || {
        dripping.registry.count(digest) > 0
    })
    .await;
    tokio::time::sleep(Duration::from_millis(300)).await;

    let begun = Instant::now();
    let mut process = start(cache.path(), &good.reference);
    let status = tokio::task::spawn_blocking(move || process.wait().unwrap());
    assert!(status.await.unwrap().success());
    let took = begun.elapsed();
    let is_holding = holder.try_wait().unwrap().is_none();
    holder.kill().unwrap();
    holder.wait().unwrap();
    assert!(is_holding, "the dripping pull was over");
    assert!(took < Duration::from_secs(9), "{took:?}");
    let result = pull(cache.path(), &good.reference).await.unwrap();
    assert!(result.cached);
    result.verify(true).unwrap();
}

#[tokio::test]
async fn a_stopped_process_delays_no_other_pull() {
    let served = Served::new(&ImageBuilder::new().layer(layer().gzip()));
    let digest = &served.built.layer_digests[0];
    let slow = Fault::Slow(1000, Duration::from_millis(100));
    served.registry.fault_times(digest, 1, slow);
    let cache = tempfile::tempdir().unwrap();
    let mut holder = start(cache.path(), &served.reference);
    until("the holder downloads", || served.registry.count(digest) > 0).await;
    tokio::time::sleep(Duration::from_millis(700)).await;
    let pid = holder.id().to_string();
    let stopped = Command::new("kill").args(["-STOP", &pid]).status().unwrap();
    assert!(stopped.success());
    let begun = Instant::now();
    let result = pull(cache.path(), &served.reference).await;
    let took = begun.elapsed();
    holder.kill().unwrap();
    holder.wait().unwrap();
    result.unwrap().verify(true).unwrap();
    assert!(took < Duration::from_secs(12), "{took:?}");
}

#[tokio::test]
async fn a_cached_layer_is_used_only_for_a_blob_that_was_seen_to_unpack_to_it() {
    let cache = tempfile::tempdir().unwrap();
    let secret = Served::new(&ImageBuilder::new().layer(layer().gzip()));
    pull(cache.path(), &secret.reference).await.unwrap();

    // The config names the diff_id of a layer that the image does not have.
    let other = Layer::recipe("file mine size=1000").gzip();
    let claims = other.with_diff_id(layer().diff_id());
    let thief = Served::new(&ImageBuilder::new().layer(claims));
    for pull_policy in [PullPolicy::IfMissing, PullPolicy::Always] {
        let registry = registry_in(cache.path());
        let error = registry
            .pull(&thief.reference, &policy(pull_policy))
            .await
            .unwrap_err();
        assert!(error.is_corrupt(), "{error}");
        let digest = &thief.built.layer_digests[0];
        assert!(thief.registry.count(digest) > 0, "the blob was not fetched");
        assert!(error.to_string().contains(digest), "{error}");
    }
    // Also beside the right blob.
    let both = ImageBuilder::new().layer(layer().gzip()).layer(
        Layer::recipe("file mine size=1000")
            .gzip()
            .with_diff_id(layer().diff_id()),
    );
    let both = Served::new(&both);
    let error = pull(cache.path(), &both.reference).await.unwrap_err();
    assert!(error.is_corrupt(), "{error}");
}

#[tokio::test]
async fn another_blob_of_a_cached_layer_is_downloaded_once_and_not_written_again() {
    let cache = tempfile::tempdir().unwrap();
    let gzip = Served::new(&ImageBuilder::new().layer(layer().gzip()));
    let first = pull(cache.path(), &gzip.reference).await.unwrap();
    let written = |result: &PullResult| {
        use std::os::unix::fs::MetadataExt;
        std::fs::metadata(&result.layers[0].erofs).unwrap().ino()
    };
    let inode = written(&first);

    let zstd = Served::new(&ImageBuilder::new().layer(layer().zstd()));
    let digest = &zstd.built.layer_digests[0];
    let second = pull(cache.path(), &zstd.reference).await.unwrap();
    assert_eq!(zstd.registry.count(digest), 1);
    assert!(!second.cached);
    assert_eq!(written(&second), inode);
    for served in [&gzip, &zstd] {
        served.registry.forget_requests();
        let registry = registry_in(cache.path());
        let again = registry
            .pull(&served.reference, &policy(PullPolicy::Always))
            .await
            .unwrap();
        assert!(again.cached);
        assert_eq!(served.registry.count("/blobs/"), 0);
        assert_eq!(served.registry.count("/manifests/"), 1);
    }
    // Both blobs in one image.
    let twice = ImageBuilder::new()
        .layer(layer().plain())
        .layer(layer().gzip())
        .layer(layer().plain());
    let twice = Served::new(&twice);
    let cache = tempfile::tempdir().unwrap();
    let result = pull(cache.path(), &twice.reference).await.unwrap();
    result.verify(true).unwrap();
    assert_eq!(result.extents.len(), 2);
    for digest in &twice.built.layer_digests {
        assert_eq!(twice.registry.count(digest), 1);
    }
}
