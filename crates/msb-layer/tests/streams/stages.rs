//! The stages: cancellation, failure, resume.

use super::*;

#[test]
fn a_dropped_feed_cancels_the_layer() {
    let tar = tar::recipe(RECIPE);
    for sent in [0, 100, tar.len()] {
        let dir = tempfile::tempdir().unwrap();
        let job = Attempt::uncompressed(&tar).job(&dir.path().join("layer"));
        let result = runtime().block_on(async {
            let (feed, task) = job.start().unwrap();
            if sent > 0 {
                assert!(feed.send(Bytes::copy_from_slice(&tar[..sent])).await);
            }
            drop(feed);
            task.wait().await
        });
        assert!(
            matches!(result, Err(LayerError::Cancelled)),
            "{sent}: {result:?}"
        );
    }
}

#[test]
fn a_failed_layer_accepts_no_more_bytes_and_returns_the_cause() {
    let dir = tempfile::tempdir().unwrap();
    let mut tar = tar::recipe("file a size=1");
    tar[148] ^= 1;
    tar.resize(64 << 20, 0);
    let job = Attempt::uncompressed(&tar).job(&dir.path().join("layer"));
    let result = runtime().block_on(async {
        let (feed, task) = job.start().unwrap();
        let mut pieces = tar.chunks(64 << 10);
        let refused = loop {
            let Some(piece) = pieces.next() else {
                break false;
            };
            if !feed.send(Bytes::copy_from_slice(piece)).await {
                break true;
            }
        };
        assert!(refused);
        task.wait().await
    });
    assert!(matches!(result, Err(LayerError::Tar { .. })), "{result:?}");
}

#[test]
fn a_stage_that_fails_wakes_a_download_that_brings_no_bytes() {
    let dir = tempfile::tempdir().unwrap();
    let tar = tar::recipe("file a size=9000000 seed=1");
    let mut job = Attempt::uncompressed(&tar).job(&dir.path().join("layer"));
    // Every write to it fails as on a full disk.
    job.image = fs::File::options().write(true).open("/dev/full").unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .unwrap();
    let result = runtime.block_on(async {
        let (feed, task) = job.start().unwrap();
        // The stages finish these long before more arrive.
        feed.send(Bytes::copy_from_slice(&tar[..6 << 20])).await;
        let failed = tokio::time::timeout(std::time::Duration::from_secs(20), feed.failed());
        assert!(failed.await.is_ok(), "the failure is not reported");
        drop(feed);
        task.wait().await
    });
    let error = result.unwrap_err();
    assert_eq!(
        error.write_error().map(io::Error::kind),
        Some(io::ErrorKind::StorageFull),
        "{error:?}"
    );
}

#[test]
fn a_partial_blob_is_replayed_and_extended() {
    #[derive(Clone, Default)]
    struct Kept(Arc<Mutex<Vec<u8>>>);
    impl Write for Kept {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let tar = tar::recipe(RECIPE);
    let gzip = Layer::tar(tar.clone()).gzip();
    let blob = gzip.blob_bytes().unwrap();
    let expected = files(Attempt::uncompressed(&tar));
    for at in [0, 1, 1000, blob.len()] {
        let dir = tempfile::tempdir().unwrap();
        let base = dir.path().join("layer");
        let mut job = Attempt::of(blob, &tar).job(&base);
        let kept = Kept::default();
        job.partial = Some(PartialBlobIo {
            earlier: Box::new(io::Cursor::new(blob[..at].to_vec()).take(u64::MAX)),
            bytes: at as u64,
            more: Box::new(kept.clone()),
        });
        run(
            job,
            blob[at..]
                .chunks(1000)
                .map(Bytes::copy_from_slice)
                .collect(),
        )
        .unwrap();
        assert!(*kept.0.lock().unwrap() == blob[at..]);
        assert!(fs::read(base.with_extension("erofs")).unwrap() == expected.0);
    }
}

#[test]
fn processed_counts_the_blobs_bytes() {
    let tar = tar::recipe(RECIPE);
    let dir = tempfile::tempdir().unwrap();
    let job = Attempt::uncompressed(&tar).job(&dir.path().join("layer"));
    let processed = runtime().block_on(async {
        let (feed, task) = job.start().unwrap();
        let processed = task.processed();
        feed.send(Bytes::copy_from_slice(&tar)).await;
        feed.finish().await;
        task.wait().await.unwrap();
        processed
    });
    assert_eq!(processed.load(Ordering::Relaxed), tar.len() as u64);
}
