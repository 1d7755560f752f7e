//! Equal layers result in equal files, whatever the pieces and the timing.

use super::*;

#[test]
fn one_byte_at_a_time_results_in_the_same_files_as_the_whole_at_once() {
    let tar = tar::recipe(RECIPE);
    let expected = files(Attempt::uncompressed(&tar));
    for piece in [1, 511, 4097] {
        assert!(
            files(Attempt {
                piece,
                ..Attempt::uncompressed(&tar)
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
fn the_same_layer_results_in_the_same_bytes_whatever_the_timing_of_threads() {
    let tar = tar::recipe(RECIPE);
    let expected = files(Attempt::uncompressed(&tar));
    for round in 0..20 {
        let dir = tempfile::tempdir().unwrap();
        let base = dir.path().join("layer");
        let job = Attempt::uncompressed(&tar).job(&base);
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
            ..Attempt::uncompressed(&tar)
        });
        image[1024 + 16 + 64..].to_vec()
    };
    // All but the volume's UUID, which is derived from the archive.
    let (a, b) = (
        layer("xattr.user.a=1 xattr.security.b=2"),
        layer("xattr.security.b=2 xattr.user.a=1"),
    );
    assert!(a[128..] == b[128..]);
}

#[test]
fn several_gzip_members_several_zstd_frames_and_the_magic_bytes_decide() {
    let tar = tar::recipe(RECIPE);
    let expected = files(Attempt::uncompressed(&tar));
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
