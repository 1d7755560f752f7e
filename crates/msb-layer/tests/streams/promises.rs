//! Sizes and digests in the descriptor and the config.

use super::*;

#[test]
fn sha512_names_are_verified_too() {
    let tar = tar::recipe(RECIPE);
    let digest = Digest::of(Algorithm::Sha512, &tar);
    let attempt = || Attempt {
        digest,
        diff_id: digest,
        ..Attempt::uncompressed(&tar)
    };
    assert!(attempt().run().is_ok());
    let wrong = Digest::of(Algorithm::Sha512, b"");
    let error = error(Attempt {
        diff_id: wrong,
        ..attempt()
    });
    assert!(matches!(error, LayerError::DiffId { .. }));
}

#[test]
fn bytes_after_the_archive_count_for_the_digest() {
    let mut tar = tar::recipe(RECIPE);
    let short = tar.clone();
    tar.extend_from_slice(b"trailing");
    assert!(Attempt::uncompressed(&tar).run().is_ok());
    let error = error(Attempt {
        diff_id: Digest::sha256_of(&short),
        ..Attempt::uncompressed(&tar)
    });
    assert!(matches!(error, LayerError::DiffId { .. }), "{error}");
}

#[test]
fn a_wrong_digest_a_wrong_diff_id_and_a_wrong_length_are_different_errors() {
    let tar = tar::recipe(RECIPE);
    let gzip = Layer::tar(tar.clone()).gzip();
    let wrong = Digest::sha256_of(b"something else");
    for blob in [&tar[..], gzip.blob_bytes().unwrap()] {
        let of = || Attempt::of(blob, &tar);
        let LayerError::BlobDigest { expected, actual } = error(Attempt {
            digest: wrong,
            ..of()
        }) else {
            panic!("the digest is wrong")
        };
        assert_eq!((expected, actual), (wrong, Digest::sha256_of(blob)));
        let LayerError::DiffId { expected, actual } = error(Attempt {
            diff_id: wrong,
            ..of()
        }) else {
            panic!("the diff_id is wrong")
        };
        assert_eq!((expected, actual), (wrong, Digest::sha256_of(&tar)));
        let len = blob.len() as u64;
        let short = error(Attempt {
            blob_bytes: len + 1,
            ..of()
        });
        assert!(
            matches!(short, LayerError::BlobTooShort { expected, actual } if (expected, actual) == (len + 1, len))
        );
        for claimed in [len - 1, 0] {
            let long = error(Attempt {
                blob_bytes: claimed,
                ..of()
            });
            assert!(
                matches!(long, LayerError::BlobTooLong { expected } if expected == claimed),
                "{long}"
            );
        }
        // The length is checked before the digest.
        let both = error(Attempt {
            blob_bytes: len + 1,
            digest: wrong,
            ..of()
        });
        assert!(matches!(both, LayerError::BlobTooShort { .. }) && both.is_mismatch());
    }
}

#[test]
fn a_blob_that_is_cut_off_at_any_byte_is_never_a_success() {
    let tar = tar::recipe("file a size=3000 seed=1\nfile b size=1");
    for layer in [
        Layer::tar(tar.clone()).gzip(),
        Layer::tar(tar.clone()).zstd(),
    ] {
        let blob = layer.blob_bytes().unwrap();
        for len in (0..blob.len()).step_by(97).chain([blob.len() - 1]) {
            let cut = &blob[..len];
            let short = error(Attempt {
                blob: cut,
                ..Attempt::of(blob, &tar)
            });
            assert!(
                matches!(short, LayerError::BlobTooShort { .. }),
                "{len}: {short}"
            );
            // With a manifest that names the cut blob, only the stream shows that something is missing.
            let named = error(Attempt::of(cut, &tar));
            let of_the_stream = matches!(
                named,
                LayerError::Decode { .. } | LayerError::Tar { .. } | LayerError::DiffId { .. }
            );
            assert!(of_the_stream, "{len}: {named}");
        }
    }
}

#[test]
fn any_flipped_byte_of_a_blob_is_an_error() {
    let tar = tar::recipe("file a size=3000 seed=1\nfile b size=1");
    for layer in [
        Layer::tar(tar.clone()),
        Layer::tar(tar.clone()).gzip(),
        Layer::tar(tar.clone()).zstd(),
    ] {
        let blob = layer.blob_bytes().unwrap();
        for at in (0..blob.len()).step_by(53) {
            let mut bad = blob.to_vec();
            bad[at] ^= 0x21;
            error(Attempt {
                blob: &bad,
                ..Attempt::of(blob, &tar)
            });
        }
    }
}

#[test]
fn bytes_after_the_compressed_stream_are_an_error_and_zeros_are_not() {
    let tar = tar::recipe(RECIPE);
    let gzip = Layer::tar(tar.clone()).gzip();
    let mut blob = gzip.blob_bytes().unwrap().to_vec();
    blob.extend([0; 100]);
    assert!(Attempt::of(&blob, &tar).run().is_ok());
    blob.extend(b"junk");
    assert!(matches!(
        error(Attempt::of(&blob, &tar)),
        LayerError::Decode { .. }
    ));
}
