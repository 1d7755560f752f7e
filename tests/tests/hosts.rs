//! The hosts of registries as the facade sets them up.
#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::net::TcpListener;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use microsandbox_image::{
    GlobalCache, HostConfig, HostProvider, HostsFuture, Platform, PullOptions, PullPolicy,
    Registry, RegistryBuilder, RegistryHost,
};
use msb_testkit::fault_registry::FaultRegistry;
use msb_testkit::image::{ImageBuilder, Layer};
use tempfile::TempDir;

/// A registry with the image `x:t`.
fn serving() -> (FaultRegistry, TempDir) {
    let layout = tempfile::tempdir().unwrap();
    let image = ImageBuilder::new().layer(Layer::recipe("file a data=a").gzip());
    image.write_layout(layout.path(), "t").unwrap();
    let registry = FaultRegistry::start().unwrap();
    registry.serve("x", layout.path());
    (registry, layout)
}

/// Takes connections and never answers. Returns its address and the number of connections so far.
fn black_hole() -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let host = listener.local_addr().unwrap().to_string();
    let count = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&count);
    thread::spawn(move || {
        let mut held = Vec::new();
        while let Ok((socket, _)) = listener.accept() {
            counter.fetch_add(1, Ordering::SeqCst);
            held.push(socket);
        }
    });
    (host, count)
}

fn settings(dir: &Path, registry: &str, mirror: &str) {
    let folder = dir.join(registry);
    std::fs::create_dir_all(&folder).unwrap();
    let text = format!("[host.\"http://{mirror}\"]\n");
    std::fs::write(folder.join("hosts.toml"), text).unwrap();
}

fn builder(cache: &GlobalCache) -> RegistryBuilder {
    Registry::builder(Platform::new("linux", "amd64"), cache.clone())
}

async fn pull(registry: &Registry, host: &str) {
    let options = PullOptions {
        pull_policy: PullPolicy::Always,
        ..PullOptions::default()
    };
    let reference = format!("{host}/x:t").parse().unwrap();
    registry.pull(&reference, &options).await.unwrap();
}

#[tokio::test]
async fn registries_of_one_cache_wait_for_a_mirror_that_is_down_once() {
    let (origin, _layout) = serving();
    let (hole, connections) = black_hole();
    let folder = tempfile::tempdir().unwrap();
    settings(folder.path(), &origin.host(), &hole);
    let cache = GlobalCache::new(folder.path().join("cache")).unwrap();
    let mut counts = Vec::new();
    for _ in 0..3 {
        let registry = builder(&cache).hosts_dir(folder.path()).build().unwrap();
        pull(&registry, &origin.host()).await;
        counts.push(connections.load(Ordering::SeqCst));
    }
    assert!(counts[0] >= 1);
    assert_eq!(counts, [counts[0]; 3]);
}

/// One mirror for every registry.
struct Mirror(String);

impl HostProvider for Mirror {
    fn hosts<'a>(&'a self, _: &'a RegistryHost) -> HostsFuture<'a> {
        let config = HostConfig::at(&format!("http://{}/v2", self.0));
        Box::pin(async move { Ok(vec![config?, HostConfig::registry()]) })
    }
}

#[tokio::test]
async fn a_provider_is_asked_for_registries_without_settings_in_files() {
    let ((of_file, _a), (of_provider, _b)) = (serving(), serving());
    let ((in_files, _c), (elsewhere, _d)) = (serving(), serving());
    let folder = tempfile::tempdir().unwrap();
    settings(folder.path(), &in_files.host(), &of_file.host());
    let cache = GlobalCache::new(folder.path().join("cache")).unwrap();
    let registry = builder(&cache)
        .hosts(Mirror(of_provider.host()))
        .hosts_dir(folder.path())
        .build()
        .unwrap();
    pull(&registry, &in_files.host()).await;
    assert!(of_file.count("/manifests/") > 0);
    assert_eq!(of_provider.count(""), 0);
    pull(&registry, &elsewhere.host()).await;
    assert!(of_provider.count("/manifests/") > 0);
    assert_eq!((in_files.count(""), elsewhere.count("")), (0, 0));
}
