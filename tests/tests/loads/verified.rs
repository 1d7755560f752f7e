//! Documents and layers of archives and layouts are verified as in a pull.

use std::os::unix::fs::symlink;
use std::path::Path;

use microsandbox_image::{ArchiveError, ArchiveOptions, ImageArchive, PullError};
use msb_testkit::digest::sha256;
use msb_testkit::image::{BuiltImage, ImageBuilder, Layer, blob_path};
use serde_json::json;

use super::archives::{Archive, Written, config, hex};
use super::hostile::{archive_error, layer, refused, without_layer};
use super::{load, open, text};

#[tokio::test]
async fn a_docker_archive_is_verified_as_a_pull_is() {
    // Another layer than the config names.
    let other = Layer::recipe("file b data=other");
    let error = refused(
        &without_layer("l.tar")
            .file("l.tar", other.tar_bytes())
            .write()
            .path(),
    )
    .await;
    assert!(
        error.is_corrupt() && matches!(error, PullError::Layer { .. }),
        "{error:?}"
    );
    // Another config than its name states.
    let config = config(&[]).to_string();
    let wrong = format!("{}.json", hex(&sha256(b"x")));
    let rows = json!([{"Config": wrong, "RepoTags": ["x:t"], "Layers": []}]);
    let error = archive_error(
        Archive::new()
            .file(&wrong, config.as_bytes())
            .json("manifest.json", &rows),
    )
    .await;
    assert!(matches!(error, ArchiveError::Digest { .. }), "{error:?}");
    // More layers than diff_ids.
    let rows = json!([{"Config": "c.json", "RepoTags": ["x:t"], "Layers": ["l.tar"]}]);
    let archive = Archive::new()
        .file("c.json", config.as_bytes())
        .file("l.tar", layer().tar_bytes())
        .json("manifest.json", &rows);
    let error = archive_error(archive).await;
    assert!(
        matches!(
            error,
            ArchiveError::LayerCount {
                layers: 1,
                diff_ids: 0,
                ..
            }
        ),
        "{error:?}"
    );
    // No config, no layer, and documents that are none.
    let error = archive_error(Archive::new().json("manifest.json", &rows)).await;
    assert!(matches!(error, ArchiveError::Missing { .. }), "{error:?}");
    let error = archive_error(without_layer("l.tar")).await;
    assert!(matches!(error, ArchiveError::Missing { .. }), "{error:?}");
    for text in [
        "{}",
        "[",
        "[[]]",
        r#"[{"Config":"a","config":"b"}]"#,
        &"[".repeat(100_000),
    ] {
        let error = archive_error(Archive::new().file("manifest.json", text.as_bytes())).await;
        assert!(matches!(error, ArchiveError::Document { .. }), "{error:?}");
    }
}

/// Writes a layout of one image, and lets `change` damage it.
async fn damaged(change: impl FnOnce(&Path, &BuiltImage)) -> PullError {
    let folder = tempfile::tempdir().unwrap();
    let built = ImageBuilder::new()
        .layer(layer().gzip())
        .write_layout(folder.path(), "t")
        .unwrap();
    change(folder.path(), &built);
    refused(folder.path()).await
}

#[tokio::test]
async fn a_layout_is_verified_as_a_pull_is() {
    let replace = |digest: &str, bytes: &'static [u8]| {
        let digest = digest.to_owned();
        move |folder: &Path| std::fs::write(blob_path(folder, &digest), bytes).unwrap()
    };
    // Documents.
    let error = damaged(|folder, built| replace(&built.manifest_digest, b"{}")(folder)).await;
    assert!(
        matches!(error, PullError::Archive(ArchiveError::Digest { .. })),
        "{error:?}"
    );
    let error = damaged(|folder, built| replace(&built.config_digest, b"{}")(folder)).await;
    assert!(
        matches!(error, PullError::Archive(ArchiveError::Digest { .. })),
        "{error:?}"
    );
    let error = damaged(|folder, built| {
        std::fs::remove_file(blob_path(folder, &built.config_digest)).unwrap()
    })
    .await;
    assert!(error.is_not_found(), "{error:?}");
    // Layers: missing, of another length, of other bytes.
    let error = damaged(|folder, built| {
        std::fs::remove_file(blob_path(folder, &built.layer_digests[0])).unwrap()
    })
    .await;
    assert!(error.is_not_found(), "{error:?}");
    let error = damaged(|folder, built| replace(&built.layer_digests[0], b"short")(folder)).await;
    assert!(
        matches!(
            error,
            PullError::Archive(ArchiveError::Size { actual: 5, .. })
        ),
        "{error:?}"
    );
    let error = damaged(|folder, built| {
        let path = blob_path(folder, &built.layer_digests[0]);
        let mut bytes = std::fs::read(&path).unwrap();
        let last = bytes.len() - 1;
        bytes[last] ^= 1;
        std::fs::write(&path, bytes).unwrap();
    })
    .await;
    assert!(matches!(error, PullError::Layer { .. }), "{error:?}");
    // Versions and indexes.
    let error = damaged(|folder, _| {
        std::fs::write(
            folder.join("oci-layout"),
            r#"{"imageLayoutVersion":"2.0.0"}"#,
        )
        .unwrap();
    })
    .await;
    assert!(text(&error).contains("version 2.0.0"), "{error}");
    let error = damaged(|folder, _| {
        std::fs::write(
            folder.join("index.json"),
            r#"{"manifests":[],"Manifests":[]}"#,
        )
        .unwrap();
    })
    .await;
    assert!(text(&error).contains("duplicate field"), "{}", text(&error));
}

