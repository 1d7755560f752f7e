//! Several pulls of one image.

use super::*;

#[test]
fn of_several_pulls_of_one_image_one_merges() {
    const PULLS: usize = 6;
    let merged = Merged::default();
    let counted = merged.clone();
    merged.run(async move {
        let served = Arc::new(Served::new(&a_layer_twice()));
        let clean = served.clean_fsmeta().await;
        for round in 0..3 {
            let cache = tempfile::tempdir().unwrap();
            served.registry.heal();
            // All pulls are running before the first one completes.
            let slow = Fault::Slow(16 << 10, Duration::from_millis(10));
            served.registry.fault("/blobs/", slow);
            served.registry.forget_requests();
            let before = counted.count();
            let results = at_once(PULLS, cache.path(), &served).await;
            assert_eq!(counted.count() - before, 1, "round {round}: cold");
            for digest in &served.built.layer_digests {
                assert_eq!(served.registry.count(digest), 1, "{digest}");
            }
            equal_and_right(&results, &clean);
            no_temporaries(cache.path()).await;
        }
    });
}

#[test]
fn of_several_pulls_that_lack_only_the_disk_one_merges() {
    const PULLS: usize = 6;
    let merged = Merged::default();
    let counted = merged.clone();
    merged.run(async move {
        let served = Arc::new(Served::new(&a_layer_twice()));
        let cache = tempfile::tempdir().unwrap();
        let cold = pull(cache.path(), &served.reference).await.unwrap();
        let clean = std::fs::read(&cold.fsmeta).unwrap();
        for round in 0..6 {
            std::fs::remove_dir_all(cache.path().join("disks")).unwrap();
            served.registry.forget_requests();
            let before = counted.count();
            let results = at_once(PULLS, cache.path(), &served).await;
            assert_eq!(counted.count() - before, 1, "round {round}");
            for digest in &served.built.layer_digests {
                assert_eq!(served.registry.count(digest), 0, "{digest}");
            }
            equal_and_right(&results, &clean);
            no_temporaries(cache.path()).await;
        }
    });
}

/// Runs this many pulls of one image into one cache, each with its own `Registry`.
async fn at_once(pulls: usize, cache: &Path, served: &Arc<Served>) -> Vec<PullResult> {
    let start = Arc::new(tokio::sync::Barrier::new(pulls));
    let tasks: Vec<_> = (0..pulls)
        .map(|_| {
            let (start, served) = (Arc::clone(&start), Arc::clone(served));
            let registry = registry_in(cache);
            tokio::spawn(async move {
                start.wait().await;
                let options = PullOptions::default();
                let pulled = registry.pull(&served.reference, &options);
                tokio::time::timeout(PATIENCE, pulled).await
            })
        })
        .collect();
    let mut results = Vec::new();
    for task in tasks {
        results.push(task.await.unwrap().expect("a pull hangs").unwrap());
    }
    results
}

fn equal_and_right(results: &[PullResult], clean: &[u8]) {
    let first = &results[0];
    for result in results {
        assert_eq!(result.manifest_digest, first.manifest_digest);
        assert_eq!(result.layers, first.layers);
        assert_eq!(result.vmdk, first.vmdk);
        assert_eq!(result.extents, first.extents);
    }
    assert!(
        std::fs::read(&first.fsmeta).unwrap() == clean,
        "other metadata"
    );
    first.verify(true).unwrap();
}
