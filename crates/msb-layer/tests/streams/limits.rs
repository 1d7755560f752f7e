//! Limits of layers and images.

use super::*;

pub(super) fn limited(
    tar: &[u8],
    change: impl FnOnce(&mut LayerLimits),
) -> Result<IngestedLayer, LayerError> {
    let mut attempt = Attempt::uncompressed(tar);
    change(&mut attempt.limits);
    attempt.run()
}

#[track_caller]
pub(super) fn hits(
    result: Result<IngestedLayer, LayerError>,
    which: LayerLimit,
    limit_allowed: u64,
) {
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
fn each_limit_is_named_in_its_error_and_is_inclusive() {
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
    assert!(limited(&file, |limits| limits.uncompressed_bytes = len).is_ok());
    hits(
        limited(&file, |limits| limits.uncompressed_bytes = len - 1),
        LayerLimit::UncompressedBytes,
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
    // Otherwise a few hundred bytes of a blob would create thousands of inodes each.
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
fn a_gzip_bomb_stops_at_the_limit_of_uncompressed_bytes() {
    let mut bomb = Vec::new();
    let tar = {
        let mut header = tar::recipe("file a size=0 header-size=8000000000 format=gnu\nnoend");
        header.resize(64 << 20, 0);
        header
    };
    // Twenty members of 64 MiB each; the first contains the header.
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
    attempt.limits.uncompressed_bytes = 16 << 20;
    match attempt.run() {
        Err(LayerError::Limit {
            limit: LayerLimit::UncompressedBytes,
            allowed,
            actual,
        }) => {
            assert!(actual - allowed <= 1 << 20, "{actual}");
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_sparse_files_cost_is_counted_over_the_layer() {
    // 20 files of one byte each in a terabyte: a blob of a kilobyte.
    let mut recipe = String::new();
    for index in 0..20 {
        recipe += &format!("file {index} size=1099511627776 sparse=pax1.0 map=549755813888:1\n");
    }
    let tar = tar::recipe(&recipe);
    // Each takes 4 MiB of zeros without the byte, and 4 MiB of indexes.
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

/// Returns a global PAX header with `count` xattrs, each with a name of `name_bytes`.
pub(super) fn global_xattrs(count: usize, name_bytes: usize) -> String {
    let mut recipe = String::from("global");
    for index in 0..count {
        let name = format!("user.{index:0width$}", width = name_bytes - 5);
        recipe += &format!(" SCHILY.xattr.{name}=x");
    }
    recipe + "\n"
}

#[test]
fn the_names_of_one_files_xattrs_are_limited_as_in_linux() {
    // Each name is followed by a NUL in the list: 4096 names of 15 bytes are 64 KiB.
    let most = tar::recipe(&(global_xattrs(4096, 15) + "file a size=1"));
    assert!(limited(&most, |_| {}).is_ok());
    let more = tar::recipe(&(global_xattrs(4096, 15) + "file a size=1 xattr.user.z=1"));
    for tar in [
        more,
        tar::recipe(&(global_xattrs(10_000, 10) + "file a size=1")),
    ] {
        let error = limited(&tar, |_| {}).unwrap_err();
        let source = error.source().map(ToString::to_string).unwrap_or_default();
        assert!(
            source.contains("xattr names in bytes is ") && source.contains("allowed 65536"),
            "{source}"
        );
    }
}

#[test]
fn equal_xattr_sets_are_stored_once_in_the_sidecar() {
    // 64 KiB of names for each of 3,000 files, from a blob of a few kilobytes.
    let mut recipe = global_xattrs(4096, 15);
    for index in 0..3000 {
        recipe += &format!("file {index} size=0\n");
    }
    let tar = tar::recipe(&recipe);
    let dir = tempfile::tempdir().unwrap();
    let base = dir.path().join("layer");
    let layer = Attempt::uncompressed(&tar).into_files(&base).unwrap();
    let sidecar_bytes = std::fs::metadata(base.with_extension("sidecar"))
        .unwrap()
        .len();
    println!("sidecar {sidecar_bytes}, image {} bytes", layer.image.bytes);
    // In each record they would take 220 MB.
    assert!(sidecar_bytes < 200_000, "{sidecar_bytes}");
}
