//! Faults of the machine: full disks, unwritable folders.

use std::os::unix::fs::PermissionsExt;

use super::*;
use crate::common::msb_image;

#[tokio::test]
async fn a_partial_blob_that_cannot_be_written_does_not_fail_the_pull() {
    let layer = Layer::recipe("file big size=12000000 seed=1").plain();
    let served = Served::new(&ImageBuilder::new().layer(layer));
    let digest = served.built.layer_digests[0].clone();
    let hex = digest.trim_start_matches("sha256:");
    // A directory in place of the file, and a file in place of its directory.
    let block: [fn(&Path, &str); 2] = [
        |parts, hex| {
            std::fs::create_dir_all(parts.join("sha256").join(format!("{hex}.part/x"))).unwrap()
        },
        |parts, _| std::fs::write(parts, b"").unwrap(),
    ];
    for block in block {
        let cache = tempfile::tempdir().unwrap();
        drop(pull(cache.path(), &small().reference).await.unwrap());
        let parts = cache.path().join("parts");
        let _ = std::fs::remove_dir_all(&parts);
        block(&parts, hex);
        let result = pull(cache.path(), &served.reference).await.unwrap();
        result.verify(true).unwrap();
    }
}

fn small() -> Served {
    Served::new(&ImageBuilder::new().layer(Layer::recipe("file a size=10").gzip()))
}

#[tokio::test]
async fn a_full_disk_ends_a_pull_whose_registry_sends_nothing() {
    if !rustix::process::geteuid().is_root() {
        assert!(std::env::var_os("CI").is_none(), "mounting needs root");
        return;
    }
    // Repetitive contents: the last piece of the blob fills the disk, so that no later piece reports the fault.
    let files: String = (0..150)
        .map(|n| format!("file {n} size=100000 seed=1\n"))
        .collect();
    let layer = Layer::recipe(&files).zstd();
    let blob_bytes = layer.blob_bytes().unwrap().len();
    assert!(blob_bytes < 200_000, "{blob_bytes}");
    let served = Served::new(&ImageBuilder::new().layer(layer));
    let digest = &served.built.layer_digests[0];
    // Nearly all of the blob arrives; unpacked it is far larger than the disk.
    let stall = Fault::StallAfter(blob_bytes - 1, Duration::from_secs(600));
    served.registry.fault(digest, stall);
    let folder = tempfile::tempdir().unwrap();
    let mounted = std::process::Command::new("mount")
        .args(["-t", "tmpfs", "-o", "size=8m", "tmpfs"])
        .arg(folder.path())
        .status()
        .unwrap();
    assert!(mounted.success());
    let begun = Instant::now();
    let pulled = tokio::time::timeout(
        Duration::from_secs(20),
        pull(&folder.path().join("cache"), &served.reference),
    )
    .await;
    let took = begun.elapsed();
    let _ = std::process::Command::new("umount")
        .arg("--lazy")
        .arg(folder.path())
        .status();
    let error = pulled
        .expect("the pull waits for the registry")
        .unwrap_err();
    assert!(
        matches!(&error, PullError::Cache(CacheError::Store(error)) if error.is_full()),
        "{error:?}"
    );
    assert!(took < Duration::from_secs(10), "{took:?}");
}

#[tokio::test]
async fn a_cached_file_that_cannot_be_read_is_named_and_not_rebuilt() {
    if !rustix::process::geteuid().is_root() {
        assert!(std::env::var_os("CI").is_none(), "another user needs root");
        return;
    }
    const NOBODY: u32 = 65534;
    let served = Served::new(
        &ImageBuilder::new().layer(Layer::recipe("dir d\nfile d/a size=20000 seed=1").gzip()),
    );
    // Root may read everything, so another user runs a copy of the command that it can read.
    let folder = tempfile::tempdir().unwrap();
    std::fs::set_permissions(folder.path(), PermissionsExt::from_mode(0o755)).unwrap();
    let program = folder.path().join("msb-image");
    msb_testkit::program::copy(msb_image(), &program).unwrap();
    let cache = folder.path().join("cache");
    std::fs::create_dir(&cache).unwrap();
    std::os::unix::fs::chown(&cache, Some(NOBODY), Some(NOBODY)).unwrap();
    let name = served.reference.to_string();
    let run = |arguments: &[&str]| {
        use std::os::unix::process::CommandExt as _;
        std::process::Command::new(&program)
            .uid(NOBODY)
            .gid(NOBODY)
            // The configuration of this user is not the other one's.
            .env_remove("HOME")
            .env_remove("XDG_CONFIG_HOME")
            .arg("--cache-dir")
            .arg(&cache)
            .args(["pull", "--progress", "none", "--format", "json"])
            .args(arguments)
            .arg(&name)
            .output()
            .unwrap()
    };
    let cold = run(&[]);
    assert!(
        cold.status.success(),
        "{}",
        String::from_utf8_lossy(&cold.stderr)
    );
    let cold: serde_json::Value = serde_json::from_slice(&cold.stdout).unwrap();
    let image = cold["layers"][0]["erofs"].as_str().unwrap();
    let sidecar = Path::new(image).with_extension("layer");
    for path in [
        sidecar.as_path(),
        Path::new(cold["fsmeta"].as_str().unwrap()),
    ] {
        let mode = std::fs::metadata(path).unwrap().permissions();
        std::fs::set_permissions(path, PermissionsExt::from_mode(0o000)).unwrap();
        served.registry.forget_requests();
        let output = run(&["--policy", "always"]);
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(1), "{stderr}");
        assert!(stderr.contains(path.to_str().unwrap()), "{stderr}");
        assert!(
            stderr.to_lowercase().contains("permission denied"),
            "{stderr}"
        );
        assert_eq!(served.registry.count("/blobs/"), 0, "a new download");
        std::fs::set_permissions(path, mode).unwrap();
    }
    assert!(run(&["--policy", "always"]).status.success());
}

