//! All sources give one image.

use std::collections::BTreeMap;
use std::io::Cursor;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use microsandbox_image::{
    ArchiveOptions, ImageArchive, LoadOptions, PullPolicy, PullProgress, PullResult,
};
use msb_testkit::digest::sha256;
use msb_testkit::image::{ImageBuilder, IndexBuilder, Layer};
use msb_testkit::skopeo;
use serde_json::json;

use super::archives::{Archive, Written, config, docker_save, hex, tar_of};
use super::common::{docker_registry, pull, push, reference, registry_in, verify};
use super::{image, load, loader, name};

fn bytes(path: &Path) -> Vec<u8> {
    std::fs::read(path).unwrap()
}

#[track_caller]
fn assert_same(loaded: &PullResult, pulled: &PullResult) {
    assert!(bytes(&loaded.fsmeta) == bytes(&pulled.fsmeta));
    assert_eq!(bytes(&loaded.vmdk), bytes(&pulled.vmdk));
    assert_eq!(loaded.layer_diff_ids, pulled.layer_diff_ids);
    assert_eq!(loaded.config, pulled.config);
    assert_eq!(loaded.platform, pulled.platform);
    for (ours, theirs) in loaded.extents.iter().zip(&pulled.extents) {
        assert!(bytes(&ours.path) == bytes(&theirs.path));
    }
}

/// Every file below a cache's layers, disks and blobs, with its inode and the time of its last change.
fn artifacts(cache: &Path) -> BTreeMap<String, (u64, i64, i64)> {
    fn walk(at: &Path, found: &mut BTreeMap<String, (u64, i64, i64)>) {
        for entry in std::fs::read_dir(at).unwrap() {
            let path = entry.unwrap().path();
            let metadata = path.symlink_metadata().unwrap();
            if metadata.is_dir() {
                walk(&path, found);
            } else {
                let key = path.display().to_string();
                let changed = (metadata.ino(), metadata.mtime(), metadata.mtime_nsec());
                found.insert(key, changed);
            }
        }
    }
    let mut found = BTreeMap::new();
    for part in ["layers", "disks"] {
        walk(&cache.join(part), &mut found);
    }
    found.retain(|path, _| !path.contains("lock") && !path.contains("lease"));
    found
}

#[tokio::test]
async fn a_registry_a_layout_and_both_kinds_of_archives_give_equal_disks() {
    let registry = docker_registry();
    let built = push(&registry, "x", &image());
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let layout = at("layout");
    image().write_layout(&layout, "t").unwrap();
    let of_layout = format!("oci:{}:t", layout.display());
    let oci = at("oci.tar");
    skopeo::copy(
        &of_layout,
        &format!("oci-archive:{}:t", oci.display()),
        &["--preserve-digests"],
    )
    .unwrap();
    let docker = at("docker.tar");
    skopeo::docker_archive(&layout, "t", &docker, "example.org/x:t").unwrap();

    let pulled = pull(&at("pulled"), &reference(&registry, "x:t"))
        .await
        .unwrap();
    for (source, tag) in [
        (&layout, "example.org/x:t"),
        (&oci, "example.org/y:t"),
        (&docker, "example.org/x:t"),
    ] {
        let cache = tempfile::tempdir().unwrap();
        let loaded = load(cache.path(), source, tag).await.unwrap();
        assert_same(&loaded, &pulled);
        assert_eq!(loaded.reference, name(tag));
        assert!(!loaded.cached);
        verify(&loaded);
        if source != &docker {
            assert_eq!(loaded.manifest_digest.to_string(), built.manifest_digest);
        }
        // As for a pull, the cache alone has the image from now on.
        let warm = registry_in(cache.path())
            .pull(
                &name(tag),
                &microsandbox_image::PullOptions {
                    pull_policy: PullPolicy::Never,
                    ..Default::default()
                },
            )
            .await
            .unwrap();
        assert_eq!(warm.manifest_digest, loaded.manifest_digest);
        assert!(warm.cached);
    }
}

