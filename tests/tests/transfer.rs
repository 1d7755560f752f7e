//! How the bytes of large blobs arrive: over connections that break, over slow ones, and through a caching mirror.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use common::{docker_registry, push, verify};
use microsandbox_image::{
    CacheError, GlobalCache, Platform, PullError, PullOptions, PullResult, Reference, Registry,
    RegistryBuilder, RegistryLimits, Timeouts,
};
use msb_testkit::fault_registry::{Fault, FaultRegistry};
use msb_testkit::image::{ImageBuilder, Layer};
use msb_testkit::link::{Link, LinkOptions};
use msb_testkit::registry::NginxMirror;
use tempfile::TempDir;

const CUT: usize = 5 << 20;

fn builder(cache: &Path) -> RegistryBuilder {
    let cache = GlobalCache::new(cache).unwrap();
    // The pauses after each cut would take longer than the test.
    let timeouts = Timeouts::default().with_backoff(Duration::from_millis(1));
    Registry::builder(Platform::new("linux", "amd64"), cache).timeouts(timeouts)
}

async fn pull(registry: &Registry, reference: &str) -> Result<PullResult, PullError> {
    let reference: Reference = reference.parse().unwrap();
    registry.pull(&reference, &PullOptions::default()).await
}

/// An image with one layer of so many MB, not compressed.
fn large(megabytes: usize) -> ImageBuilder {
    let files: String = (0..megabytes)
        .map(|n| format!("file {n} size=1000000 seed={n}\n"))
        .collect();
    ImageBuilder::new().layer(Layer::recipe(&files).plain())
}

/// Settings in which the registry `host` has the mirror `url`.
fn mirrored(host: &str, url: &str) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join(host);
    std::fs::create_dir_all(&dir).unwrap();
    std::fs::write(dir.join("hosts.toml"), format!("[host.\"{url}\"]\n")).unwrap();
    folder
}

#[tokio::test]
async fn two_hundred_megabytes_that_are_cut_every_five_are_fetched_once_from_the_registry_and_a_mirror()
 {
    let layout = tempfile::tempdir().unwrap();
    let built = large(200).write_layout(layout.path(), "t").unwrap();
    let digest = &built.layer_digests[0];
    for is_mirrored in [false, true] {
        let (registry, mirror) = (
            FaultRegistry::start().unwrap(),
            FaultRegistry::start().unwrap(),
        );
        for server in [&registry, &mirror] {
            server.serve("x", layout.path());
            server.fault(digest, Fault::CutAfter(CUT));
        }
        let cache = tempfile::tempdir().unwrap();
        // One connection, so that the bytes of each request are known.
        let limits = RegistryLimits::default().with_ranges(1);
        let mut builder = builder(cache.path()).limits(limits);
        let url = format!("http://{}", mirror.host());
        let hosts = mirrored(&registry.host(), &url);
        if is_mirrored {
            builder = builder.hosts_dir(hosts.path());
        }
        let pulled = pull(
            &builder.build().unwrap(),
            &format!("{}/x:t", registry.host()),
        )
        .await;
        pulled.unwrap().verify(true).unwrap();
        let (serving, other) = if is_mirrored {
            (&mirror, &registry)
        } else {
            (&registry, &mirror)
        };
        let first_bytes: Vec<usize> = serving
            .requests()
            .iter()
            .filter(|request| request.path.contains(digest.as_str()))
            .map(|request| request.from)
            .collect();
        assert!(first_bytes.len() >= 39, "{}", first_bytes.len());
        // Each request begins where the bytes of the one before it ended.
        let expected: Vec<usize> = (0..first_bytes.len()).map(|index| index * CUT).collect();
        assert_eq!(first_bytes, expected);
        assert_eq!(other.count(digest), 0);
    }
}

