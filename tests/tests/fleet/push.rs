//! What a push puts into a real registry.

use std::fs;
use std::path::Path;

use microsandbox_image::{Digest, PushError, Registry, RegistryAuth};
use msb_testkit::erofs_tools;
use msb_testkit::registry::{DockerRegistry, RegistryOptions, TokenOptions, TokenServer};
use msb_testkit::skopeo;
use serde_json::Value;

use super::*;
use crate::common::{docker_registry, pull, push, reference, run};

/// Copies a reference of a registry to an OCI layout with skopeo, and returns the manifest or index.
fn copied(registry: &DockerRegistry, name: &str, folder: &Path, options: &[&str]) -> Value {
    let source = format!("docker://{}/{name}", registry.host());
    let target = format!("oci:{}:t", folder.display());
    let mut all = vec!["--src-tls-verify=false"];
    all.extend(options);
    skopeo::copy(&source, &target, &all).unwrap();
    let index: Value =
        serde_json::from_slice(&fs::read(folder.join("index.json")).unwrap()).unwrap();
    let digest = index["manifests"][0]["digest"].as_str().unwrap().to_owned();
    blob(folder, &digest)
}

fn blob_bytes(folder: &Path, digest: &str) -> Vec<u8> {
    let path = folder.join("blobs").join(digest.replace(':', "/"));
    fs::read(path).unwrap()
}

