//! Which images of an archive are loaded, and under which names.

use microsandbox_image::{ArchiveError, LoadOptions, PullError};
use msb_testkit::image::{ImageBuilder, Layer, write_tag};
use serde_json::json;

use super::archives::{Archive, Written, config, docker_save, hex};
use super::{load, loader, name, open, text};

fn layer(seed: u32) -> Layer {
    Layer::recipe(&format!("file a size=5000 seed={seed}"))
}

#[tokio::test]
async fn all_named_images_of_an_archive_are_loaded_or_one_of_them() {
    let archive = Written::new(&docker_save(&[
        ("alpine:3", &[layer(1)]),
        ("example.org/b:t", &[layer(1), layer(2)]),
    ]));
    let archive = open(&archive.path()).await.unwrap();
    let cache = tempfile::tempdir().unwrap();
    let options = LoadOptions::default();
    let loader = loader(cache.path());
    let loaded = loader.load_all(&archive, None, &options).await.unwrap();
    let names: Vec<String> = loaded
        .iter()
        .map(|image| image.reference.to_string())
        .collect();
    assert_eq!(names, ["docker.io/library/alpine:3", "example.org/b:t"]);
    assert_eq!(loaded[1].layer_diff_ids.len(), 2);
    let alpine = name("docker.io/library/alpine:3");
    let one = loader
        .load_all(&archive, Some(&alpine), &options)
        .await
        .unwrap();
    assert_eq!(one.len(), 1);
    let error = archive.image_named(&name("example.org/c:t")).unwrap_err();
    assert!(error.is_not_found());
    assert!(
        text(&error).contains(
            "no image example.org/c:t in it; it has docker.io/library/alpine:3, example.org/b:t"
        ),
        "{error}"
    );
}

#[tokio::test]
async fn every_tag_of_an_image_is_cached() {
    let config = config(&[layer(1).diff_id()]).to_string();
    let archive = Archive::new()
        .file("c.json", config.as_bytes())
        .file("l.tar", layer(1).tar_bytes())
        .json(
            "manifest.json",
            &json!([{"Config": "c.json", "RepoTags": ["a:1", "example.org/a:2"], "Layers": ["l.tar"]}]),
        )
        .write();
    let archive = open(&archive.path()).await.unwrap();
    let cache = tempfile::tempdir().unwrap();
    let loader = loader(cache.path());
    let loaded = loader
        .load_all(&archive, None, &LoadOptions::default())
        .await
        .unwrap();
    let cached: Vec<_> = loaded
        .iter()
        .map(|image| (image.reference.to_string(), image.cached))
        .collect();
    assert_eq!(
        cached,
        [
            ("docker.io/library/a:1".into(), false),
            ("example.org/a:2".into(), true)
        ]
    );
}

#[tokio::test]
async fn images_of_a_layout_have_full_names_or_are_named_by_the_caller() {
    let folder = tempfile::tempdir().unwrap();
    let layout = folder.path().join("layout");
    let cache = folder.path().join("cache");
    let one = ImageBuilder::new()
        .layer(layer(1))
        .write_layout(&layout, "t")
        .unwrap();
    // A tag alone is no name.
    let archive = open(&layout).await.unwrap();
    let error = archive.images().unwrap_err();
    assert!(
        matches!(
            error,
            PullError::Archive(ArchiveError::Unnamed { images: 1, .. })
        ),
        "{error:?}"
    );
    // The only image takes any name.
    load(&cache, &layout, "example.org/whatever").await.unwrap();

    let two = ImageBuilder::new()
        .layer(layer(2))
        .write_layout(&layout, "u")
        .unwrap();
    let digest_of = |tag: &'static str| {
        let (cache, layout) = (cache.clone(), layout.clone());
        async move {
            load(&cache, &layout, tag)
                .await
                .map(|image| image.manifest_digest.to_string())
        }
    };
    // Of several, the tag decides.
    assert_eq!(
        digest_of("example.org/x:t").await.unwrap(),
        one.manifest_digest
    );
    assert_eq!(
        digest_of("example.org/x:u").await.unwrap(),
        two.manifest_digest
    );
    assert!(
        digest_of("example.org/x:v")
            .await
            .unwrap_err()
            .is_not_found()
    );

    // A full name, as podman and containerd write it.
    write_tag(&layout, one.descriptor(), "quay.io/org/app:1").unwrap();
    let mut descriptor = two.descriptor();
    descriptor["annotations"] = json!({
        "io.containerd.image.name": "docker.io/library/app:2", "org.opencontainers.image.ref.name": "2"});
    let index = std::fs::read(layout.join("index.json")).unwrap();
    let mut index: serde_json::Value = serde_json::from_slice(&index).unwrap();
    index["manifests"].as_array_mut().unwrap().push(descriptor);
    std::fs::write(layout.join("index.json"), index.to_string()).unwrap();
    let archive = open(&layout).await.unwrap();
    let images = archive.images().unwrap();
    let names: Vec<String> = images
        .iter()
        .map(|image| image.reference().to_string())
        .collect();
    assert_eq!(names, ["docker.io/library/app:2", "quay.io/org/app:1"]);
    assert_eq!(digest_of("app:2").await.unwrap(), two.manifest_digest);
    assert_eq!(
        digest_of("quay.io/org/app:1").await.unwrap(),
        one.manifest_digest
    );
}

#[tokio::test]
async fn a_name_that_is_no_reference_and_an_archive_without_images_are_errors() {
    let config = config(&[]).to_string();
    let rows = json!([{"Config": "c.json", "RepoTags": ["a b\u{1b}"], "Layers": []}]);
    let archive = Archive::new()
        .file("c.json", config.as_bytes())
        .json("manifest.json", &rows)
        .write();
    let error = open(&archive.path()).await.unwrap_err();
    assert!(
        text(&error).contains("the image name a b\\u{1b}"),
        "{}",
        text(&error)
    );

    for document in ["manifest.json", "index.json"] {
        let value = if document == "index.json" {
            json!({"manifests": []})
        } else {
            json!([])
        };
        let archive = Archive::new().json(document, &value).write();
        let archive = open(&archive.path()).await.unwrap();
        let error = archive.images().unwrap_err();
        assert!(
            error.is_not_found() && text(&error).ends_with("no image in it"),
            "{}",
            text(&error)
        );
    }
    let archive = Archive::new().file("etc/passwd", b"x").write();
    let error = open(&archive.path()).await.unwrap_err();
    assert!(
        matches!(
            error,
            PullError::Archive(ArchiveError::UnknownFormat { .. })
        ),
        "{error:?}"
    );
    let error = open(std::path::Path::new("/no/such/file"))
        .await
        .unwrap_err();
    assert!(error.is_not_found());
}

#[tokio::test]
async fn another_platform_is_an_error_that_names_both() {
    let folder = tempfile::tempdir().unwrap();
    let layout = folder.path().join("layout");
    let image = ImageBuilder::new()
        .platform("linux", "s390x")
        .layer(layer(1));
    let built = image.write_layout(&layout, "t").unwrap();
    assert!(!hex(&built.manifest_digest).is_empty());
    let error = load(&folder.path().join("cache"), &layout, "x:t")
        .await
        .unwrap_err();
    let text = text(&error);
    assert!(
        text.contains("linux/amd64") && text.contains("linux/s390x"),
        "{text}"
    );
}