#[tokio::test]
async fn a_cached_sidecar_whose_bytes_cannot_be_read_is_named_and_not_rebuilt() {
    if !rustix::process::geteuid().is_root() {
        assert!(std::env::var_os("CI").is_none(), "mounting needs root");
        return;
    }
    let served = Served::new(&ImageBuilder::new().layer(Layer::recipe("file a size=10").gzip()));
    let cache = tempfile::tempdir().unwrap();
    let cold = pull(cache.path(), &served.reference).await.unwrap();
    let sidecar = cold.layers[0].erofs.with_extension("layer");
    served.registry.forget_requests();
    // A regular file of 4096 bytes: it can be opened, and every read of it is an error.
    let unreadable = Path::new("/sys/class/net/lo/speed");
    let error = std::fs::read(unreadable).unwrap_err();
    let mounted = std::process::Command::new("mount")
        .arg("--bind")
        .args([unreadable, &sidecar])
        .status()
        .unwrap();
    assert!(mounted.success());
    let pulled = registry_in(cache.path())
        .pull(&served.reference, &policy(PullPolicy::Always))
        .await;
    let _ = std::process::Command::new("umount")
        .arg("--lazy")
        .arg(&sidecar)
        .status();
    let pulled = pulled.unwrap_err();
    let PullError::Cache(CacheError::Sidecar { path, source }) = &pulled else {
        panic!("{pulled:?}");
    };
    assert_eq!(*path, sidecar);
    let cause = std::error::Error::source(source).map(ToString::to_string);
    assert_eq!(cause, Some(error.to_string()));
    assert_eq!(served.registry.count("/blobs/"), 0, "a new download");
}

#[tokio::test]
async fn more_layers_than_a_descriptor_holds_are_refused_before_a_download() {
    const LAYERS: usize = 10_000;
    let layer = Layer::recipe("file a size=10").gzip();
    let layers = (0..LAYERS).fold(ImageBuilder::new(), |image, n| {
        image.layer(layer.clone().with_diff_id(&format!("sha256:{n:064x}")))
    });
    let served = Served::new(&layers);
    let cache = tempfile::tempdir().unwrap();
    let error = pull(cache.path(), &served.reference).await.unwrap_err();
    let text = error.to_string();
    assert!(text.contains("10000 layers"), "{text}");
    assert!(text.contains(&served.built.manifest_digest), "{text}");
    assert_eq!(served.registry.count(&served.built.layer_digests[0]), 0);
}

#[tokio::test]
async fn a_record_that_would_outgrow_its_limit_is_refused_before_a_download() {
    let layer = Layer::recipe("file a size=10").gzip();
    let long = "x".repeat(1 << 20);
    let labels = |count: usize| {
        let labels: serde_json::Map<_, _> = (0..count)
            .map(|n| (format!("{n}"), long.as_str().into()))
            .collect();
        ImageBuilder::new()
            .layer(layer.clone())
            .config(serde_json::json!({ "Labels": labels }))
    };
    let served = Served::new(&labels(17));
    let mut limits = microsandbox_image::RegistryLimits::default();
    limits.config_bytes = 64 << 20;
    let cache = tempfile::tempdir().unwrap();
    let registry = microsandbox_image::Registry::builder(
        Platform::new("linux", "amd64"),
        GlobalCache::new(cache.path()).unwrap(),
    )
    .limits(limits)
    .build()
    .unwrap();
    let error = registry
        .pull(&served.reference, &PullOptions::default())
        .await
        .unwrap_err();
    assert!(error.to_string().contains("the record"), "{error}");
    assert_eq!(served.registry.count(&served.built.layer_digests[0]), 0);
    let most = Served::new(&labels(7));
    let options = PullOptions::default();
    registry.pull(&most.reference, &options).await.unwrap();
}
