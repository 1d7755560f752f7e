//! Archives and layouts that lie: one clear error each, with nothing published, in bounded memory and time.

use std::path::Path;

use microsandbox_image::{ArchiveError, ArchiveOptions, ImageArchive, PullError};
use msb_testkit::digest::sha256;
use msb_testkit::image::Layer;
use serde_json::json;
use tar::EntryType;

use super::archives::{Archive, Written, config};
use super::common::is_unpublished;
use super::{load, text};

pub(super) fn layer() -> Layer {
    Layer::recipe("file a size=5000 seed=1")
}

/// An archive of one image, without its layer.
pub(super) fn without_layer(path: &str) -> Archive {
    let config = config(&[layer().diff_id()]).to_string();
    let rows = json!([{"Config": "c.json", "RepoTags": ["x:t"], "Layers": [path]}]);
    Archive::new()
        .file("c.json", config.as_bytes())
        .json("manifest.json", &rows)
}

/// Loads an archive that must be refused, and returns the error.
pub(super) async fn refused(path: &Path) -> PullError {
    let cache = tempfile::tempdir().unwrap();
    let error = load(cache.path(), path, "x:t").await.unwrap_err();
    assert!(is_unpublished(cache.path()), "{error}");
    error
}

pub(super) async fn archive_error(archive: Archive) -> ArchiveError {
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
