//! Which blobs are kept, and when they are downloaded and removed.

use std::fs;
use std::time::Duration;

use microsandbox_image::{
    CacheError, Digest, PruneOptions, PullError, PullOptions, PullPolicy, PullResult, SaveError,
    SaveFormat,
};
use msb_testkit::image::{ImageBuilder, Layer};
use msb_testkit::registry::DockerRegistry;

use super::common::{docker_registry, pull, push, reference, registry_in};
use super::{cache, image, pull_keeping};

/// Returns how often each blob was downloaded.
fn downloads(registry: &DockerRegistry, image: &PullResult) -> Vec<usize> {
    let layers = image.layers.iter();
    layers
        .map(|layer| registry.blob_gets(&layer.digest.to_string()))
        .collect()
}

fn kept(folder: &std::path::Path, digest: &Digest) -> Option<Vec<u8>> {
    fs::read(folder.join(format!("layer-blobs/sha256/{}", digest.hex()))).ok()
}

#[track_caller]
fn assert_all_kept(folder: &std::path::Path, image: &PullResult) {
    for layer in &image.layers {
        let bytes = kept(folder, &layer.digest).unwrap();
        assert_eq!(Digest::sha256_of(&bytes), layer.digest);
    }
    let parts = fs::read_dir(folder.join("parts/sha256")).into_iter();
    assert_eq!(parts.flatten().count(), 0);
}

#[tokio::test]
async fn a_pull_keeps_what_it_downloads_and_downloads_no_blob_twice() {
    let registry = docker_registry();
    push(&registry, "x", &image());
    let folder = tempfile::tempdir().unwrap();
    let reference = reference(&registry, "x:t");
    let pulled = pull_keeping(folder.path(), &reference).await.unwrap();
    assert_all_kept(folder.path(), &pulled);
    assert_eq!(downloads(&registry, &pulled), [1, 1, 1]);
    registry.forget_requests().unwrap();
    let again = pull_keeping(folder.path(), &reference).await.unwrap();
    assert!(again.cached);
    assert!(registry.requests().is_empty());
}

#[tokio::test]
async fn an_image_that_is_cached_without_its_blobs_fetches_each_once() {
    let registry = docker_registry();
    push(&registry, "x", &image());
    let folder = tempfile::tempdir().unwrap();
    let reference = reference(&registry, "x:t");
    let pulled = pull(folder.path(), &reference).await.unwrap();
    assert_eq!(kept(folder.path(), &pulled.layers[0].digest), None);

    let never = PullOptions {
        pull_policy: PullPolicy::Never,
        keep_blobs: true,
        ..Default::default()
    };
    let offline = registry_in(folder.path());
    let error = offline.pull(&reference, &never).await.unwrap_err();
    let expected = pulled.layers[0].diff_id;
    assert!(
        matches!(&error, PullError::Cache(CacheError::NoLayerBlob { diff_id, .. }) if **diff_id == expected),
        "{error:?}"
    );

    registry.forget_requests().unwrap();
    let fsmeta = fs::metadata(&pulled.fsmeta).unwrap().modified().unwrap();
    let again = pull_keeping(folder.path(), &reference).await.unwrap();
    assert!(!again.cached);
    assert_eq!(downloads(&registry, &again), [1, 1, 1]);
    assert_all_kept(folder.path(), &again);
    // Only blobs were written.
    let now = fs::metadata(&again.fsmeta).unwrap().modified().unwrap();
    assert_eq!(now, fsmeta);
    let offline = offline.pull(&reference, &never).await.unwrap();
    assert!(offline.cached);
    // One that goes missing is fetched alone.
    let lost = &again.layers[1].digest;
    fs::remove_file(
        folder
            .path()
            .join(format!("layer-blobs/sha256/{}", lost.hex())),
    )
    .unwrap();
    registry.forget_requests().unwrap();
    let again = pull_keeping(folder.path(), &reference).await.unwrap();
    assert_eq!(downloads(&registry, &again), [0, 1, 0]);
    assert_all_kept(folder.path(), &again);
}

