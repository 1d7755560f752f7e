//! Archives and layouts that lie: one clear error each, with nothing published, in bounded memory and time.

use std::os::unix::fs::symlink;
use std::path::Path;

use microsandbox_image::{ArchiveError, ArchiveOptions, ImageArchive, PullError};
use msb_testkit::digest::sha256;
use msb_testkit::image::{BuiltImage, ImageBuilder, Layer, blob_path};
use serde_json::json;
use tar::EntryType;

use super::archives::{Archive, Written, config, hex};
use super::common::is_unpublished;
use super::{load, open, text};

fn layer() -> Layer {
    Layer::recipe("file a size=5000 seed=1")
}

/// An archive of one image, without its layer.
fn without_layer(path: &str) -> Archive {
    let config = config(&[layer().diff_id()]).to_string();
    let rows = json!([{"Config": "c.json", "RepoTags": ["x:t"], "Layers": [path]}]);
    Archive::new()
        .file("c.json", config.as_bytes())
        .json("manifest.json", &rows)
}

/// Loads an archive that must be refused, and returns the error.
async fn refused(path: &Path) -> PullError {
    let cache = tempfile::tempdir().unwrap();
    let error = load(cache.path(), path, "x:t").await.unwrap_err();
    assert!(is_unpublished(cache.path()), "{error}");
    error
}