fn blob(folder: &Path, digest: &str) -> Value {
    serde_json::from_slice(&blob_bytes(folder, digest)).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn other_tools_pull_the_original_image_and_copy_the_erofs_layers() {
    let (source, target) = (docker_registry(), docker_registry());
    let built = push(&source, "app", &image());
    let cache = tempfile::tempdir().unwrap();
    let pulled = pull_keeping(cache.path(), &reference(&source, "app:t")).await;
    let pushed = push_to(cache.path(), &pulled, &reference(&target, "fleet/app:1")).await;
    assert_eq!(pushed.manifest_digest, pulled.manifest_digest);
    assert_eq!(pushed.present_bytes, 0);

    // A client that knows nothing of EROFS layers gets the image as it was.
    let old = tempfile::tempdir().unwrap();
    let platform = [
        "--override-os",
        "linux",
        "--override-arch",
        "amd64",
        "--preserve-digests",
    ];
    let manifest = copied(&target, "fleet/app:1", old.path(), &platform);
    let digests = |manifest: &Value| -> Vec<String> {
        let layers = manifest["layers"].as_array().unwrap().iter();
        layers
            .map(|layer| layer["digest"].as_str().unwrap().to_owned())
            .collect()
    };
    let original = pulled.layers.iter().map(|layer| layer.digest.to_string());
    assert_eq!(digests(&manifest), original.collect::<Vec<_>>());
    assert!(
        built
            .descriptor()
            .to_string()
            .contains(&pulled.manifest_digest.to_string())
    );

    // Every layer of the EROFS manifest is a zstd stream of the layer image, whose digest is the diff_id.
    let all = tempfile::tempdir().unwrap();
    let index = copied(
        &target,
        "fleet/app:1",
        all.path(),
        &["--all", "--preserve-digests"],
    );
    let entries = index["manifests"].as_array().unwrap();
    assert_eq!(entries.len(), 2);
    assert_eq!(entries[0]["digest"], pulled.manifest_digest.to_string());
    assert_eq!(entries[1]["platform"]["os.features"][0], "erofs");
    let manifest = blob(all.path(), entries[1]["digest"].as_str().unwrap());
    let config = blob(all.path(), manifest["config"]["digest"].as_str().unwrap());
    assert_eq!(config["config"]["Env"][0], "A=b");
    let layers = manifest["layers"].as_array().unwrap();
    assert_eq!(layers.len(), pulled.layers.len());
    for (index, layer) in layers.iter().enumerate() {
        assert_eq!(layer["mediaType"], "application/vnd.erofs.layer.v1+zstd");
        let folder = tempfile::tempdir().unwrap();
        let compressed = folder.path().join("layer.zst");
        let bytes = blob_bytes(all.path(), layer["digest"].as_str().unwrap());
        fs::write(&compressed, bytes).unwrap();
        let plain = folder.path().join("layer.erofs");
        let decoded = std::process::Command::new("zstd")
            .args(["-q", "-d", "-o"])
            .args([&plain, &compressed])
            .status();
        assert!(decoded.unwrap().success());
        let decoded = fs::read(&plain).unwrap();
        assert_eq!(decoded, fs::read(&pulled.layers[index].erofs).unwrap());
        let diff_id = &config["rootfs"]["diff_ids"][index];
        assert_eq!(*diff_id, Digest::sha256_of(&decoded).to_string());
        erofs_tools::fsck(&plain, &[]).unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_push_sends_no_blob_and_has_the_same_digests() {
    let (source, target) = (docker_registry(), docker_registry());
    push(&source, "app", &image());
    let (first, second) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let mut pushed = Vec::new();
    for cache in [first.path(), second.path()] {
        let pulled = pull_keeping(cache, &reference(&source, "app:t")).await;
        pushed.push(push_to(cache, &pulled, &reference(&target, "app:1")).await);
    }
    assert_eq!(pushed[1].sent_bytes, 0);
    assert_eq!(pushed[1].present_bytes, pushed[0].sent_bytes);
    assert_eq!(pushed[0].digest, pushed[1].digest);
    assert_eq!(pushed[0].metadata_digest, pushed[1].metadata_digest);
    let requests = target.requests();
    let tag = format!(
        "/v2/app/manifests/{}",
        pushed[0].erofs_digest.to_string().replace(':', "-")
    );
    let listings = requests
        .iter()
        .filter(|request| request.method == "PUT" && request.path == tag);
    assert_eq!(listings.count(), 1, "the referrer is listed once");
}

#[tokio::test(flavor = "multi_thread")]
async fn original_blobs_are_mounted_within_a_registry_and_required_elsewhere() {
    let (source, target) = (docker_registry(), docker_registry());
    push(&source, "app", &image());
    let cache = tempfile::tempdir().unwrap();
    let pulled = pull(cache.path(), &reference(&source, "app:t"))
        .await
        .unwrap();
    let pushed = push_to(cache.path(), &pulled, &reference(&source, "other:1")).await;
    let original: u64 = pulled.layers.iter().map(|layer| layer.size).sum();
    assert!(pushed.present_bytes >= original);
    // The tag that the image was pulled from can be replaced too.
    push_to(cache.path(), &pulled, &reference(&source, "app:t")).await;

    let registry = registry_in(cache.path());
    let elsewhere = reference(&target, "app:1");
    let error = try_push(&registry, &pulled, &elsewhere);
    let error = error.await.unwrap_err();
    assert!(matches!(error, PushError::NoOriginalBlob { .. }), "{error}");
    let by_digest = elsewhere.with_digest(pulled.manifest_digest);
    let error = registry
        .push(&pulled, &by_digest, &PushOptions::default())
        .await;
    assert!(matches!(error, Err(PushError::Digest { .. })));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_layer_is_not_published() {
    let registry = docker_registry();
    push(&registry, "app", &image());
    let cache = tempfile::tempdir().unwrap();
    let pulled = pull(cache.path(), &reference(&registry, "app:t"))
        .await
        .unwrap();
    let path = &pulled.layers[2].erofs;
    let mut bytes = fs::read(path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(path, bytes).unwrap();
    let destination = reference(&registry, "app:2");
    let registry_client = registry_in(cache.path());
    let error = try_push(&registry_client, &pulled, &destination);
    let error = error.await.unwrap_err();
    assert!(error.is_corrupt(), "{error}");
    let is_tag = |path: &str| path.ends_with("/manifests/2");
    assert!(
        !registry
            .requests()
            .iter()
            .any(|request| is_tag(&request.path))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn credentials_are_needed_and_sent_where_a_registry_asks_for_them() {
    let source = docker_registry();
    push(&source, "app", &image());
    let user = ("user".to_owned(), "secret".to_owned());
    let target = DockerRegistry::start(RegistryOptions {
        basic_auth: Some(user.clone()),
        ..Default::default()
    });
    let target = target.unwrap();
    let cache = tempfile::tempdir().unwrap();
    let pulled = pull_keeping(cache.path(), &reference(&source, "app:t")).await;
    let destination = reference(&target, "app:1");
    let registry = registry_in(cache.path());
    let error = try_push(&registry, &pulled, &destination);
    match error.await.unwrap_err() {
        PushError::Registry(error) => assert!(error.is_unauthorized(), "{error}"),
        error => panic!("{error}"),
    }
    let auth = RegistryAuth::Basic {
        username: user.0,
        password: user.1,
    };
    let registry = Registry::builder(pulled.platform.clone(), registry.cache().clone())
        .plain_http(target.host())
        .auth_for(target.host(), auth);
    let registry = registry.build().unwrap();
    let pushed = try_push(&registry, &pulled, &destination);
    pushed.await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_command_pushes_and_prints_what_it_did() {
    let registry = docker_registry();
    push(&registry, "app", &image());
    let cache = tempfile::tempdir().unwrap();
    let source = format!("{}/app:t", registry.host());
    let target = format!("{}/copy:1", registry.host());
    let pulled = run(
        cache.path(),
        &["pull", "--platform", "linux/amd64", &source],
    );
    assert!(pulled.status.success());
    let push = [
        "push",
        "--platform",
        "linux/amd64",
        "--format",
        "erofs",
        &source,
    ];
    let output = run(cache.path(), &[&push[..], &[&target]].concat());
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(
        output.status.success(),
        "{:?}",
        String::from_utf8_lossy(&output.stderr)
    );
    assert!(text.starts_with(&format!("{target} pushed\n")), "{text}");
    // Another registry needs the original blobs, which were not kept.
    let other = docker_registry();
    let target = format!("{}/copy:1", other.host());
    let output = run(cache.path(), &[&push[..], &[&target]].concat());
    let text = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(
        text.contains("hint: `msb-image pull --keep-blobs"),
        "{text}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_is_requested_with_the_scope_of_a_push() {
    let user = ("user".to_owned(), "secret".to_owned());
    let tokens = TokenServer::start(TokenOptions {
        user: user.clone(),
        refresh_token: "unused".to_owned(),
        refuse_post: None,
    });
    let tokens = tokens.unwrap();
    let target = DockerRegistry::start(RegistryOptions {
        token: Some((tokens.realm(), tokens.certificate())),
        ..Default::default()
    });
    let (source, target) = (docker_registry(), target.unwrap());
    push(&source, "app", &image());
    let cache = tempfile::tempdir().unwrap();
    let pulled = pull_keeping(cache.path(), &reference(&source, "app:t")).await;
    let auth = RegistryAuth::Basic {
        username: user.0,
        password: user.1,
    };
    let registry = registry_in(cache.path());
    let registry = Registry::builder(pulled.platform.clone(), registry.cache().clone())
        .plain_http(target.host())
        .plain_http("127.0.0.1")
        .auth_for(target.host(), auth);
    let registry = registry.build().unwrap();
    let destination = reference(&target, "app:1");
    let pushed = try_push(&registry, &pulled, &destination);
    pushed.await.unwrap();
    let requested = tokens.requests();
    let scopes: Vec<&str> = requested.iter().map(|request| &*request.scope).collect();
    assert!(scopes.contains(&"repository:app:pull,push"), "{scopes:?}");
    assert!(scopes.len() <= 2, "one token for each access: {scopes:?}");
}