#[tokio::test]
async fn the_manifest_of_a_docker_archive_depends_on_config_and_layers_alone() {
    let layers = [
        Layer::recipe("dir a\nfile a/b size=5000 seed=1"),
        Layer::recipe("file c data=x"),
    ];
    let diff_ids: Vec<&str> = layers.iter().map(Layer::diff_id).collect();
    let config = config(&diff_ids).to_string();
    let part = |media_type: &str, size: usize, digest: &str| {
        format!(r#"{{"mediaType":"{media_type}","size":{size},"digest":"{digest}"}}"#)
    };
    let parts: Vec<String> = layers
        .iter()
        .map(|layer| {
            let size = layer.tar_bytes().len();
            part(
                "application/vnd.docker.image.rootfs.diff.tar",
                size,
                layer.diff_id(),
            )
        })
        .collect();
    let expected = format!(
        r#"{{"schemaVersion":2,"mediaType":"application/vnd.docker.distribution.manifest.v2+json","config":{},"layers":[{}]}}"#,
        part(
            "application/vnd.docker.container.image.v1+json",
            config.len(),
            &sha256(config.as_bytes())
        ),
        parts.join(",")
    );
    let save = Written::new(&docker_save(&[("example.org/x:t", &layers)]));
    // The form that skopeo writes: layers by digest, other members, another order.
    let other = Archive::new()
        .file(&format!("{}.tar", hex(diff_ids[1])), layers[1].tar_bytes())
        .file(&format!("./{}.tar", hex(diff_ids[0])), layers[0].tar_bytes())
        .file("config", config.as_bytes())
        .json(
            "manifest.json",
            &json!([{"Config": "config", "RepoTags": null,
                "Layers": [format!("{}.tar", hex(diff_ids[0])), format!("{}.tar", hex(diff_ids[1]))]}]),
        )
        .write();
    for archive in [save, other] {
        let cache = tempfile::tempdir().unwrap();
        let loaded = load(cache.path(), &archive.path(), "example.org/x:t")
            .await
            .unwrap();
        assert_eq!(
            loaded.manifest_digest.to_string(),
            sha256(expected.as_bytes())
        );
        assert!(loaded.notes.is_empty(), "{:?}", loaded.notes);
        let layer = &loaded.layers[0];
        assert_eq!(layer.digest, layer.diff_id);
    }
}

#[tokio::test]
async fn every_generation_of_docker_save_is_loaded() {
    let a = Layer::recipe("dir a\nfile a/b size=5000 seed=1");
    let b = Layer::recipe("file c data=x");
    let folder = tempfile::tempdir().unwrap();
    let layout = folder.path().join("layout");
    let built = ImageBuilder::new()
        .layer(a.clone().plain())
        .layer(b.clone().plain())
        .write_layout(&layout, "t")
        .unwrap();
    let pulled = load(&folder.path().join("cache"), &layout, "example.org/x:t")
        .await
        .unwrap();

    // Since version 25 an archive is an OCI layout with a manifest.json beside it, whose paths lie under blobs/.
    let paths: Vec<String> = built
        .layer_digests
        .iter()
        .map(|digest| format!("blobs/sha256/{}", hex(digest)))
        .collect();
    let rows = json!([{"Config": format!("blobs/sha256/{}", hex(&built.config_digest)),
        "RepoTags": ["example.org/x:t"], "Layers": paths}]);
    std::fs::write(layout.join("manifest.json"), rows.to_string()).unwrap();
    let both = Written::new(&tar_of(&layout, false));
    std::fs::remove_file(layout.join("index.json")).unwrap();
    let paths_alone = Written::new(&tar_of(&layout, true));
    let first = Written::new(&docker_save(&[
        ("example.org/other:t", std::slice::from_ref(&b)),
        ("example.org/x:t", &[a, b.clone()]),
    ]));
    for archive in [&both, &paths_alone, &first] {
        let cache = tempfile::tempdir().unwrap();
        let loaded = load(cache.path(), &archive.path(), "example.org/x:t")
            .await
            .unwrap();
        assert!(bytes(&loaded.fsmeta) == bytes(&pulled.fsmeta));
        let is_layout = std::ptr::eq(archive, &both);
        assert_eq!(
            loaded.manifest_digest.to_string() == built.manifest_digest,
            is_layout
        );
    }
}

#[tokio::test]
async fn layers_of_a_docker_archive_may_be_compressed() {
    let a = Layer::recipe("dir a\nfile a/b size=5000 seed=1").gzip();
    let b = Layer::recipe("file c data=x").zstd();
    let config = config(&[a.diff_id(), b.diff_id()]).to_string();
    let archive = Archive::new()
        .file("config.json", config.as_bytes())
        .file("a/layer.tar", a.blob_bytes().unwrap())
        .file("b/layer.tar", b.blob_bytes().unwrap())
        .json(
            "manifest.json",
            &json!([{"Config": "config.json", "RepoTags": ["example.org/x:t"], "Layers": ["a/layer.tar", "b/layer.tar"]}]),
        )
        .write();
    let cache = tempfile::tempdir().unwrap();
    let loaded = load(cache.path(), &archive.path(), "example.org/x:t")
        .await
        .unwrap();
    assert_eq!(loaded.layers[0].digest.to_string(), a.digest());
    assert_eq!(loaded.layers[1].digest.to_string(), b.digest());
    assert!(loaded.notes.is_empty(), "{:?}", loaded.notes);
    verify(&loaded);
}

#[tokio::test]
async fn an_archive_may_be_compressed_or_come_from_a_stream() {
    let folder = tempfile::tempdir().unwrap();
    let layout = folder.path().join("layout");
    image().write_layout(&layout, "t").unwrap();
    let expected = load(&folder.path().join("cache"), &layout, "example.org/x:t")
        .await
        .unwrap();
    let tar = tar_of(&layout, true);
    let compressed = |layer: Layer| layer.blob_bytes().unwrap().to_vec();
    let forms = [
        tar.clone(),
        compressed(Layer::tar(tar.clone()).gzip_members(3)),
        compressed(Layer::tar(tar).zstd()),
    ];
    let copies = tempfile::tempdir().unwrap();
    let options = || ArchiveOptions::default().with_copy_dir(copies.path());
    for form in forms {
        let file = Written::new(&form);
        let from_file = ImageArchive::open(file.path(), options()).await.unwrap();
        let from_stream = ImageArchive::read("a stream", Cursor::new(form), options())
            .await
            .unwrap();
        for archive in [from_file, from_stream] {
            let cache = tempfile::tempdir().unwrap();
            let image = archive.image_named(&name("example.org/x:t")).unwrap();
            let loaded = loader(cache.path())
                .load(&image, &LoadOptions::default())
                .await
                .unwrap();
            assert!(bytes(&loaded.fsmeta) == bytes(&expected.fsmeta));
        }
    }
    // A copy has no name that could be left behind.
    assert_eq!(std::fs::read_dir(copies.path()).unwrap().count(), 0);
}

#[tokio::test]
async fn a_second_load_and_a_load_after_a_pull_write_no_artifact() {
    let registry = docker_registry();
    push(&registry, "x", &image());
    let folder = tempfile::tempdir().unwrap();
    let cache = folder.path().join("cache");
    pull(&cache, &reference(&registry, "x:t")).await.unwrap();
    let before = artifacts(&cache);

    let layout = folder.path().join("layout");
    image().write_layout(&layout, "t").unwrap();
    let docker = folder.path().join("docker.tar");
    skopeo::docker_archive(&layout, "t", &docker, "example.org/x:t").unwrap();
    for source in [&docker, &layout, &docker] {
        let archive = super::open(source).await.unwrap();
        let image = archive.image_named(&name("example.org/x:t")).unwrap();
        let (mut progress, task) =
            loader(&cache).load_with_progress(&image, &LoadOptions::default());
        let mut cached = 0;
        let mut last = None;
        while let Some(event) = progress.recv().await {
            match event {
                PullProgress::LayerCached { .. } => cached += 1,
                PullProgress::LayerStarted { .. } => panic!("{event:?}"),
                _ => {}
            }
            last = Some(event);
        }
        let loaded = task.await.unwrap().unwrap();
        assert!(loaded.cached);
        assert_eq!(cached, 3);
        assert!(matches!(last, Some(PullProgress::Complete { .. })));
        assert_eq!(artifacts(&cache), before);
    }
}

#[tokio::test]
async fn nested_indexes_are_searched_for_the_platform() {
    let layer = |seed: u32| Layer::recipe(&format!("file a size=5000 seed={seed}"));
    let of = |architecture: &str, seed| {
        ImageBuilder::new()
            .platform("linux", architecture)
            .layer(layer(seed))
    };
    let folder = tempfile::tempdir().unwrap();
    let layout = folder.path().join("layout");
    IndexBuilder::new()
        .image(of("arm64", 1))
        .image(of("amd64", 2))
        .write_layout(&layout, "t")
        .unwrap();
    let loaded = load(&folder.path().join("cache"), &layout, "example.org/x:t")
        .await
        .unwrap();
    assert_eq!(loaded.platform.to_string(), "linux/amd64");
    assert_eq!(loaded.layer_diff_ids[0].to_string(), layer(2).diff_id());

    // The manifests of one name in index.json itself are one image for several platforms.
    let layout = folder.path().join("flat");
    let (arm, amd) = (of("arm64", 1), of("amd64", 2));
    let arm = arm.write_layout(&layout, "t").unwrap();
    let amd = amd.write_layout(&layout, "t").unwrap();
    let mut manifests = vec![arm.descriptor(), amd.descriptor()];
    for (manifest, architecture) in manifests.iter_mut().zip(["arm64", "amd64"]) {
        manifest["annotations"] = json!({"org.opencontainers.image.ref.name": "t"});
        manifest["platform"] = json!({"os": "linux", "architecture": architecture});
    }
    manifests.push(
        json!({"mediaType": "x", "digest": amd.descriptor()["digest"], "size": 1,
        "annotations": {"org.opencontainers.image.ref.name": "other"}}),
    );
    let index = json!({"schemaVersion": 2, "manifests": manifests});
    std::fs::write(layout.join("index.json"), index.to_string()).unwrap();
    let loaded = load(&folder.path().join("cache2"), &layout, "example.org/x:t")
        .await
        .unwrap();
    assert_eq!(loaded.layer_diff_ids[0].to_string(), layer(2).diff_id());
}
