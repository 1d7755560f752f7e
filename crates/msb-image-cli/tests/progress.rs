//! Progress lines of slow, resumed and verbose pulls.

#![allow(
    clippy::unwrap_used,
    reason = "a test, and what it calls, fails by panicking"
)]

mod common;

use std::time::Duration;

use common::{ok, run, stderr};
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
