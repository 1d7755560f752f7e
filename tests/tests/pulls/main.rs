//! Pulls beside other pulls and prunes, with several registries and with faults of the machine.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "../common/mod.rs"]
mod common;
mod faults;
mod full_disk;
mod leases;
mod names;
mod open_files;
mod sharing;

use std::path::Path;
use std::time::{Duration, Instant};

use common::{pull, registry_in};
use microsandbox_image::{
    CacheError, GlobalCache, Platform, PruneOptions, PullError, PullOptions, PullPolicy,
    PullProgress, PullResult, Reference,
};
use msb_testkit::fault_registry::{Fault, FaultRegistry};
use msb_testkit::image::{BuiltImage, ImageBuilder, Layer};
use tempfile::TempDir;

/// An image in its own registry.
struct Served {
    registry: FaultRegistry,
    reference: Reference,
    built: BuiltImage,
    _layout: TempDir,
}

impl Served {
    fn new(image: &ImageBuilder) -> Self {
        let layout = tempfile::tempdir().unwrap();
        let built = image.write_layout(layout.path(), "t").unwrap();
        let registry = FaultRegistry::start().unwrap();
        registry.serve("x", layout.path());
        Self {
            reference: format!("{}/x:t", registry.host()).parse().unwrap(),
            registry,
            built,
            _layout: layout,
        }
    }
}

fn policy(pull_policy: PullPolicy) -> PullOptions {
    PullOptions {
        pull_policy,
        ..PullOptions::default()
    }
}

/// Prunes everything that is neither pinned nor leased.
fn prune(cache: &Path) {
    let mut options = PruneOptions::default();
    options.grace = Duration::ZERO;
    GlobalCache::new(cache).unwrap().prune(&options).unwrap();
}

fn remove(cache: &Path, reference: &Reference) {
    let cache = GlobalCache::new(cache).unwrap();
    let platform = Platform::new("linux", "amd64");
    assert!(cache.remove(reference, &platform).unwrap());
}

/// Waits until a condition holds.
async fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !is_so() {
        assert!(begun.elapsed() < Duration::from_secs(60), "never: {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