#[tokio::test]
async fn no_link_of_a_layout_directory_is_followed() {
    let secret = tempfile::NamedTempFile::new().unwrap();
    for is_layer in [false, true] {
        let error = damaged(|folder, built| {
            let digest = if is_layer {
                &built.layer_digests[0]
            } else {
                &built.config_digest
            };
            let path = blob_path(folder, digest);
            let moved = folder.join("moved");
            std::fs::rename(&path, &moved).unwrap();
            symlink(&moved, &path).unwrap();
        })
        .await;
        assert!(
            matches!(error, PullError::Archive(ArchiveError::NotAFile { .. })),
            "{error:?}"
        );
    }
    let error = damaged(|folder, _| {
        std::fs::remove_file(folder.join("index.json")).unwrap();
        symlink(secret.path(), folder.join("index.json")).unwrap();
    })
    .await;
    assert!(
        matches!(error, PullError::Archive(ArchiveError::NotAFile { .. })),
        "{error:?}"
    );
    let error = damaged(|folder, built| {
        let path = blob_path(folder, &built.layer_digests[0]);
        std::fs::remove_file(&path).unwrap();
        rustix::fs::mkfifoat(rustix::fs::CWD, &path, rustix::fs::Mode::RUSR).unwrap();
    })
    .await;
    assert!(
        matches!(error, PullError::Archive(ArchiveError::NotAFile { .. })),
        "{error:?}"
    );
}

#[tokio::test]
async fn a_layer_that_is_listed_twice_is_one_device() {
    let digest = layer();
    let config = config(&[digest.diff_id(), digest.diff_id()]).to_string();
    let rows = json!([{"Config": "c.json", "RepoTags": ["x:t"], "Layers": ["l.tar", "l.tar"]}]);
    let archive = Archive::new()
        .file("c.json", config.as_bytes())
        .file("l.tar", layer().tar_bytes())
        .json("manifest.json", &rows)
        .write();
    let cache = tempfile::tempdir().unwrap();
    let loaded = load(cache.path(), &archive.path(), "x:t").await.unwrap();
    assert_eq!((loaded.layers.len(), loaded.extents.len()), (2, 2));

    let archive = open(&archive.path()).await.unwrap();
    assert_eq!(archive.images().unwrap().len(), 1);
}

#[tokio::test]
async fn a_damaged_archive_is_an_image_or_an_error() {
    let whole = without_layer("l.tar")
        .file("l.tar", layer().tar_bytes())
        .bytes();
    let folder = tempfile::tempdir().unwrap();
    ImageBuilder::new()
        .layer(layer().gzip())
        .write_layout(folder.path(), "t")
        .unwrap();
    let layout = super::archives::tar_of(folder.path(), false);
    // A linear congruential generator, so that every run damages the same bytes.
    let mut state: u64 = 1;
    let mut random = move |below: usize| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(state >> 33).unwrap() % below
    };
    let cache = tempfile::tempdir().unwrap();
    let (mut loaded, mut refused) = (0, 0);
    for round in 0..400 {
        let mut bytes = if round % 2 == 0 {
            whole.clone()
        } else {
            layout.clone()
        };
        for _ in 0..=random(8) {
            // Mostly in the headers and documents at the front.
            let below = if random(4) == 0 {
                bytes.len()
            } else {
                bytes.len().min(4096)
            };
            let at = random(below);
            bytes[at] = [b'0', b'7', b'/', b'"', 0, 0xff, b'9', b'.'][random(8)];
        }
        let copied = ImageArchive::read(
            "x",
            std::io::Cursor::new(bytes.clone()),
            ArchiveOptions::default(),
        )
        .await;
        let archive = Written::new(&bytes);
        let read = open(&archive.path()).await;
        // Both ways to read an archive agree.
        assert_eq!(
            copied.is_ok(),
            read.is_ok(),
            "{:?} {:?}",
            copied.err(),
            read.err()
        );
        match load(cache.path(), &archive.path(), "x:t").await {
            Ok(_) => loaded += 1,
            Err(_) => refused += 1,
        }
    }
    assert!(
        loaded > 10 && refused > 10,
        "{loaded} loaded, {refused} refused"
    );
}
