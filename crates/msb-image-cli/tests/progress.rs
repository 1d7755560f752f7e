//! Progress lines of slow, resumed and verbose pulls.

#![allow(
    clippy::unwrap_used,
    reason = "a test, and what it calls, fails by panicking"
)]

mod common;

use std::time::Duration;

use common::{ok, run, stderr, stdout};
use microsandbox_image::ImageInfo;
use msb_testkit::fault_registry::{Fault, FaultRegistry};
use msb_testkit::image::{ImageBuilder, Layer};

/// Returns a registry with an image of one layer of 12 MB, long enough for a partial blob, and the path of the blob.
fn registry() -> (FaultRegistry, String, String) {
    let layout = tempfile::tempdir().unwrap().keep();
    let layer = Layer::recipe("file large size=12000000 seed=1 fill=random").plain();
    let blob = format!("/blobs/{}", layer.digest());
    ImageBuilder::new()
        .layer(layer)
        .write_layout(&layout, "v1")
        .unwrap();
    let registry = FaultRegistry::start().unwrap();
    registry.serve("test", &layout);
    let reference = format!("{}/test:v1", registry.host());
    (registry, reference, blob)
}

fn pull(cache: &std::path::Path, reference: &str, more: &[&str]) -> std::process::Output {
    let args = [&["pull", reference, "--platform", "linux/amd64"], more].concat();
    run(cache, args)
}

#[test]
fn a_stall_is_announced_while_it_lasts_and_ends() {
    let (registry, reference, blob) = registry();
    let cache = tempfile::tempdir().unwrap();
    registry.fault_times(
        &blob,
        1,
        Fault::StallAfter(1_000_000, Duration::from_secs(7)),
    );
    let output = pull(cache.path(), &reference, &["--progress", "plain"]);
    ok(&output);
    let text = stderr(&output);
    assert!(
        text.contains(&format!("{reference}: stalled since 5 s\n")),
        "{text}"
    );
}

#[test]
fn a_resume_is_shown_as_one() {
    let (registry, reference, blob) = registry();
    let cache = tempfile::tempdir().unwrap();
    registry.fault_times(&blob, 1, Fault::CutAfter(10_000_000));
    registry.fault(&blob, Fault::Status(404));
    assert_eq!(pull(cache.path(), &reference, &[]).status.code(), Some(1));
    registry.heal();
    let output = pull(cache.path(), &reference, &["--progress", "plain"]);
    ok(&output);
    let text = stderr(&output);
    assert!(text.contains("layer 1/1: resuming sha256:"), "{text}");
}

#[test]
fn verbose_prints_more_than_the_default() {
    let (_registry, reference, _) = registry();
    let cache = tempfile::tempdir().unwrap();
    let quiet = pull(cache.path(), &reference, &["--progress", "none"]);
    ok(&quiet);
    assert_eq!(stderr(&quiet), "");
    let verbose = pull(
        cache.path(),
        &reference,
        &["--progress", "none", "--force", "-v"],
    );
    ok(&verbose);
    let text = stderr(&verbose);
    for line in [
        &format!(
            "info: msb-image (version={}, cache=",
            env!("CARGO_PKG_VERSION")
        ),
        "info: resolved (at=0.",
        "info: layer download started (at=",
        "info: layer published (at=",
        "info: pull complete (at=",
    ] {
        assert!(text.contains(line), "{line}: {text}");
    }
}

#[test]
fn a_pull_states_what_it_did_in_one_line_and_as_data() {
    const BLOB_BYTES: u64 = 12_001_792;
    let (registry, reference, blob) = registry();
    let cache = tempfile::tempdir().unwrap();
    let stats = |more: &[&str]| {
        let args = [&["--format", "json", "--progress", "none", "-v"], more].concat();
        let output = pull(cache.path(), &reference, &args);
        let image: ImageInfo = serde_json::from_str(&ok(&output)).unwrap();
        let text = stderr(&output);
        let done: Vec<_> = text
            .lines()
            .filter(|line| line.contains("info: done ("))
            .collect();
        assert_eq!(done.len(), 1, "{text}");
        (image.stats.unwrap(), done[0].to_owned())
    };
    // An interrupted pull leaves 10 MB, less what was in memory.
    registry.fault_times(&blob, 1, Fault::CutAfter(10_000_000));
    registry.fault(&blob, Fault::Status(404));
    let failed = pull(cache.path(), &reference, &[]);
    assert_eq!(
        (failed.status.code(), stdout(&failed)),
        (Some(1), String::new())
    );
    registry.heal();

    let (resumed, line) = stats(&[]);
    assert!(resumed.resumed_bytes > 1_000_000);
    assert_eq!(resumed.resumed_bytes + resumed.downloaded_bytes, BLOB_BYTES);
    assert_eq!(resumed.cached_bytes, 0);
    assert!(!resumed.layers.is_zero() && !resumed.disk.is_zero());
    for part in [
        "downloaded=",
        "resumed=",
        "from_cache=0 B",
        "layers=",
        "disk=",
        " s",
    ] {
        assert!(line.contains(part), "{part}: {line}");
    }

    let (cached, line) = stats(&[]);
    assert_eq!(
        (cached.downloaded_bytes, cached.cached_bytes),
        (0, BLOB_BYTES)
    );
    assert!(line.contains("from_cache=11.4 MiB"), "{line}");
    let (asked, _) = stats(&["--policy", "always"]);
    assert_eq!(
        (asked.downloaded_bytes, asked.cached_bytes),
        (0, BLOB_BYTES)
    );
    let (forced, _) = stats(&["--force"]);
    assert_eq!(
        (forced.downloaded_bytes, forced.cached_bytes),
        (BLOB_BYTES, 0)
    );
}
