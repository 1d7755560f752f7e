//! Cancelled pulls.

use super::*;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pull_that_is_aborted_after_its_last_layer_came_leaves_no_temporary_file() {
    let served = Served::new(&many_names());
    let cache = tempfile::tempdir().unwrap();
    let clean = served.clean_fsmeta().await;
    // The time from there to the end.
    let (mut progress, task) =
        registry_in(cache.path()).pull_with_progress(&served.reference, &PullOptions::default());
    until_all_downloaded(&mut progress, &served).await;
    let begun = Instant::now();
    task.await.unwrap().unwrap();
    let whole = begun.elapsed();

    let mut ended = Vec::new();
    for eighths in 0..=8 {
        let cache = tempfile::tempdir().unwrap();
        let (mut progress, task) = registry_in(cache.path())
            .pull_with_progress(&served.reference, &PullOptions::default());
        until_all_downloaded(&mut progress, &served).await;
        tokio::time::sleep(whole * eighths / 8).await;
        task.abort();
        ended.push(task.await.is_ok());
        taken_up(cache.path(), &served, &clean).await;
    }
    assert!(!ended[0], "none was aborted in time");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pull_that_is_aborted_at_a_stage_of_the_disk_leaves_no_temporary_file() {
    let served = Served::new(&many_names());
    let clean = served.clean_fsmeta().await;
    let layers = served.built.layer_digests.len();
    type IsNow = fn(&PullProgress) -> bool;
    let moments: [(&str, usize, IsNow); 4] = [
        ("the last layer's image", layers, |event| {
            matches!(event, PullProgress::LayerMaterialized { .. })
        }),
        ("merging", 1, |event| matches!(event, PullProgress::Merging)),
        ("the merged metadata", 1, |event| {
            matches!(event, PullProgress::FsmetaWritten { .. })
        }),
        ("the descriptor", 1, |event| {
            matches!(event, PullProgress::VmdkWritten)
        }),
    ];
    for (what, mut left, is_now) in moments {
        let cache = tempfile::tempdir().unwrap();
        let (mut progress, task) = registry_in(cache.path())
            .pull_with_progress(&served.reference, &PullOptions::default());
        while left > 0 {
            let event = progress.recv().await;
            let event = event.unwrap_or_else(|| panic!("{what} was never reported"));
            left -= usize::from(is_now(&event));
        }
        task.abort();
        // The pull may have completed.
        drop(task.await);
        taken_up(cache.path(), &served, &clean).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pull_whose_future_is_dropped_leaves_no_temporary_file() {
    let served = Served::new(&many_names());
    let cache = tempfile::tempdir().unwrap();
    let begun = Instant::now();
    let result = pull(cache.path(), &served.reference).await.unwrap();
    let whole = begun.elapsed();
    let clean = std::fs::read(&result.fsmeta).unwrap();
    for eighths in 1..8 {
        let cache = tempfile::tempdir().unwrap();
        let limit = whole * eighths / 8;
        let pulled = tokio::time::timeout(limit, pull(cache.path(), &served.reference)).await;
        if let Ok(result) = pulled {
            result.unwrap();
        }
        taken_up(cache.path(), &served, &clean).await;
    }
}

/// Waits until the work of a dropped pull ends, and expects the next pull to succeed.
async fn taken_up(cache: &Path, served: &Served, clean: &[u8]) {
    no_temporaries(cache).await;
    let again = tokio::time::timeout(PATIENCE, pull(cache, &served.reference));
    let again = again.await.expect("the next pull waits").unwrap();
    assert!(
        std::fs::read(&again.fsmeta).unwrap() == clean,
        "other metadata"
    );
    again.verify(true).unwrap();
    assert!(!is_unpublished(cache));
    no_temporaries(cache).await;
}

async fn until_all_downloaded(progress: &mut ProgressReceiver, served: &Served) {
    let mut left = served.built.layer_digests.len();
    while left > 0 {
        let event = progress.recv().await.expect("more events");
        left -= usize::from(matches!(event, PullProgress::LayerDownloaded { .. }));
    }
}
