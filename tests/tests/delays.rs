//! A pull reports its delays while they last.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::time::Duration;

use microsandbox_image::{GlobalCache, Platform, PullOptions, PullProgress, Registry, Timeouts};
use msb_testkit::fault_registry::{Fault, FaultRegistry};
use msb_testkit::image::{ImageBuilder, Layer};

#[tokio::test(flavor = "multi_thread")]
async fn a_pull_announces_retries_stalls_and_resumes() {
    let (layout, cache) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let layer = Layer::recipe("dir etc\nfile etc/a size=400000 seed=1").gzip();
    let built = ImageBuilder::new()
        .layer(layer)
        .write_layout(layout.path(), "t")
        .unwrap();
    let server = FaultRegistry::start().unwrap();
    server.serve("x", layout.path());
    server.fault_times("manifests", 2, Fault::Status(503));
    let blob = built.layer_digests[0].clone();
    server.fault_times(&blob, 1, Fault::StallAfter(1000, Duration::from_secs(10)));

    let timeouts = Timeouts::default()
        .with_backoff(Duration::from_millis(20))
        .with_stall(Duration::from_millis(400))
        .with_stall_notice(Duration::from_millis(100));
    let platform = Platform::new("linux", "amd64");
    let cache = GlobalCache::new(cache.path()).unwrap();
    let registry = Registry::builder(platform, cache)
        .timeouts(timeouts)
        .build()
        .unwrap();
    let reference = format!("{}/x:t", server.host()).parse().unwrap();
    let (mut progress, task) = registry.pull_with_progress(&reference, &PullOptions::default());
    let mut seen = Vec::new();
    while let Some(event) = progress.recv().await {
        seen.push(match event {
            PullProgress::Retrying { attempt, error, .. } => {
                assert!(error.contains("503"), "{error}");
                format!("retrying {attempt}")
            }
            PullProgress::LayerStalled { layer: 0, .. } => "stalled".to_owned(),
            PullProgress::LayerRetrying {
                layer: 0, attempt, ..
            } => format!("layer retry {attempt}"),
            PullProgress::LayerResumed {
                layer: 0,
                from_bytes,
                ..
            } => format!("resumed {from_bytes}"),
            _ => continue,
        });
    }
    task.await.unwrap().unwrap();
    seen.dedup();
    // Only the newest of several unreceived events is kept.
    assert_eq!(
        seen,
        [
            "retrying 1",
            "retrying 2",
            "stalled",
            "layer retry 1",
            "resumed 1000"
        ]
    );
}
