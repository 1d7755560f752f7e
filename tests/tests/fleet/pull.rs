//! Pulls of published images: nothing is converted, and the cache has the same bytes.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use microsandbox_image::{PullError, PullPolicy, SourceForm};
use msb_testkit::registry::DockerRegistry;

use super::*;
use crate::common::{docker_registry, pull, push, reference, run, verify};

async fn pull_from(
    cache: &Path,
    reference: &Reference,
    source: SourceForm,
) -> Result<PullResult, PullError> {
    let options = PullOptions {
        source,
        ..Default::default()
    };
    registry_in(cache).pull(reference, &options).await
}

/// Publishes [`image`] as `app:1` in a registry of its own.
pub(crate) async fn published() -> (DockerRegistry, PushResult, PullResult) {
    let source = docker_registry();
    push(&source, "app", &image());
    let cache = tempfile::tempdir().unwrap();
    let pulled = pull_keeping(cache.path(), &reference(&source, "app:t")).await;
    let target = docker_registry();
    let pushed = push_to(cache.path(), &pulled, &reference(&target, "app:1")).await;
    (target, pushed, pulled)
}

/// Returns the bytes of every layer and disk of a cache, by their paths, without the records of what was verified: a pull of EROFS layers
/// makes none.
fn artifacts(cache: &Path) -> BTreeMap<String, Vec<u8>> {
    fn walk(root: &Path, at: &Path, found: &mut BTreeMap<String, Vec<u8>>) {
        for entry in fs::read_dir(at).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                walk(root, &path, found);
            } else if path
                .extension()
                .is_none_or(|end| end != "blobs" && end != "crc32c")
            {
                let name = path.strip_prefix(root).unwrap().display().to_string();
                found.insert(name, fs::read(&path).unwrap());
            }
        }
    }
    let mut found = BTreeMap::new();
    for folder in ["layers", "disks"] {
        walk(cache, &cache.join(folder), &mut found);
    }
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn every_artifact_is_byte_equal_to_that_of_a_pull_of_the_original() {
    let (registry, pushed, _) = published().await;
    let name = reference(&registry, "app:1");
    let (tar, erofs) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let original = pull(tar.path(), &name).await.unwrap();
    registry.forget_requests().unwrap();
    let result = pull_from(erofs.path(), &name, SourceForm::Erofs).await;
    let result = result.unwrap();
    assert_eq!(result.manifest_digest, pushed.manifest_digest);
    for layer in &original.layers {
        let gets = registry.blob_gets(&layer.digest.to_string());
        assert_eq!(gets, 0, "no original layer is downloaded");
    }
    assert_eq!(artifacts(tar.path()), artifacts(erofs.path()));
    assert_eq!(result.config.env, original.config.env);
    assert_eq!(result.layer_diff_ids, original.layer_diff_ids);
    verify(&result);

    // Holes are holes, and the second pull is warm.
    let again = pull_from(erofs.path(), &name, SourceForm::Erofs)
        .await
        .unwrap();
    assert!(again.cached);
}

