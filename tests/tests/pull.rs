//! Small images in every form, and the requests of a pull in the log of the registry.
#![cfg(target_os = "linux")]
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test panics, and prints what it saw"
)]

mod common;

use common::{docker_registry, flat_disk, pull, push, reference, registry_in, verify, walk};
use microsandbox_image::{PullOptions, PullPolicy};
use msb_testkit::image::{ImageBuilder, Layer};
use msb_testkit::mount::KernelMount;
use msb_testkit::registry::DockerRegistry;

fn layers() -> [Layer; 3] {
    [
        Layer::recipe(
            "dir . mode=0755\ndir etc\nfile etc/a size=9000 seed=1\nfile etc/b size=10 seed=2",
        )
        .gzip(),
        Layer::recipe("whiteout etc/b\nfile etc/c size=5000 seed=3\nlink etc/d target=etc/c")
            .zstd_frames(3, true),
        Layer::recipe("symlink l target=etc\nfile l/e size=4096 seed=4").plain(),
    ]
}

fn blob_and_manifest_gets(registry: &DockerRegistry) -> (usize, usize) {
    let requests = registry.requests();
    let count = |part: &str| {
        requests
            .iter()
            .filter(|r| r.method == "GET" && r.path.contains(part))
            .count()
    };
    (count("/blobs/"), count("/manifests/"))
}

#[tokio::test]
async fn every_compression_and_both_manifest_forms_give_one_tree() {
    let registry = docker_registry();
    let [a, b, c] = layers();
    let image = ImageBuilder::new()
        .layer(a.clone())
        .layer(b.clone())
        .layer(c.clone());
    push(&registry, "oci", &image);
    push(&registry, "docker", &image.docker_schema2());
    let members = ImageBuilder::new()
        .layer(a.gzip_members(4))
        .layer(b.gzip())
        .layer(c.zstd());
    push(&registry, "members", &members);
    let mut trees = Vec::new();
    for name in ["oci:t", "docker:t", "members:t"] {
        let cache = tempfile::tempdir().unwrap();
        let result = pull(cache.path(), &reference(&registry, name))
            .await
            .unwrap();
        verify(&result);
        let (_folder, disk) = flat_disk(&result);
        trees.push(walk(&KernelMount::erofs(&disk, &[]).unwrap()));
    }
    let paths: Vec<_> = trees[0]
        .entries
        .keys()
        .map(|path| String::from_utf8_lossy(path).into_owned())
        .collect();
    assert_eq!(
        paths,
        ["/", "/etc", "/etc/a", "/etc/c", "/etc/d", "/etc/e", "/l"]
    );
    assert_eq!(trees[0], trees[1]);
    assert_eq!(trees[0], trees[2]);
}

#[tokio::test]
async fn no_layers_one_layer_and_the_same_layer_twice() {
    let registry = docker_registry();
    let [a, b, _] = layers();
    push(&registry, "none", &ImageBuilder::new());
    push(&registry, "one", &ImageBuilder::new().layer(b.clone()));
    push(
        &registry,
        "twice",
        &ImageBuilder::new().layer(a.clone()).layer(b).layer(a),
    );
    let cache = tempfile::tempdir().unwrap();
    for (name, extents, has) in [
        ("none:t", 1, None),
        ("one:t", 2, Some("/etc/c")),
        ("twice:t", 3, Some("/etc/b")),
    ] {
        let result = pull(cache.path(), &reference(&registry, name))
            .await
            .unwrap();
        verify(&result);
        assert_eq!(result.extents.len(), extents, "{name}");
        let (_folder, disk) = flat_disk(&result);
        let tree = walk(&KernelMount::erofs(&disk, &[]).unwrap());
        assert!(has.is_none_or(|path| tree.get(path).is_some()), "{name}");
        assert!(
            !tree
                .entries
                .keys()
                .any(|path| path.windows(4).any(|part| part == b".wh.")),
            "{name}"
        );
    }
}

#[tokio::test]
async fn an_image_of_130_layers_mounts_as_one_flat_disk() {
    let registry = docker_registry();
    let mut image = ImageBuilder::new();
    for n in 0..130 {
        image = image.layer(
            Layer::recipe(&format!(
                "file f{n} size={} seed={n}\nfile all size={}",
                n * 100,
                n + 1
            ))
            .gzip(),
        );
    }
    push(&registry, "many", &image);
    let cache = tempfile::tempdir().unwrap();
    let result = pull(cache.path(), &reference(&registry, "many:t"))
        .await
        .unwrap();
    verify(&result);
    let (_folder, disk) = flat_disk(&result);
    let tree = walk(&KernelMount::erofs(&disk, &[]).unwrap());
    assert_eq!(tree.entries.len(), 132);
    assert_eq!(tree.get("/all").unwrap().size, Some(130));
}

