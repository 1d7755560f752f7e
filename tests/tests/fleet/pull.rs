//! Pulls of published images: nothing is converted, and the cache has the same bytes.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use microsandbox_image::{PullError, SourceForm};
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
async fn published() -> (DockerRegistry, PushResult, PullResult) {
    let source = docker_registry();
    push(&source, "app", &image());
    let cache = tempfile::tempdir().unwrap();
    let pulled = pull_keeping(cache.path(), &reference(&source, "app:t")).await;
    let target = docker_registry();
    let pushed = push_to(cache.path(), &pulled, &reference(&target, "app:1")).await;
    (target, pushed, pulled)
}

/// Returns the bytes of every layer and disk of a cache, by their paths. The list of verified blobs is left out: a pull of EROFS layers
/// verifies none.
fn artifacts(cache: &Path) -> BTreeMap<String, Vec<u8>> {
    fn walk(root: &Path, at: &Path, found: &mut BTreeMap<String, Vec<u8>>) {
        for entry in fs::read_dir(at).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                walk(root, &path, found);
            } else if path.extension().is_none_or(|end| end != "blobs") {
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
    let again = pull_from(erofs.path(), &name, SourceForm::Tar)
        .await
        .unwrap();
    assert!(again.cached);
}

#[tokio::test(flavor = "multi_thread")]
async fn layers_are_shared_between_both_forms() {
    let (registry, _, _) = published().await;
    let name = reference(&registry, "app:1");
    let cache = tempfile::tempdir().unwrap();
    let first = pull_from(cache.path(), &name, SourceForm::Erofs)
        .await
        .unwrap();
    // The same image under another name: the sidecars prove that its publisher has the cached layers.
    let other = name.with_digest(first.manifest_digest);
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
    assert!(again.cached);
    let before = artifacts(cache.path());
    let tar = pull(cache.path(), &other).await.unwrap();
    assert_eq!(tar.manifest_digest, first.manifest_digest);
    assert_eq!(artifacts(cache.path()), before);
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

    // Without its sidecars, which an incomplete copy of the tag may lack.
    let sidecar = manifest["layers"][0]["annotations"]["dev.microsandbox.layer.sidecar"].as_str();
    let sidecar = sidecar.unwrap().split(' ').next().unwrap();
    replace_blob(&registry, sidecar, Vec::clear);
    let auto = tempfile::tempdir().unwrap();
    pull_from(auto.path(), &name, SourceForm::Auto)
        .await
        .unwrap();
    assert_eq!(artifacts(tar.path()), artifacts(auto.path()));
}

/// Reads a manifest from the storage of a registry.
fn registry_manifest(registry: &DockerRegistry, digest: &str) -> serde_json::Value {
    let mut read = Vec::new();
    replace_blob(registry, digest, |bytes| read.clone_from(bytes));
    serde_json::from_slice(&read).unwrap()
}
