//! Pulls whose handle is dropped.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::time::Duration;

use microsandbox_image::{GlobalCache, Platform, PullOptions, PullProgress, Registry};
use msb_testkit::fault_registry::{Fault, FaultRegistry};
use msb_testkit::image::{ImageBuilder, Layer};
use tokio::time::timeout;

fn setup(cache: &std::path::Path) -> (FaultRegistry, Registry, String) {
    let layout = tempfile::tempdir().unwrap().keep();
    let layer = Layer::recipe("file large size=3000000 seed=1 fill=random").plain();
    let blob = format!("/blobs/{}", layer.digest());
    ImageBuilder::new()
        .layer(layer)
        .write_layout(&layout, "v1")
        .unwrap();
    let server = FaultRegistry::start().unwrap();
    server.serve("test", &layout);
    server.fault(&blob, Fault::StallAfter(1_000_000, Duration::from_secs(60)));
    let cache = GlobalCache::new(cache).unwrap();
    let registry = Registry::new(Platform::new("linux", "amd64"), cache).unwrap();
    let reference = format!("{}/test:v1", server.host());
    (server, registry, reference)
}

#[tokio::test]
async fn dropping_the_task_of_a_pull_cancels_it() {
    let folder = tempfile::tempdir().unwrap();
    let (server, registry, reference) = setup(folder.path());
    let (mut progress, task) =
        registry.pull_with_progress(&reference.parse().unwrap(), &PullOptions::default());
    // The timeout drops the task.
    assert!(timeout(Duration::from_millis(500), task).await.is_err());
    let last = timeout(Duration::from_secs(5), async {
        let mut last = None;
        while let Some(event) = progress.recv().await {
            last = Some(event);
        }
        last
    });
    let last = last.await.expect("the pull has ended");
    assert!(
        matches!(last, Some(PullProgress::Failed { .. })),
        "{last:?}"
    );

    // The cache is consistent, and the next pull does not wait.
    server.heal();
    let (_, task) =
        registry.pull_with_progress(&reference.parse().unwrap(), &PullOptions::default());
    task.await.unwrap().unwrap();
}

#[tokio::test]
async fn the_task_of_a_pull_can_be_awaited_aborted_and_asked() {
    let folder = tempfile::tempdir().unwrap();
    let (server, registry, reference) = setup(folder.path());
    let reference = reference.parse().unwrap();
    let (_progress, task) = registry.pull_with_progress(&reference, &PullOptions::default());
    assert!(!task.is_finished());
    task.abort();
    assert!(task.await.unwrap_err().is_cancelled());

    server.heal();
    let (receiver, mut task) = registry.pull_with_progress(&reference, &PullOptions::default());
    // A dropped receiver does not affect the pull, and a task can be awaited by reference.
    drop(receiver);
    let result = timeout(Duration::from_secs(30), &mut task).await;
    result.unwrap().unwrap().unwrap();
    assert!(task.is_finished());
}
