//! A cache that reads from other caches: what they have is neither downloaded nor changed, and their faults fail no pull.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod damage;
mod in_place;
mod mounts;

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use microsandbox_image::{
    CacheOptions, Digest, GlobalCache, Platform, PullOptions, PullPolicy, PullResult, Reference,
    Registry,
};
use msb_testkit::fault_registry::FaultRegistry;
use msb_testkit::image::{BuiltImage, ImageBuilder, Layer};
use tempfile::TempDir;

/// A registry with one image of several layers, and a cache that pulled it.
struct Setup {
    registry: FaultRegistry,
    _layout: TempDir,
    built: BuiltImage,
    reference: Reference,
    /// The cache that others read from.
    tier: TempDir,
    image: PullResult,
}

fn layer(seed: usize) -> Layer {
    let size = 30_000 * seed;
    let recipe = format!(
        "dir d{seed}\nfile d{seed}/f size={size} seed={seed}\nfile same size=300 seed={seed}"
    );
    Layer::recipe(&recipe).gzip()
}

fn image(layers: &[usize]) -> ImageBuilder {
    let empty = ImageBuilder::new();
    layers
        .iter()
        .fold(empty, |image, seed| image.layer(layer(*seed)))
}

impl Setup {
    async fn new(layers: &[usize]) -> Self {
        let layout = tempfile::tempdir().unwrap();
        let built = image(layers).write_layout(layout.path(), "t").unwrap();
        let registry = FaultRegistry::start().unwrap();
        registry.serve("x", layout.path());
        let reference: Reference = format!("{}/x:t", registry.host()).parse().unwrap();
        let tier = tempfile::tempdir().unwrap();
        let image = pull(&cache(tier.path(), CacheOptions::default()), &reference).await;
        registry.forget_requests();
        Self {
            registry,
            _layout: layout,
            built,
            reference,
            tier,
            image,
        }
    }

    /// Returns a cache that reads from the tier.
    fn above(&self, root: &TempDir) -> GlobalCache {
        cache(root.path(), reading([self.tier.path()]))
    }

    /// Returns the layers that were requested since the last call, by their places in the image.
    fn requested_layers(&self) -> Vec<usize> {
        let requests = self.registry.requests();
        self.registry.forget_requests();
        let digests = self.built.layer_digests.iter().enumerate();
        digests
            .filter(|(_, digest)| {
                requests
                    .iter()
                    .any(|request| request.path.contains(*digest))
            })
            .map(|(index, _)| index)
            .collect()
    }
}

fn reading<'a>(tiers: impl IntoIterator<Item = &'a Path>) -> CacheOptions {
    let mut options = CacheOptions::default();
    options.cache_from = tiers.into_iter().map(Path::to_owned).collect();
    options
}

fn cache(root: &Path, options: CacheOptions) -> GlobalCache {
    GlobalCache::with_options(root, options).unwrap()
}

async fn pull_as(cache: &GlobalCache, reference: &Reference, policy: PullPolicy) -> PullResult {
    let registry = Registry::new(Platform::new("linux", "amd64"), cache.clone()).unwrap();
    let options = PullOptions {
        pull_policy: policy,
        ..PullOptions::default()
    };
    registry.pull(reference, &options).await.unwrap()
}

async fn pull(cache: &GlobalCache, reference: &Reference) -> PullResult {
    pull_as(cache, reference, PullPolicy::IfMissing).await
}

/// What a write would change of a file or directory.
#[derive(PartialEq, Eq)]
struct Entry {
    inode: (u64, u32, u64),
    times: (i64, i64),
    bytes: u64,
    digest: Option<Digest>,
}

/// Returns every entry below a directory with all that a write would change.
fn snapshot(root: &Path) -> BTreeMap<PathBuf, Entry> {
    let mut all = BTreeMap::new();
    let mut open = vec![root.to_owned()];
    while let Some(path) = open.pop() {
        let entry = path.symlink_metadata().unwrap();
        if entry.is_dir() {
            open.extend(
                fs::read_dir(&path)
                    .unwrap()
                    .map(|entry| entry.unwrap().path()),
            );
        }
        let digest = entry
            .is_file()
            .then(|| Digest::sha256_of(&fs::read(&path).unwrap()));
        let changed = entry.ctime() * 1_000_000_000 + entry.ctime_nsec();
        let modified = entry.mtime() * 1_000_000_000 + entry.mtime_nsec();
        let entry = Entry {
            inode: (entry.ino(), entry.mode(), entry.nlink()),
            times: (modified, changed),
            bytes: entry.len(),
            digest,
        };
        all.insert(path, entry);
    }
    all
}

/// Returns the sum of the lengths of the layer images and merged metadata of a cache.
fn disk_bytes(root: &Path) -> u64 {
    let files = snapshot(root).into_iter();
    files
        .filter(|(path, _)| path.extension().is_some_and(|end| end == "erofs"))
        .map(|(_, entry)| entry.bytes)
        .sum()
}
