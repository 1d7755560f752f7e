//! Questions to a real registry that pull nothing: `inspect --remote` and `tags`.

#![allow(
    clippy::unwrap_used,
    reason = "a test, and what it calls, fails by panicking"
)]

mod common;

use common::{ok, run, stderr};
use microsandbox_image::RemoteImage;
use msb_testkit::image::{ImageBuilder, IndexBuilder, Layer};
use msb_testkit::registry::{DockerRegistry, RegistryOptions};
use serde_json::{Value, json};

/// Returns an image of two layers.
fn image(architecture: &str) -> ImageBuilder {
    ImageBuilder::new()
        .platform("linux", architecture)
        .layer(Layer::recipe("file base size=9000 seed=1 fill=random").gzip())
        .layer(Layer::recipe("file upper data=x").zstd())
        .config(json!({"Env": ["A=\u{1b}[31m"], "Entrypoint": ["/bin/su"]}))
}

/// Starts a registry with an image for two platforms and an attestation beside them, as `test:v1` and `test:v2`.
fn registry() -> DockerRegistry {
    let registry = DockerRegistry::start(RegistryOptions::default()).unwrap();
    let index = IndexBuilder::new()
        .image(image("amd64"))
        .image(image("arm64").variant("v8"))
        .image(image("unknown").platform("unknown", "unknown"));
    for tag in ["v1", "v2"] {
        let layout = tempfile::tempdir().unwrap();
        index.write_layout(layout.path(), tag).unwrap();
        registry
            .push_oci_layout(layout.path(), "test", tag)
            .unwrap();
    }
    registry
}

#[test]
fn an_image_is_described_without_a_pull() {
    let registry = registry();
    let reference = format!("{}/test:v1", registry.host());
    let folder = tempfile::tempdir().unwrap();
    let cache = folder.path().join("cache");
    registry.forget_requests().unwrap();
    let inspect = |more: &[&str]| {
        let args = [&["inspect", "--remote", &reference], more].concat();
        run(&cache, args)
    };

    let text = ok(&inspect(&["--platform", "arm64", "--format", "json"]));
    let object: Value = serde_json::from_str(&text).unwrap();
    let image: RemoteImage = serde_json::from_str(&text).unwrap();
    assert_eq!(image.reference.to_string(), reference);
    assert_eq!(image.platform.to_string(), "linux/arm64");
    let platforms = image.platforms.iter().map(|it| it.platform.to_string());
    let platforms: Vec<_> = platforms.collect();
    assert_eq!(platforms, ["linux/amd64", "linux/arm64"]);
    assert_eq!(image.platforms[1].manifest_digest, image.manifest_digest);
    assert_ne!(image.digest, image.manifest_digest);
    assert_eq!(image.layers.len(), 2);
    let sizes: u64 = image.layers.iter().map(|layer| layer.size).sum();
    assert!(sizes > 9000 && image.total_bytes == sizes);
    assert_eq!(object["config"]["entrypoint"], json!(["/bin/su"]));

    let text = ok(&inspect(&["--platform", "amd64"]));
    for line in [
        &*format!("reference  {reference}\n"),
        "platform   linux/amd64\n",
        "size       2 layers, ",
        "\n  linux/arm64  sha256:",
        "entrypoint   [\"/bin/su\"]\n",
        // Text of an image is escaped.
        "A=\\u{1b}[31m\n",
    ] {
        assert!(text.contains(line), "{line}: {text}");
    }

    // Manifests and configs alone were requested, and nothing was written.
    let requests = registry.requests();
    assert!(requests.iter().all(|request| request.method == "GET"));
    for layer in &image.layers {
        assert_eq!(registry.blob_gets(&layer.digest.to_string()), 0);
    }
    assert!(!cache.exists());
}

#[test]
fn what_a_registry_lacks_is_named() {
    let registry = registry();
    let cache = tempfile::tempdir().unwrap();
    let host = registry.host();
    let image = format!("{host}/test:v1");
    let id = "0".repeat(64);
    for (args, messages) in [
        (
            vec!["inspect", "--remote", &image, "--platform", "linux/s390x"],
            &["no image for linux/s390x; there is linux/amd64, linux/arm64"][..],
        ),
        (
            vec!["inspect", "--remote", &image, "--username", "x"],
            &["--password-stdin"],
        ),
        (
            vec!["inspect", "--remote", &id],
            &["--remote needs a reference; 000"],
        ),
        (
            vec!["inspect", "--remote", &image, "--format", "qemu"],
            &["--remote has no disk to boot"],
        ),
        (
            vec!["tags", &image],
            &["a repository has neither tag nor digest"],
        ),
    ] {
        let output = run(cache.path(), &args);
        assert!(!output.status.success());
        for message in messages {
            assert!(stderr(&output).contains(message), "{}", stderr(&output));
        }
    }
    let missing = run(cache.path(), ["tags", &format!("{host}/other")]);
    assert_eq!(missing.status.code(), Some(1));
    assert!(stderr(&missing).contains("/other"), "{}", stderr(&missing));
}

#[test]
fn tags_are_listed_as_text_and_json() {
    let registry = registry();
    let folder = tempfile::tempdir().unwrap();
    let cache = folder.path().join("cache");
    let repository = format!("{}/test", registry.host());
    assert_eq!(ok(&run(&cache, ["tags", &repository])), "v1\nv2\n");
    let text = ok(&run(&cache, ["tags", &repository, "--format", "json"]));
    let object: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(
        object,
        json!({"repository": repository, "tags": ["v1", "v2"]})
    );
    assert!(!cache.exists());
}