#[tokio::test(flavor = "multi_thread")]
async fn layers_are_shared_between_both_forms() {
    let (registry, pushed, _) = published().await;
    let name = reference(&registry, "app:1");
    let cache = tempfile::tempdir().unwrap();
    let first = pull_from(cache.path(), &name, SourceForm::Erofs)
        .await
        .unwrap();
    // The sidecars show that the publisher has the cached layers.
    let other = name.with_digest(first.manifest_digest);
    let manifest = registry_manifest(&registry, &pushed.erofs_digest.to_string());
    registry.forget_requests().unwrap();
    let options = PullOptions {
        pull_policy: microsandbox_image::PullPolicy::Always,
        source: SourceForm::Erofs,
        ..Default::default()
    };
    let again = registry_in(cache.path())
        .pull(&name, &options)
        .await
        .unwrap();
    assert_eq!(again.manifest_digest, first.manifest_digest);
    for layer in manifest["layers"].as_array().unwrap() {
        assert_eq!(registry.blob_gets(layer["digest"].as_str().unwrap()), 0);
    }
    // Another pull converts the original layers, with the same bytes.
    let before = artifacts(cache.path());
    let tar = pull(cache.path(), &other).await.unwrap();
    assert_eq!(tar.manifest_digest, first.manifest_digest);
    assert_eq!(artifacts(cache.path()), before);
    for layer in &tar.layers {
        assert_eq!(registry.blob_gets(&layer.digest.to_string()), 1);
    }
    // From here on they are verified, and an EROFS pull downloads nothing.
    registry.forget_requests().unwrap();
    let verified = registry_in(cache.path())
        .pull(&name, &options)
        .await
        .unwrap();
    assert!(verified.cached);
    let blobs = |path: &str| path.contains("/blobs/");
    assert!(
        !registry
            .requests()
            .iter()
            .any(|request| blobs(&request.path))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_image_without_erofs_layers_is_pulled_as_it_is_or_refused() {
    let registry = docker_registry();
    push(&registry, "app", &image());
    let name = reference(&registry, "app:t");
    let cache = tempfile::tempdir().unwrap();
    let error = pull_from(cache.path(), &name, SourceForm::Erofs).await;
    assert!(matches!(error, Err(PullError::NotPublished { .. })));
    pull_from(cache.path(), &name, SourceForm::Auto)
        .await
        .unwrap();
    let host = registry.host();
    let output = run(
        cache.path(),
        &[
            "pull",
            "--source",
            "erofs",
            "--policy",
            "always",
            "--platform",
            "linux/amd64",
            &format!("{host}/app:t"),
        ],
    );
    let text = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(text.contains("offers no EROFS layers"), "{text}");
}

/// Replaces the bytes of a blob in the storage of a registry, which serves them without looking.
fn replace_blob(registry: &DockerRegistry, digest: &str, change: impl FnOnce(&mut Vec<u8>)) {
    let hex = digest.strip_prefix("sha256:").unwrap();
    let path = registry
        .storage()
        .join("docker/registry/v2/blobs/sha256")
        .join(&hex[..2])
        .join(hex)
        .join("data");
    let mut bytes = fs::read(&path).unwrap();
    change(&mut bytes);
    fs::write(&path, bytes).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_or_damaged_erofs_layer_leads_to_the_original_one() {
    let (registry, pushed, _) = published().await;
    let name = reference(&registry, "app:1");
    let manifest = registry_manifest(&registry, &pushed.erofs_digest.to_string());
    let layer = manifest["layers"][2]["digest"].as_str().unwrap();
    replace_blob(&registry, layer, |bytes| {
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
    });
    let cache = tempfile::tempdir().unwrap();
    let error = pull_from(cache.path(), &name, SourceForm::Erofs)
        .await
        .unwrap_err();
    assert!(matches!(error, PullError::Published { .. }), "{error}");
    assert!(error.is_corrupt());
    let auto = tempfile::tempdir().unwrap();
    let result = pull_from(auto.path(), &name, SourceForm::Auto)
        .await
        .unwrap();
    verify(&result);
    let tar = tempfile::tempdir().unwrap();
    pull(tar.path(), &name).await.unwrap();
    assert_eq!(artifacts(tar.path()), artifacts(auto.path()));

    // A sidecar that is not the one of the annotation.
    let sidecar = manifest["layers"][0]["annotations"]["dev.microsandbox.layer.sidecar"].as_str();
    let sidecar = sidecar.unwrap().split(' ').next().unwrap();
    replace_blob(&registry, sidecar, |bytes| bytes.fill(0));
    let auto = tempfile::tempdir().unwrap();
    pull_from(auto.path(), &name, SourceForm::Auto)
        .await
        .unwrap();
    assert_eq!(artifacts(tar.path()), artifacts(auto.path()));
}

/// Reads a manifest from the storage of a registry.
fn registry_manifest(registry: &DockerRegistry, digest: &str) -> serde_json::Value {
    serde_json::from_slice(&read_blob(registry, digest)).unwrap()
}

/// Reads a blob from the storage of a registry.
pub(crate) fn read_blob(registry: &DockerRegistry, digest: &str) -> Vec<u8> {
    let mut read = Vec::new();
    replace_blob(registry, digest, |bytes| read.clone_from(bytes));
    read
}

/// Pushes an image to `registry` as EROFS layers that do not belong to it: those of another image, under the diff_ids of this one.
async fn forge(
    registry: &DockerRegistry,
    honest: &ImageBuilder,
    other: &ImageBuilder,
) -> Reference {
    let source = docker_registry();
    push(&source, "honest", honest);
    push(&source, "other", other);
    let cache = tempfile::tempdir().unwrap();
    let honest = pull_keeping(cache.path(), &reference(&source, "honest:t")).await;
    let other = pull_keeping(cache.path(), &reference(&source, "other:t")).await;
    // The publisher's cache has the layer of the other image in place of the honest one.
    for end in ["erofs", "layer"] {
        let of = |image: &PullResult| image.layers[0].erofs.with_extension(end);
        fs::remove_file(of(&honest)).unwrap();
        fs::copy(of(&other), of(&honest)).unwrap();
    }
    let destination = reference(registry, "forged:1");
    push_to(cache.path(), &honest, &destination).await;
    destination
}

#[tokio::test(flavor = "multi_thread")]
async fn a_publisher_that_lies_about_a_layer_reaches_no_other_image() {
    let (honest, other) = (
        ImageBuilder::new().layer(Layer::recipe("file a size=5000 seed=1").gzip()),
        ImageBuilder::new().layer(Layer::recipe("file a size=5000 seed=2").gzip()),
    );
    let registry = docker_registry();
    push(&registry, "honest", &honest);
    // The same layer in another compression, so that no verified blob names it.
    let recipe = Layer::recipe("file a size=5000 seed=1");
    let claimed = ImageBuilder::new().layer(recipe.zstd());
    let forged = forge(&registry, &claimed, &other).await;
    let truth = tempfile::tempdir().unwrap();
    pull(truth.path(), &reference(&registry, "honest:t"))
        .await
        .unwrap();

    // The layer that the publisher claims comes first.
    let cache = tempfile::tempdir().unwrap();
    pull_from(cache.path(), &forged, SourceForm::Erofs)
        .await
        .unwrap();
    assert_ne!(artifacts(cache.path()), artifacts(truth.path()));
    let result = pull(cache.path(), &reference(&registry, "honest:t"))
        .await
        .unwrap();
    assert_eq!(artifacts(cache.path()), artifacts(truth.path()));
    verify(&result);

    // And the other way round: it replaces nothing.
    let error = pull_from(truth.path(), &forged, SourceForm::Erofs).await;
    assert!(
        matches!(error, Err(PullError::Published { .. })),
        "{error:?}"
    );
    assert_eq!(artifacts(cache.path()), artifacts(truth.path()));
    pull_from(truth.path(), &forged, SourceForm::Auto)
        .await
        .unwrap();
    assert_eq!(artifacts(cache.path()), artifacts(truth.path()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pull_of_the_original_layers_is_not_served_by_an_earlier_one_of_erofs_layers() {
    let recipe = Layer::recipe("file a size=5000 seed=1").gzip();
    let honest = ImageBuilder::new().layer(recipe);
    let other = ImageBuilder::new().layer(Layer::recipe("file a size=5000 seed=2").gzip());
    let registry = docker_registry();
    let forged = forge(&registry, &honest, &other).await;
    let (truth, cache) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    pull(truth.path(), &forged).await.unwrap();
    pull_from(cache.path(), &forged, SourceForm::Erofs)
        .await
        .unwrap();
    assert_ne!(artifacts(cache.path()), artifacts(truth.path()));

    // From the cache, as long as EROFS layers are accepted or nothing may be fetched.
    let again = pull_from(cache.path(), &forged, SourceForm::Auto).await;
    assert!(again.unwrap().cached);
    let never = PullOptions {
        pull_policy: PullPolicy::Never,
        ..Default::default()
    };
    let kept = registry_in(cache.path()).pull(&forged, &never).await;
    assert!(kept.unwrap().cached);

    let result = pull(cache.path(), &forged).await.unwrap();
    assert!(!result.cached);
    assert_eq!(artifacts(cache.path()), artifacts(truth.path()));
    assert!(pull(cache.path(), &forged).await.unwrap().cached);
}
