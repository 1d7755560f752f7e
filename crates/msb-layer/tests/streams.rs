//! TRAPS.md, "Layers": what the stream may do, what is promised of it, and what it may claim.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::error::Error as _;
use std::fs;
use std::io::{self, Read, Write};
use std::sync::{Arc, Mutex, atomic::Ordering};

use bytes::Bytes;
use common::{Attempt, run, runtime};
use fs_tree::{ApplyError, TreeError};
use msb_layer::decode::Compression;
use msb_layer::{BlobPart, IngestedLayer, LayerError, LayerLimit, LayerLimits};
use msb_oci::{Algorithm, Digest};
use msb_testkit::image::Layer;
use msb_testkit::tar;

const RECIPE: &str = "dir d mode=0700 xattr.user.a=1\nfile d/a size=300000 seed=1\nfile d/b size=100 seed=2\nlink e target=d/a
    file s size=100000 seed=3 sparse=pax1.0 map=8192:100,50000:5000,100000:0\nwhiteout gone\nopaque d\nsymlink l target=d/a";

/// Both files that an attempt makes.
fn files(attempt: Attempt<'_>) -> (Vec<u8>, Vec<u8>) {
    let dir = tempfile::tempdir().unwrap();
    let base = dir.path().join("layer");
    attempt.into_files(&base).unwrap();
    let read = |extension| fs::read(base.with_extension(extension)).unwrap();
    (read("erofs"), read("sidecar"))
}

fn error(attempt: Attempt<'_>) -> LayerError {
    let error = attempt.run().unwrap_err();
    // One line, and no cause told twice.
    let text = error.to_string();
    assert!(!text.chars().any(char::is_control), "{text}");
    if let Some(source) = error.source() {
        assert!(!text.contains(&source.to_string()), "{text}");
    }
    error
}

fn limited(tar: &[u8], change: impl FnOnce(&mut LayerLimits)) -> Result<IngestedLayer, LayerError> {
    let mut attempt = Attempt::plain(tar);
    change(&mut attempt.limits);
    attempt.run()
}

#[test]
fn one_byte_at_a_time_gives_the_same_files_as_the_whole_at_once() {
    let tar = tar::recipe(RECIPE);
    let expected = files(Attempt::plain(&tar));
    for piece in [1, 511, 4097] {
        assert!(
            files(Attempt {
                piece,
                ..Attempt::plain(&tar)
            }) == expected,
            "{piece}"
        );
    }
    for layer in [
        Layer::tar(tar.clone()).gzip(),
        Layer::tar(tar.clone()).zstd(),
    ] {
        let blob = layer.blob_bytes().unwrap();
        assert!(
            files(Attempt {
                piece: 1,
                ..Attempt::of(blob, &tar)
            }) == expected
        );
    }
}

#[test]
fn the_same_layer_gives_the_same_bytes_however_the_threads_run() {
    let tar = tar::recipe(RECIPE);
    let expected = files(Attempt::plain(&tar));
    for round in 0..20 {
        let dir = tempfile::tempdir().unwrap();
        let base = dir.path().join("layer");
        let job = Attempt::plain(&tar).job(&base);
        runtime().block_on(async {
            let (feed, task) = job.start().unwrap();
            for (index, piece) in tar.chunks(7000 + round * 911).enumerate() {
                if index % 7 == round % 7 {
                    std::thread::sleep(std::time::Duration::from_micros(300));
                }
                feed.send(Bytes::copy_from_slice(piece)).await;
            }
            feed.finish().await;
            task.wait().await.unwrap();
        });
        assert!(fs::read(base.with_extension("erofs")).unwrap() == expected.0);
        assert!(fs::read(base.with_extension("sidecar")).unwrap() == expected.1);
    }
}

#[test]
fn the_order_of_xattrs_in_the_tar_changes_nothing() {
    let layer = |xattrs: &str| {
        let tar = tar::recipe(&format!("file a size=1 {xattrs}"));
        let (image, _) = files(Attempt {
            diff_id: Digest::sha256_of(&tar),
            ..Attempt::plain(&tar)
        });
        image[1024 + 16 + 64..].to_vec()
    };
    // All but the volume's identity, which is the archive's.
    let (a, b) = (
        layer("xattr.user.a=1 xattr.security.b=2"),
        layer("xattr.security.b=2 xattr.user.a=1"),
    );
    assert!(a[128..] == b[128..]);
}