async fn archive_error(archive: Archive) -> ArchiveError {
    match refused(&archive.write().path()).await {
        PullError::Archive(error) => error,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn member_names_that_lead_out_are_refused() {
    let of = |member: &str| {
        without_layer("l.tar")
            .file("l.tar", layer().tar_bytes())
            .file(member, b"x")
    };
    for member in ["../x", "a/../../x", "a/.."] {
        let error = archive_error(of(member)).await;
        assert!(
            matches!(error, ArchiveError::MemberName { .. }),
            "{error:?}"
        );
        assert!(error.to_string().contains(member), "{error}");
    }
    let error = archive_error(of("/etc/passwd")).await;
    assert!(
        matches!(error, ArchiveError::AbsoluteName { .. }),
        "{error:?}"
    );
    for path in ["../l.tar", "/l.tar"] {
        let error = archive_error(without_layer(path).file("l.tar", layer().tar_bytes())).await;
        assert!(
            matches!(
                error,
                ArchiveError::MemberName { .. } | ArchiveError::AbsoluteName { .. }
            ),
            "{error:?}"
        );
    }
}

#[tokio::test]
async fn links_lead_to_files_of_the_archive_or_nowhere() {
    for kind in [EntryType::Symlink, EntryType::Link] {
        for target in ["/etc/passwd", "../../../../etc/passwd", "self", "loop"] {
            let archive = without_layer("self")
                .link(kind, "self", target)
                .link(kind, "loop", "self");
            let error = archive_error(archive).await;
            assert!(
                matches!(error, ArchiveError::Link { .. }),
                "{target}: {error:?}"
            );
        }
        let error = archive_error(without_layer("l").link(kind, "l", "gone")).await;
        assert!(matches!(error, ArchiveError::Missing { .. }), "{error:?}");
    }
    let directory = without_layer("l").link(EntryType::Directory, "l/", "");
    let error = archive_error(directory).await;
    assert!(matches!(error, ArchiveError::NotAFile { .. }), "{error:?}");
    let device = without_layer("l").link(EntryType::Char, "l", "");
    let error = archive_error(device).await;
    assert!(matches!(error, ArchiveError::NotAFile { .. }), "{error:?}");
}

#[tokio::test]
async fn a_member_that_comes_twice_is_refused() {
    let archive = without_layer("l.tar")
        .file("l.tar", layer().tar_bytes())
        .file("./l.tar", b"other");
    let error = archive_error(archive).await;
    assert!(
        matches!(error, ArchiveError::DuplicateMember { .. }),
        "{error:?}"
    );
    let archive = without_layer("l.tar").json("manifest.json", &json!([]));
    let error = archive_error(archive).await;
    assert!(
        matches!(error, ArchiveError::DuplicateMember { .. }),
        "{error:?}"
    );
}

#[tokio::test]
async fn sizes_that_lie_and_archives_that_end_early_are_refused() {
    for size in [
        layer().tar_bytes().len() as u64 + (1 << 20),
        1 << 40,
        u64::MAX >> 1,
    ] {
        let archive = without_layer("l.tar").lying_file("l.tar", size, layer().tar_bytes());
        let error = archive_error(archive).await;
        assert!(
            matches!(
                error,
                ArchiveError::Truncated { .. } | ArchiveError::Tar { .. }
            ),
            "{error:?}"
        );
    }
    // Cut within a member and within a header, also where the archive is a stream.
    let whole = without_layer("l.tar")
        .file("l.tar", layer().tar_bytes())
        .bytes();
    for length in [whole.len() - 1024 - 600, 600] {
        let error = refused(&Written::new(&whole[..length]).path()).await;
        let PullError::Archive(error) = error else {
            panic!("{error:?}");
        };
        assert!(error.is_corrupt(), "{error:?}");
    }
    // A compressed archive that ends early, and one of noise.
    let gzip = Layer::tar(whole).gzip().blob_bytes().unwrap().to_vec();
    let error = refused(&Written::new(&gzip[..gzip.len() - 20]).path()).await;
    assert!(
        matches!(error, PullError::Archive(ArchiveError::Decode { .. })),
        "{error:?}"
    );
    let error = refused(&Written::new(&[0x5a; 5000]).path()).await;
    assert!(
        matches!(error, PullError::Archive(ArchiveError::Tar { .. })),
        "{error:?}"
    );
}

#[tokio::test]
async fn documents_are_bounded_before_they_are_read() {
    let config = config(&[]).to_string();
    // A gigabyte that the archive does not even have to contain as bytes on disk.
    for name in ["manifest.json", "index.json", "c.json"] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("archive.tar");
        let mut archive = Archive::new();
        if name == "c.json" {
            archive = archive.json(
                "manifest.json",
                &json!([{"Config": "c.json", "RepoTags": ["x:t"], "Layers": []}]),
            );
        } else {
            archive = archive.file("c.json", config.as_bytes());
        }
        let bytes = archive.lying_file(name, 1 << 30, b"").bytes();
        // The tar crate ends an archive with two blocks of zeros.
        let start = bytes.len() as u64 - 1024;
        std::fs::write(&path, &bytes[..bytes.len() - 1024]).unwrap();
        let file = std::fs::OpenOptions::new().write(true).open(&path).unwrap();
        file.set_len(start + (1 << 30) + 1024).unwrap();
        let error = refused(&path).await;
        let text = text(&error);
        assert!(
            text.contains(name) && text.contains("1073741824 bytes"),
            "{text}"
        );
    }
}

#[tokio::test]
async fn a_bomb_fills_no_disk() {
    let tar = Archive::new().file("x", &vec![0; 4 << 20]).bytes();
    let gzip = Written::new(Layer::tar(tar).gzip().blob_bytes().unwrap());
    let options = ArchiveOptions::default().with_copy_bytes(1 << 20);
    let error = ImageArchive::open(gzip.path(), options).await.unwrap_err();
    assert!(
        text(&error).contains("more than 1048576 uncompressed bytes"),
        "{error}"
    );
}

#[tokio::test]
async fn thousands_of_images_and_members_are_refused() {
    let rows: Vec<_> = (0..5000)
        .map(|n| json!({"Config": "c.json", "RepoTags": [format!("x:{n}")], "Layers": []}))
        .collect();
    let archive = Archive::new()
        .file("c.json", b"{}")
        .json("manifest.json", &json!(rows));
    let error = archive_error(archive).await;
    assert!(
        matches!(error, ArchiveError::TooManyImages { limit: 1024, .. }),
        "{error:?}"
    );

    let tags: Vec<_> = (0..5000).map(|n| format!("x:{n}")).collect();
    let rows = json!([{"Config": "c.json", "RepoTags": tags, "Layers": []}]);
    let error = archive_error(Archive::new().json("manifest.json", &rows)).await;
    assert!(
        matches!(error, ArchiveError::TooManyImages { .. }),
        "{error:?}"
    );

    let manifests: Vec<_> = (0..5000)
        .map(|n| json!({"mediaType": "application/vnd.oci.image.manifest.v1+json", "size": 2,
            "digest": sha256(b"{}"), "annotations": {"org.opencontainers.image.ref.name": format!("x:{n}")}}))
        .collect();
    let archive = Archive::new().json("index.json", &json!({"manifests": manifests}));
    let error = archive_error(archive).await;
    assert!(
        matches!(error, ArchiveError::TooManyImages { .. }),
        "{error:?}"
    );

    let mut archive = without_layer("l.tar");
    for n in 0..70_000 {
        archive = archive.file(&n.to_string(), b"");
    }
    let error = archive_error(archive).await;
    assert!(
        matches!(error, ArchiveError::TooManyMembers { .. }),
        "{error:?}"
    );
}

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