#[tokio::test]
async fn policies_ask_no_more_than_they_say() {
    let registry = docker_registry();
    let [a, b, c] = layers();
    push(
        &registry,
        "policy",
        &ImageBuilder::new().layer(a).layer(b).layer(c),
    );
    let cache = tempfile::tempdir().unwrap();
    let name = reference(&registry, "policy:t");
    let puller = registry_in(cache.path());
    let policy = |pull_policy| PullOptions {
        pull_policy,
        ..PullOptions::default()
    };

    registry.forget_requests().unwrap();
    let error = puller
        .pull(&name, &policy(PullPolicy::Never))
        .await
        .unwrap_err();
    assert!(error.is_not_found(), "{error:?}");
    assert!(error.to_string().contains("is not cached"), "{error}");
    assert_eq!(registry.requests().len(), 0);

    let cold = puller
        .pull(&name, &policy(PullPolicy::IfMissing))
        .await
        .unwrap();
    assert!(!cold.cached);
    assert_eq!(blob_and_manifest_gets(&registry), (4, 1));

    for quiet in [PullPolicy::IfMissing, PullPolicy::Never] {
        registry.forget_requests().unwrap();
        let warm = registry_in(cache.path())
            .pull(&name, &policy(quiet))
            .await
            .unwrap();
        assert!(warm.cached);
        assert_eq!(warm.vmdk, cold.vmdk);
        assert_eq!(registry.requests().len(), 0, "{quiet}");
    }
    registry.forget_requests().unwrap();
    let fresh = registry_in(cache.path())
        .pull(&name, &policy(PullPolicy::Always))
        .await
        .unwrap();
    assert!(fresh.cached);
    assert_eq!(blob_and_manifest_gets(&registry), (0, 1));
}

#[tokio::test]
async fn a_warm_pull_never_serves_what_is_not_whole() {
    let registry = docker_registry();
    let [a, b, c] = layers();
    push(
        &registry,
        "whole",
        &ImageBuilder::new().layer(a).layer(b).layer(c),
    );
    let cache = tempfile::tempdir().unwrap();
    let name = reference(&registry, "whole:t");
    let cold = pull(cache.path(), &name).await.unwrap();
    let sidecar = cold.layers[0].erofs.with_extension("layer");
    let cut = |path: &std::path::Path| {
        std::fs::File::options()
            .write(true)
            .open(path)
            .unwrap()
            .set_len(100)
            .unwrap()
    };
    for path in [&cold.layers[1].erofs, &cold.fsmeta, &cold.vmdk, &sidecar] {
        for damage in [
            &|path: &std::path::Path| std::fs::remove_file(path).unwrap() as (),
            &cut as &dyn Fn(&std::path::Path),
        ] {
            let before = std::fs::read(path).unwrap();
            damage(path);
            let again = pull(cache.path(), &name).await.unwrap();
            verify(&again);
            assert_eq!(std::fs::read(path).unwrap(), before, "{}", path.display());
        }
    }
    // A descriptor with outdated paths.
    let text = std::fs::read_to_string(&cold.vmdk).unwrap();
    std::fs::write(&cold.vmdk, text.replace("\"layers", "\"LAYERS")).unwrap();
    verify(&pull(cache.path(), &name).await.unwrap());
}

#[tokio::test]
async fn a_digest_decides_over_a_tag_and_layers_are_shared_between_tags() {
    let registry = docker_registry();
    let [a, b, c] = layers();
    let one = push(
        &registry,
        "app",
        &ImageBuilder::new().layer(a.clone()).layer(b.clone()),
    );
    let cache = tempfile::tempdir().unwrap();
    pull(
        cache.path(),
        &reference(
            &registry,
            &format!("app:nonexistent@{}", one.manifest_digest),
        ),
    )
    .await
    .unwrap();
    let other = push(
        &registry,
        "app",
        &ImageBuilder::new().layer(a).layer(b).layer(c),
    );
    pull(cache.path(), &reference(&registry, "app:t"))
        .await
        .unwrap();
    for digest in &other.layer_digests {
        assert_eq!(registry.blob_gets(digest), 1, "{digest}");
    }
}