#[tokio::test]
async fn a_layer_over_a_slow_connection_is_fetched_by_several() {
    let registry = docker_registry();
    push(&registry, "x", &large(60));
    let options = LinkOptions {
        bytes_per_sec: Some(10_000_000),
        ..LinkOptions::default()
    };
    let link = Link::start(&registry.host(), options).unwrap();
    let cache = tempfile::tempdir().unwrap();
    let registry = builder(cache.path()).build().unwrap();
    let result = pull(&registry, &format!("{}/x:t", link.host()))
        .await
        .unwrap();
    verify(&result);
    // Only the first response is closed before its end; what is on its way then comes twice.
    let blob_bytes: u64 = result.layers.iter().map(|layer| layer.size).sum();
    let twice = link.bytes() - blob_bytes;
    assert!(twice < 4 << 20, "{twice} bytes");
    // The first connection, up to four ranges, and one that is closed meanwhile.
    let peak = link.peak_connections();
    assert!((2..=6).contains(&peak), "{peak} connections");
}

#[tokio::test]
async fn a_full_disk_ends_all_ranges() {
    if !rustix::process::geteuid().is_root() {
        assert!(std::env::var_os("CI").is_none(), "mounting needs root");
        return;
    }
    let server = docker_registry();
    push(&server, "x", &large(160));
    let options = LinkOptions {
        bytes_per_sec: Some(10_000_000),
        ..LinkOptions::default()
    };
    let link = Link::start(&server.host(), options).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let mounted = Command::new("mount")
        .args(["-t", "tmpfs", "-o", "size=200m", "tmpfs"])
        .arg(folder.path())
        .status()
        .unwrap();
    assert!(mounted.success());
    let registry = builder(&folder.path().join("cache")).build().unwrap();
    let reference = format!("{}/x:t", link.host());
    let pulling = async {
        let mut pulled = std::pin::pin!(pull(&registry, &reference));
        let mut filled = false;
        loop {
            if let Ok(pulled) = tokio::time::timeout(Duration::from_millis(20), &mut pulled).await {
                return (pulled, filled);
            }
            if !filled && link.open_connections() > 2 {
                filled = true;
                // Fails when the disk is full.
                let _ = std::fs::write(folder.path().join("other"), vec![1; 200 << 20]);
            }
        }
    };
    let (pulled, filled) = tokio::time::timeout(Duration::from_secs(120), pulling)
        .await
        .unwrap();
    let _ = Command::new("umount")
        .arg("--lazy")
        .arg(folder.path())
        .status();
    assert!(filled, "there were no ranges");
    let error = pulled.unwrap_err();
    assert!(
        matches!(&error, PullError::Cache(CacheError::Store(error)) if error.is_full()),
        "{error:?}"
    );
    // Idle connections may stay open, but none brings bytes.
    let begun = Instant::now();
    loop {
        let before = link.bytes();
        tokio::time::sleep(Duration::from_millis(200)).await;
        if link.bytes() == before {
            break;
        }
        assert!(
            begun.elapsed() < Duration::from_secs(60),
            "bytes still come"
        );
    }
}

#[tokio::test]
async fn nginx_as_a_caching_mirror_serves_whole_blobs_and_ranges_without_the_registry() {
    let origin = docker_registry();
    push(&origin, "x", &large(60));
    let mirror = NginxMirror::start(&origin.url()).unwrap();
    let reference = format!("{}/x:t", origin.host());
    let hosts = mirrored(&origin.host(), &mirror.url());
    let cache = tempfile::tempdir().unwrap();
    let registry = builder(cache.path()).hosts_dir(hosts.path());
    verify(&pull(&registry.build().unwrap(), &reference).await.unwrap());
    assert!(mirror.log().iter().any(|line| line.contains(" 200 MISS")));
    drop(origin);

    let options = LinkOptions {
        bytes_per_sec: Some(10_000_000),
        ..LinkOptions::default()
    };
    let link = Link::start(&mirror.host(), options).unwrap();
    let host = reference.split('/').next().unwrap();
    let hosts = mirrored(host, &format!("http://{}", link.host()));
    let cache = tempfile::tempdir().unwrap();
    let registry = builder(cache.path()).hosts_dir(hosts.path());
    verify(&pull(&registry.build().unwrap(), &reference).await.unwrap());
    let log = mirror.log();
    assert!(
        log.iter().any(|line| line.contains(" 206 HIT bytes=")),
        "{log:?}"
    );
}