#[tokio::test]
async fn a_blob_that_was_begun_is_resumed_and_kept_whole() {
    let registry = docker_registry();
    let layer = Layer::recipe("file large size=900000 seed=5 fill=random").gzip();
    let blob = layer.blob_bytes().unwrap().to_vec();
    let digest: Digest = layer.digest().parse().unwrap();
    push(&registry, "x", &ImageBuilder::new().layer(layer));
    let reference = reference(&registry, "x:t");
    let mut wrong = blob[..300_000].to_vec();
    wrong[7] ^= 1;
    for (begun, gets) in [(&blob[..300_000], 1), (&wrong[..], 2), (&blob[..], 0)] {
        let folder = tempfile::tempdir().unwrap();
        let parts = folder.path().join("parts/sha256");
        fs::create_dir_all(&parts).unwrap();
        fs::write(parts.join(format!("{}.part", digest.hex())), begun).unwrap();
        registry.forget_requests().unwrap();
        let pulled = pull_keeping(folder.path(), &reference).await.unwrap();
        assert_all_kept(folder.path(), &pulled);
        assert_eq!(downloads(&registry, &pulled), [gets]);
    }
}

#[tokio::test]
async fn pulls_at_once_keep_every_blob() {
    let registry = docker_registry();
    push(&registry, "x", &image());
    let folder = tempfile::tempdir().unwrap();
    let reference = reference(&registry, "x:t");
    // The second one shares no limits with the first, as in another process.
    let (first, second, third) = tokio::join!(
        pull_keeping(folder.path(), &reference),
        pull(folder.path(), &reference),
        pull_keeping(folder.path(), &reference),
    );
    second.unwrap();
    for image in [first.unwrap(), third.unwrap()] {
        assert_all_kept(folder.path(), &image);
    }
}

#[tokio::test]
async fn blobs_are_removed_with_the_last_image_that_uses_them() {
    let registry = docker_registry();
    let base = Layer::recipe("dir a\nfile a/b size=5000 seed=1").gzip();
    let top = Layer::recipe("file c data=x").gzip();
    push(&registry, "small", &ImageBuilder::new().layer(base.clone()));
    push(
        &registry,
        "large",
        &ImageBuilder::new().layer(base).layer(top),
    );
    let folder = tempfile::tempdir().unwrap();
    let cache = cache(folder.path());
    let [small, large] = ["small:t", "large:t"].map(|name| reference(&registry, name));
    let of_small = pull_keeping(folder.path(), &small).await.unwrap();
    let of_large = pull_keeping(folder.path(), &large).await.unwrap();
    let prune = || {
        let pruned = cache.prune(&PruneOptions::with_grace(Duration::ZERO));
        pruned.unwrap().layer_blobs
    };
    cache.remove(&large, &of_large.platform).unwrap();
    // The result leases them.
    assert!(prune().is_empty());
    let mut archive = Vec::new();
    let images = std::slice::from_ref(&of_large);
    cache
        .save_to(images, &mut archive, SaveFormat::Oci)
        .unwrap();
    let gone = of_large.layers[1].digest;
    drop(of_large);
    assert_eq!(prune(), [gone]);
    cache.remove(&small, &of_small.platform).unwrap();
    let last = of_small.layers[0].digest;
    drop(of_small);
    assert_eq!(prune(), [last]);
    assert_eq!(kept(folder.path(), &last), None);
}

#[tokio::test]
async fn an_image_without_kept_blobs_is_refused_before_anything_is_written() {
    let registry = docker_registry();
    push(&registry, "x", &image());
    let folder = tempfile::tempdir().unwrap();
    let pulled = pull(folder.path(), &reference(&registry, "x:t"))
        .await
        .unwrap();
    let images = std::slice::from_ref(&pulled);
    let mut stream = Vec::new();
    let error = cache(folder.path())
        .save_to(images, &mut stream, SaveFormat::Docker)
        .unwrap_err();
    let is_refused = matches!(error, SaveError::Cache(CacheError::NoLayerBlob { .. }));
    assert!(is_refused, "{error}");
    let text = error.to_string();
    for named in [&pulled.layers[0].diff_id, &pulled.layers[0].digest] {
        assert!(text.contains(&named.to_string()), "{text}");
    }
    assert!(stream.is_empty());
}
