//! Layers that are refused, and layers that are all cached.

use super::*;

#[tokio::test]
async fn a_resumed_layer_that_was_read_and_is_wrong_starts_over_and_the_disk_is_right() {
    // A wrong layer at the bottom, below a right one; and a wrong layer alone.
    for has_upper in [true, false] {
        let big = Layer::recipe(&format!(
            "dir etc\nfile etc/short data={SHORT}\nfile big size={} seed=1\nlink etc/big target=big",
            9 << 20
        ))
        .plain();
        let blob = big.blob_bytes().unwrap().to_vec();
        let mut image = ImageBuilder::new().layer(big);
        if has_upper {
            image = image.layer(Layer::recipe("file etc/upper size=9000 seed=2").gzip());
        }
        let served = Served::new(&image);
        let clean = served.clean_fsmeta().await;
        let part = part_path(&served).await;
        let digest = &served.built.layer_digests[0];

        let short_at = find(&blob, SHORT.as_bytes());
        // In inline data of the merged metadata, and in data that it points to.
        for wrong_at in [short_at, 3 << 20] {
            for kept in [blob.len() - 1000, blob.len()] {
                let what = format!("{has_upper} {wrong_at} {kept}");
                let cache = tempfile::tempdir().unwrap();
                let registry = registry_in(cache.path());
                let mut bytes = blob[..kept].to_vec();
                bytes[wrong_at] ^= 1;
                let part = cache.path().join(&part);
                std::fs::create_dir_all(part.parent().unwrap()).unwrap();
                std::fs::write(part, bytes).unwrap();
                served.registry.forget_requests();

                let (progress, task) =
                    registry.pull_with_progress(&served.reference, &PullOptions::default());
                let (events, result) = tokio::join!(all(progress), task);
                let result = result.unwrap().unwrap();

                let resumed: Vec<u64> = events
                    .iter()
                    .filter_map(|event| match event {
                        PullProgress::LayerStarted {
                            layer: 0,
                            resumed_bytes,
                            ..
                        } => Some(*resumed_bytes),
                        _ => None,
                    })
                    .collect();
                assert_eq!(resumed, [kept as u64, 0], "{what}");
                let asked = served.registry.requests();
                let from_the_start = asked
                    .iter()
                    .filter(|asked| asked.path.contains(digest) && asked.from == 0);
                assert_eq!(from_the_start.count(), 1, "{what}");
                assert!(
                    std::fs::read(&result.fsmeta).unwrap() == clean,
                    "{what}: other metadata"
                );
                result.verify(true).unwrap();
                no_temporaries(cache.path()).await;
            }
        }
    }
}

#[tokio::test]
async fn a_layer_that_is_not_what_the_config_names_leaves_no_disk() {
    let layers = [
        Layer::recipe("dir a\nfile a/short size=100 seed=1\nfile a/long size=90000 seed=2").gzip(),
        Layer::recipe("dir b\nfile b/short size=100 seed=3\nfile b/long size=90000 seed=4").plain(),
        Layer::recipe("whiteout a/short\nfile c size=50000 seed=5").zstd(),
    ];
    let image = |wrong: Option<usize>| {
        let other = Layer::recipe("dir other").diff_id().to_owned();
        let layers = layers.iter().cloned().enumerate();
        layers.fold(ImageBuilder::new(), |image, (index, layer)| {
            image.layer(if wrong == Some(index) {
                layer.with_diff_id(&other)
            } else {
                layer
            })
        })
    };
    let right = Served::new(&image(None));
    let clean = right.clean_fsmeta().await;
    for wrong in 0..layers.len() {
        let served = Served::new(&image(Some(wrong)));
        let cache = tempfile::tempdir().unwrap();
        let error = pull(cache.path(), &served.reference).await.unwrap_err();
        assert!(error.is_corrupt(), "{error}");
        match error {
            PullError::Layer { digest, source, .. } => {
                assert_eq!(digest.to_string(), served.built.layer_digests[wrong]);
                assert!(matches!(source, LayerError::DiffId { .. }), "{source}");
            }
            other => panic!("{other:?}"),
        }
        no_temporaries(cache.path()).await;
        assert_eq!(files(&cache.path().join("disks")), [] as [PathBuf; 0]);
        assert_eq!(files(&cache.path().join("images")), [] as [PathBuf; 0]);

        // Right layers may be cached already, and serve the right image.
        let result = pull(cache.path(), &right.reference).await.unwrap();
        assert!(std::fs::read(&result.fsmeta).unwrap() == clean);
        result.verify(true).unwrap();
    }
}

#[tokio::test]
async fn a_disk_that_is_gone_is_made_again_from_cached_layers_alone() {
    let served = Served::new(&a_layer_twice());
    let cache = tempfile::tempdir().unwrap();
    let cold = pull(cache.path(), &served.reference).await.unwrap();
    let before = std::fs::read(&cold.fsmeta).unwrap();
    let descriptor = std::fs::read(&cold.vmdk).unwrap();
    for pull_policy in [PullPolicy::Always, PullPolicy::IfMissing] {
        std::fs::remove_dir_all(cache.path().join("disks")).unwrap();
        served.registry.forget_requests();
        let options = PullOptions {
            pull_policy,
            ..PullOptions::default()
        };
        let again = registry_in(cache.path())
            .pull(&served.reference, &options)
            .await
            .unwrap();
        for digest in &served.built.layer_digests {
            assert_eq!(served.registry.count(digest), 0, "{pull_policy}: {digest}");
        }
        assert!(
            std::fs::read(&again.fsmeta).unwrap() == before,
            "{pull_policy}: other metadata"
        );
        assert_eq!(std::fs::read(&again.vmdk).unwrap(), descriptor);
        again.verify(true).unwrap();
        no_temporaries(cache.path()).await;
    }
}

/// Returns the path, relative to the cache, of the partial blob of the first layer, found by a pull that is cancelled midway.
async fn part_path(served: &Served) -> PathBuf {
    let digest = &served.built.layer_digests[0];
    served
        .registry
        .fault(digest, Fault::StallAfter(4 << 20, PATIENCE));
    let cache = tempfile::tempdir().unwrap();
    let (_progress, task) =
        registry_in(cache.path()).pull_with_progress(&served.reference, &PullOptions::default());
    let begun = Instant::now();
    let part = loop {
        assert!(begun.elapsed() < PATIENCE, "there is never a part");
        tokio::time::sleep(Duration::from_millis(5)).await;
        let mut found = files(cache.path());
        found.retain(|path| {
            path.extension()
                .is_some_and(|extension| extension == "part")
        });
        if let Some(part) = found.first() {
            break part.strip_prefix(cache.path()).unwrap().to_owned();
        }
    };
    task.abort();
    assert!(task.await.unwrap_err().is_cancelled());
    served.registry.heal();
    part
}

fn find(bytes: &[u8], wanted: &[u8]) -> usize {
    let mut windows = bytes.windows(wanted.len());
    windows.position(|window| window == wanted).unwrap()
}
