//! Verifies another blob of an existing layer.

use msb_budget::ImageBudget;
use msb_layer::StageThreads;
use msb_layer::decode::WindowBudget;

use super::*;

fn verify(attempt: &Attempt<'_>) -> Result<Compression, LayerError> {
    verify_with(attempt, None)
}

fn verify_with(
    attempt: &Attempt<'_>,
    copy: Option<PartialBlobIo>,
) -> Result<Compression, LayerError> {
    let job = VerifyJob {
        blob: attempt.digest,
        blob_bytes: attempt.blob_bytes,
        media_type: attempt.media_type.to_owned(),
        diff_id: attempt.diff_id,
        copy,
        budget: ImageBudget::default(),
        limits: attempt.limits,
        windows: WindowBudget::default(),
        threads: StageThreads::default(),
    };
    runtime().block_on(async {
        let (feed, task) = job.start().unwrap();
        for piece in attempt.blob.chunks(attempt.piece) {
            if !feed.send(Bytes::copy_from_slice(piece)).await {
                return task.wait().await;
            }
        }
        feed.finish().await;
        task.wait().await
    })
}

#[test]
fn every_compression_of_an_archive_is_verified_against_its_diff_id() {
    let tar = tar::recipe(RECIPE);
    let layers = [
        (Layer::tar(tar.clone()).plain(), Compression::None),
        (Layer::tar(tar.clone()).gzip(), Compression::Gzip),
        (Layer::tar(tar.clone()).zstd(), Compression::Zstd),
    ];
    for (layer, compression) in layers {
        let blob = layer.blob_bytes().unwrap();
        let of = || Attempt {
            piece: 1000,
            ..Attempt::of(blob, &tar)
        };
        assert_eq!(verify(&of()).unwrap(), compression);
        let wrong = Digest::sha256_of(b"something else");
        let other_archive = Attempt {
            diff_id: wrong,
            ..of()
        };
        assert!(matches!(
            verify(&other_archive),
            Err(LayerError::DiffId { .. })
        ));
        let other_blob = Attempt {
            digest: wrong,
            ..of()
        };
        assert!(matches!(
            verify(&other_blob),
            Err(LayerError::BlobDigest { .. })
        ));
        let longer = Attempt {
            blob_bytes: blob.len() as u64 + 1,
            ..of()
        };
        assert!(matches!(
            verify(&longer),
            Err(LayerError::BlobTooShort { .. })
        ));
    }
}

#[test]
fn a_limit_on_uncompressed_bytes_holds_while_verifying() {
    let tar = tar::recipe("file a size=5000");
    let mut attempt = Attempt::uncompressed(&tar);
    attempt.limits.uncompressed_bytes = 1000;
    assert!(matches!(verify(&attempt), Err(LayerError::Limit { .. })));
}

#[test]
fn the_blob_is_copied_on_request_and_a_failed_write_is_an_error() {
    struct Full;

    impl std::io::Write for Full {
        fn write(&mut self, _: &[u8]) -> std::io::Result<usize> {
            Err(std::io::ErrorKind::StorageFull.into())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    let tar = tar::recipe(RECIPE);
    let layer = Layer::tar(tar.clone()).gzip();
    let blob = layer.blob_bytes().unwrap();
    let attempt = Attempt {
        piece: 1000,
        ..Attempt::of(blob, &tar)
    };
    let copy = tempfile::NamedTempFile::new().unwrap();
    let to = |more| {
        Some(PartialBlobIo {
            earlier: Box::new(std::io::empty()),
            bytes: 0,
            more,
        })
    };
    verify_with(&attempt, to(Box::new(copy.reopen().unwrap()))).unwrap();
    assert_eq!(std::fs::read(copy.path()).unwrap(), blob);
    // The blob is shorter than the buffer before the file.
    let error = verify_with(&attempt, to(Box::new(Full))).unwrap_err();
    assert!(error.write_error().is_some(), "{error:?}");
}
