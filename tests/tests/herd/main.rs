//! Many processes pull overlapping images into one cache whose budget holds half of them.
//!
//! ```text
//!   8 processes  pull, compare the disk, let go          ──┐
//!   8 processes  the same, and keep some disks leased    ──┼──▶ one cache, budget: half of 8 images
//!   this one     adds up the cache's files meanwhile     ──┘
//! ```
//!
//! No leased file is lost, every disk has the right bytes, the budget is held within one image, and each blob is downloaded once, and once
//! more after each removal of its layer. The number of operations is 480, or `MSB_HERD_OPERATIONS`.
#![cfg(target_os = "linux")]
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test panics, and prints its figures"
)]

mod process;

#[path = "../model/random.rs"]
mod random;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use microsandbox_image::{GlobalCache, Platform, PullOptions, Reference, Registry};
use msb_testkit::fault_registry::FaultRegistry;
use msb_testkit::image::{BuiltImage, ImageBuilder, Layer};
use process::{Herd, disk_digest};
use tempfile::TempDir;

const IMAGES: usize = 8;
const PROCESSES: usize = 16;
const HOLDERS: usize = 8;

/// Images that share layers.
struct Images {
    registry: FaultRegistry,
    built: Vec<BuiltImage>,
    _layouts: Vec<TempDir>,
}

impl Images {
    fn new() -> Self {
        let registry = FaultRegistry::start().unwrap();
        let layer = |(n, size): (usize, usize)| {
            let recipe = format!("dir d{n}\nfile d{n}/f size={size} seed={n}");
            Layer::recipe(&recipe).gzip()
        };
        let (mut built, mut layouts) = (Vec::new(), Vec::new());
        for n in 0..IMAGES {
            let layout = tempfile::tempdir().unwrap();
            // One layer of all images, one of two, and one of its own.
            let image = [(100, 100_000), (50 + n / 2, 100_000), (n, 200_000)]
                .into_iter()
                .fold(ImageBuilder::new(), |image, n| image.layer(layer(n)));
            built.push(image.write_layout(layout.path(), "t").unwrap());
            registry.serve(&format!("i{n}"), layout.path());
            layouts.push(layout);
        }
        Self {
            registry,
            built,
            _layouts: layouts,
        }
    }

    fn references(&self) -> Vec<Reference> {
        let host = self.registry.host();
        let names = (0..IMAGES).map(|n| format!("{host}/i{n}:t"));
        names.map(|name| name.parse().unwrap()).collect()
    }

    /// Returns the diff_id and the blob of every layer, each once.
    fn layers(&self) -> BTreeMap<String, String> {
        let layers = self.built.iter().flat_map(|image| {
            let diff_ids = image.diff_ids.iter().cloned();
            diff_ids.zip(image.layer_digests.iter().cloned())
        });
        layers.collect()
    }
}

/// Returns the sum of the lengths of the artifacts below a directory, temporary files left out.
fn total_bytes(cache: &Path) -> u64 {
    let mut open: Vec<PathBuf> = ["layers", "disks", "blobs"]
        .map(|dir| cache.join(dir))
        .into();
    let mut sum = 0;
    while let Some(path) = open.pop() {
        // Other processes remove what was listed.
        let Ok(entry) = path.symlink_metadata() else {
            continue;
        };
        if entry.is_dir() {
            let entries = fs::read_dir(&path).into_iter().flatten().flatten();
            open.extend(entries.map(|entry| entry.path()));
        } else if !path.to_string_lossy().contains("/.tmp-") {
            sum += entry.len();
        }
    }
    sum
}

/// Pulls every image alone, and returns the digests of their disks, the bytes of the largest image, and those of all images together.
async fn alone(references: &[Reference]) -> (Vec<String>, u64, u64) {
    let all = tempfile::tempdir().unwrap();
    let (mut digests, mut largest, mut before) = (Vec::new(), 0, 0);
    for reference in references {
        let one = tempfile::tempdir().unwrap();
        for root in [one.path(), all.path()] {
            let cache = GlobalCache::new(root).unwrap();
            let registry = Registry::new(Platform::new("linux", "amd64"), cache).unwrap();
            let result = registry
                .pull(reference, &PullOptions::default())
                .await
                .unwrap();
            if root == one.path() {
                digests.push(disk_digest(&result));
            }
        }
        largest = largest.max(total_bytes(one.path()));
        before = total_bytes(all.path());
    }
    (digests, largest, before)
}

#[tokio::test]
async fn a_herd_of_processes_loses_no_leased_file_and_keeps_the_budget() {
    let operations: usize =
        std::env::var("MSB_HERD_OPERATIONS").map_or(480, |number| number.parse().unwrap());
    let images = Images::new();
    let references = images.references();
    let (digests, largest, all) = alone(&references).await;
    images.registry.forget_requests();

    let folder = tempfile::tempdir().unwrap();
    let cache = folder.path().join("cache");
    let log = folder.path().join("changes");
    let max_bytes = all / 2;
    let herd = Herd {
        cache: cache.clone(),
        references: references.iter().map(ToString::to_string).collect(),
        digests,
        max_bytes,
        operations: operations.div_ceil(PROCESSES),
    };
    let children = herd.start(folder.path(), &log);
    let mut greatest = 0;
    let mut reports = Vec::new();
    for mut child in children {
        while child.try_wait().unwrap().is_none() {
            greatest = greatest.max(total_bytes(&cache));
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "{output:?}");
        reports.push(process::Report::parse(&output.stdout));
    }
    let report = reports
        .into_iter()
        .fold(process::Report::default(), process::Report::plus);
    let rest = total_bytes(&cache);

    // Of each layer: how often its blob was requested, and how often the file that marks it complete was removed.
    let changes = fs::read_to_string(&log).unwrap();
    let (mut fetched, mut evicted) = (0, 0);
    for (diff_id, blob) in images.layers() {
        let name = format!("{}.v", diff_id.trim_start_matches("sha256:"));
        let removed = changes
            .lines()
            .filter(|line| line.starts_with("unlink\t") && line.contains(&name))
            .filter(|line| line.ends_with(".layer") && !line.contains("/.tmp-"))
            .count();
        let requested = images.registry.count(&blob);
        let is_cached = fs::read_dir(cache.join("layers/sha256"))
            .unwrap()
            .any(|entry| {
                let file = entry.unwrap().file_name().into_string().unwrap();
                file.starts_with(&name) && file.ends_with(".layer")
            });
        assert_eq!(requested, removed + usize::from(is_cached), "{diff_id}");
        fetched += requested;
        evicted += removed;
    }
    println!(
        "{report:?}; {fetched} blobs fetched, {evicted} evicted; budget {max_bytes} bytes, at most {greatest}, {rest} in the end, \
         the largest image {largest}"
    );
    assert!(report.pulls + report.unmet >= operations as u64);
    assert!(report.held > 0 && evicted > 0);
    assert!(rest <= max_bytes + largest, "{rest}");
    assert!(greatest <= max_bytes + largest, "{greatest}");
}