#[test]
fn several_gzip_members_several_zstd_frames_and_the_magic_bytes_decide() {
    let tar = tar::recipe(RECIPE);
    let expected = files(Attempt::plain(&tar));
    for (layer, compression) in [
        (Layer::tar(tar.clone()), Compression::None),
        (Layer::tar(tar.clone()).gzip_members(7), Compression::Gzip),
        (
            Layer::tar(tar.clone()).zstd_frames(5, true),
            Compression::Zstd,
        ),
    ] {
        let blob = layer.blob_bytes().unwrap();
        assert_eq!(
            Attempt::of(blob, &tar).run().unwrap().compression,
            compression
        );
        assert!(files(Attempt::of(blob, &tar)) == expected);
    }
}

#[test]
fn sha512_names_are_verified_too() {
    let tar = tar::recipe(RECIPE);
    let digest = Digest::of(Algorithm::Sha512, &tar);
    let attempt = || Attempt {
        digest: digest.clone(),
        diff_id: digest.clone(),
        ..Attempt::plain(&tar)
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
    assert!(Attempt::plain(&tar).run().is_ok());
    let error = error(Attempt {
        diff_id: Digest::sha256_of(&short),
        ..Attempt::plain(&tar)
    });
    assert!(matches!(error, LayerError::DiffId { .. }), "{error}");
}

#[test]
fn a_wrong_digest_a_wrong_diff_id_and_a_wrong_length_are_told_apart() {
    let tar = tar::recipe(RECIPE);
    let gzip = Layer::tar(tar.clone()).gzip();
    let wrong = Digest::sha256_of(b"something else");
    for blob in [&tar[..], gzip.blob_bytes().unwrap()] {
        let of = || Attempt::of(blob, &tar);
        let LayerError::BlobDigest { expected, actual } = error(Attempt {
            digest: wrong.clone(),
            ..of()
        }) else {
            panic!("the digest is wrong")
        };
        assert_eq!((expected, actual), (wrong.clone(), Digest::sha256_of(blob)));
        let LayerError::DiffId { expected, actual } = error(Attempt {
            diff_id: wrong.clone(),
            ..of()
        }) else {
            panic!("the diff_id is wrong")
        };
        assert_eq!((expected, actual), (wrong.clone(), Digest::sha256_of(&tar)));
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
        // The length comes before the digest.
        let both = error(Attempt {
            blob_bytes: len + 1,
            digest: wrong.clone(),
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
            // A manifest that names the cut blob makes it whole, and what is missing shows in the stream.
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
fn bytes_behind_the_compressed_stream_are_an_error_and_zeros_are_not() {
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

#[test]
fn a_dropped_feed_cancels_the_layer() {
    let tar = tar::recipe(RECIPE);
    for sent in [0, 100, tar.len()] {
        let dir = tempfile::tempdir().unwrap();
        let job = Attempt::plain(&tar).job(&dir.path().join("layer"));
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
fn a_failed_layer_takes_no_more_bytes_and_says_why() {
    let dir = tempfile::tempdir().unwrap();
    let mut tar = tar::recipe("file a size=1");
    tar[148] ^= 1;
    tar.resize(64 << 20, 0);
    let job = Attempt::plain(&tar).job(&dir.path().join("layer"));
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
fn a_part_of_an_earlier_attempt_is_replayed_and_what_comes_is_kept() {
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
    let expected = files(Attempt::plain(&tar));
    for at in [0, 1, 1000, blob.len()] {
        let dir = tempfile::tempdir().unwrap();
        let base = dir.path().join("layer");
        let mut job = Attempt::of(blob, &tar).job(&base);
        let kept = Kept::default();
        job.part = Some(BlobPart {
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
    let job = Attempt::plain(&tar).job(&dir.path().join("layer"));
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

#[track_caller]
fn hits(result: Result<IngestedLayer, LayerError>, which: LayerLimit, limit_allowed: u64) {
    match result {
        Err(LayerError::Limit {
            limit,
            allowed,
            actual,
        }) => {
            assert_eq!((limit, allowed), (which, limit_allowed));
            assert!(actual > allowed);
        }
        other => panic!("{which:?} was not hit: {other:?}"),
    }
}

#[test]
fn each_limit_is_named_in_its_error_and_takes_what_it_allows() {
    let three = tar::recipe("file a size=1\nfile b size=1\nwhiteout c");
    assert!(limited(&three, |limits| limits.entries = 3).is_ok());
    hits(
        limited(&three, |limits| limits.entries = 2),
        LayerLimit::Entries,
        2,
    );

    let file = tar::recipe("file a size=5000");
    assert!(limited(&file, |limits| limits.file_bytes = 5000).is_ok());
    hits(
        limited(&file, |limits| limits.file_bytes = 4999),
        LayerLimit::FileBytes,
        4999,
    );
    let hole = tar::recipe("file a size=1000000000 sparse=pax1.0 map=1000000000:0");
    hits(
        limited(&hole, |limits| limits.file_bytes = 999_999_999),
        LayerLimit::FileBytes,
        999_999_999,
    );

    let len = file.len() as u64;
    assert!(limited(&file, |limits| limits.plain_bytes = len).is_ok());
    hits(
        limited(&file, |limits| limits.plain_bytes = len - 1),
        LayerLimit::PlainBytes,
        len - 1,
    );

    hits(
        limited(&file, |limits| limits.image_bytes = 8000),
        LayerLimit::ImageBytes,
        8000,
    );
    let sparse = tar::recipe("file a size=1000000 sparse=pax1.0 map=0:1,500000:1,1000000:0");
    assert!(limited(&sparse, |limits| limits.image_bytes = 3 * 4096).is_ok());
    hits(
        limited(&sparse, |limits| limits.image_bytes = 3 * 4096 - 1),
        LayerLimit::ImageBytes,
        3 * 4096 - 1,
    );

    let names = tar::recipe("file abc size=1 xattr.user.a=12345\nsymlink de target=fghi");
    let bytes = 3 + 6 + 5 + 2 + 4;
    assert!(limited(&names, |limits| limits.metadata_bytes = bytes).is_ok());
    hits(
        limited(&names, |limits| limits.metadata_bytes = bytes - 1),
        LayerLimit::MetadataBytes,
        bytes - 1,
    );
}

#[test]
fn the_limits_of_one_entry_and_of_paths_hold_in_a_layer() {
    let path = tar::recipe("file abc/def size=1");
    assert!(matches!(
        limited(&path, |limits| limits.path.path_bytes = 6),
        Err(LayerError::Path { .. })
    ));
    let xattr = tar::recipe("file a size=1 xattr.user.a=12345");
    assert!(matches!(
        limited(&xattr, |limits| limits.tar.xattr_bytes = 10),
        Err(LayerError::Tar { .. })
    ));
    let link = tar::recipe("symlink a target=12345");
    assert!(matches!(
        limited(&link, |limits| limits.tar.symlink_bytes = 4),
        Err(LayerError::Tar { .. })
    ));
}

#[test]
fn directories_that_long_paths_imply_count_as_entries() {
    // A few hundred bytes of blob would else stand for thousands of inodes each.
    let mut recipe = String::new();
    for index in 0..20 {
        recipe += &format!("file {index}/{}x size=1\n", "a/".repeat(1000));
    }
    hits(
        limited(&tar::recipe(&recipe), |limits| limits.entries = 5000),
        LayerLimit::Entries,
        5000,
    );
}

#[test]
fn maps_of_sparse_files_count_as_metadata() {
    let map: Vec<String> = (0..1000)
        .map(|index| format!("{}:1", index * 8192))
        .collect();
    let tar = tar::recipe(&format!(
        "file a size=9000000 sparse=pax1.0 map={}",
        map.join(",")
    ));
    hits(
        limited(&tar, |limits| limits.metadata_bytes = 20_000),
        LayerLimit::MetadataBytes,
        20_000,
    );
}

#[test]
fn a_gzip_bomb_stops_at_the_limit_of_plain_bytes() {
    let mut bomb = Vec::new();
    let tar = {
        let mut header = tar::recipe("file a size=0 header-size=8000000000 format=gnu\nnoend");
        header.resize(64 << 20, 0);
        header
    };
    // Twenty members of 64 MiB each, of which the first begins the file.
    let first = Layer::tar(tar.clone()).gzip();
    bomb.extend_from_slice(first.blob_bytes().unwrap());
    let zeros = Layer::tar(vec![0; 64 << 20]).gzip();
    for _ in 0..20 {
        bomb.extend_from_slice(zeros.blob_bytes().unwrap());
    }
    let mut attempt = Attempt {
        piece: 4096,
        ..Attempt::of(&bomb, b"")
    };
    attempt.limits.plain_bytes = 16 << 20;
    match attempt.run() {
        Err(LayerError::Limit {
            limit: LayerLimit::PlainBytes,
            allowed,
            actual,
        }) => {
            assert!(actual - allowed <= 1 << 20, "{actual}");
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_bare_whiteout_and_what_is_below_a_whiteout_are_errors() {
    for recipe in [
        "file .wh. size=0",
        "file a/.wh. size=0",
        "file .wh.a/b size=0",
        "file .wh... size=0",
        "file a/.wh... size=0",
        "file .wh.x/.wh.y size=0",
    ] {
        let error = error(Attempt::plain(&tar::recipe(recipe)));
        assert!(
            matches!(error, LayerError::Whiteout { .. }),
            "{recipe}: {error}"
        );
    }
}

#[test]
fn a_path_with_dot_dot_is_an_error_in_names_and_links() {
    for recipe in [
        "file ../a size=0",
        "file a/../b size=0",
        "file .. size=0",
        "dir a/..",
        "whiteout ../a",
        "link a target=../b",
        "link a target=b/../c",
    ] {
        let error = error(Attempt::plain(&tar::recipe(recipe)));
        assert!(
            matches!(error, LayerError::Path { .. }),
            "{recipe}: {error}"
        );
    }
    assert!(
        Attempt::plain(&tar::recipe("symlink a target=../../b"))
            .run()
            .is_ok()
    );
}

#[test]
fn a_file_for_a_parent_and_a_loop_of_symlinks_are_errors() {
    for recipe in [
        "file a size=1\nfile a/b size=1",
        "symlink a target=b\nsymlink b target=a\nfile a/c size=1",
        "file . size=1",
        "symlink . target=x",
    ] {
        let error = error(Attempt::plain(&tar::recipe(recipe)));
        assert!(
            matches!(error, LayerError::Apply { .. }),
            "{recipe}: {error}"
        );
    }
}

#[test]
fn an_archive_that_is_cut_off_in_an_entry_is_an_error_and_without_its_end_is_not() {
    let tar = tar::recipe("file a size=5000 seed=1\nfile b size=1\nnoend");
    assert!(Attempt::plain(&tar).run().is_ok());
    for len in [100, 512, 513, 5000, 5511, 5512] {
        let result = Attempt::plain(&tar[..len]).run();
        assert_eq!(result.is_ok(), len == 5512, "{len}: {result:?}");
    }
    assert!(Attempt::plain(b"").run().is_ok());
}

#[test]
fn what_sparse_files_cost_is_counted_over_the_layer() {
    // 20 files of one byte each in a terabyte: a blob of a kilobyte.
    let mut recipe = String::new();
    for index in 0..20 {
        recipe += &format!("file {index} size=1099511627776 sparse=pax1.0 map=549755813888:1\n");
    }
    let tar = tar::recipe(&recipe);
    // Of each, 4 MiB of zeros but for the byte, and 4 MiB of indexes.
    let each = (4 << 20) - 1 + (4 << 20);
    hits(
        limited(&tar, |limits| limits.sparse_bytes = 5 * each),
        LayerLimit::SparseBytes,
        5 * each,
    );
}

#[test]
fn directories_nested_too_deep_are_refused_by_name() {
    let deepest = tar::recipe(&format!("file {}x size=1", "a/".repeat(2048)));
    assert!(limited(&deepest, |_| {}).is_ok());
    let deeper = tar::recipe(&format!("file {}x size=1", "a/".repeat(2049)));
    let error = limited(&deeper, |_| {}).unwrap_err();
    assert!(
        matches!(
            &error,
            LayerError::Apply {
                source: ApplyError::Tree {
                    source: TreeError::TooDeep,
                    ..
                }
            }
        ),
        "{error:?}"
    );
}
