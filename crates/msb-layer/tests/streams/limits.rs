//! Limits of layers and images.

use std::os::unix::fs::MetadataExt;

use super::*;

fn limited(tar: &[u8], change: impl FnOnce(&mut LayerLimits)) -> Result<IngestedLayer, LayerError> {
    let mut attempt = Attempt::uncompressed(tar);
    change(&mut attempt.limits);
    attempt.run()
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
fn global_xattrs(count: usize, name_bytes: usize) -> String {
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

/// Runs like [`limited`], with limits of the image.
fn budgeted(
    tar: &[u8],
    change: impl FnOnce(&mut ImageLimits),
) -> Result<IngestedLayer, LayerError> {
    let mut limits = ImageLimits::default();
    change(&mut limits);
    let mut attempt = Attempt::uncompressed(tar);
    attempt.budget = ImageBudget::new(limits);
    attempt.run()
}

#[track_caller]
fn exceeds(result: Result<IngestedLayer, LayerError>, which: ImageLimit, words: &str) {
    let error = result.unwrap_err();
    let LayerError::Budget { source } = error else {
        panic!("{which:?} was not hit: {error:?}");
    };
    assert!(matches!(source, BudgetError::Exceeded { limit, .. } if limit == which));
    assert!(source.to_string().contains(words), "{source}");
}

#[test]
fn stored_bytes_of_a_layer_count_for_the_image_and_written_bytes_do_not() {
    // 500 files with 2,000 xattrs each, of which one differs: some 40 kB of blob.
    let mut recipe = global_xattrs(2000, 15);
    for index in 0..500 {
        recipe += &format!("file {index} size=0 xattr.user.own={index}\n");
    }
    let tar = tar::recipe(&recipe);
    exceeds(
        budgeted(&tar, |limits| limits.memory_bytes = 4 << 20),
        ImageLimit::MemoryBytes,
        "bytes of memory",
    );
    exceeds(
        budgeted(&tar, |limits| limits.disk_bytes = 4 << 20),
        ImageLimit::DiskBytes,
        "bytes on disk",
    );
}

#[test]
fn memory_is_counted_while_an_archive_is_read() {
    let mut recipe = global_xattrs(2000, 15);
    for index in 0..500 {
        recipe += &format!("file {index} size=0 xattr.user.own={index}\n");
    }
    let tar = tar::recipe(&recipe);
    // Its end, which would be an error, is not reached.
    exceeds(
        budgeted(&tar[..tar.len() - 1500], |limits| {
            limits.memory_bytes = 4 << 20;
        }),
        ImageLimit::MemoryBytes,
        "bytes of memory",
    );
}

#[test]
fn the_plan_and_the_metadata_of_a_layer_are_counted_before_they_are_made() {
    let recipe: String = (0..1000).map(|n| format!("file {n} size=0\n")).collect();
    let tar = tar::recipe(&recipe);
    let least_memory = |tar: &[u8]| {
        let (mut refused, mut enough) = (0, 16 << 20);
        while enough - refused > 1 {
            let tried = (refused + enough) / 2;
            match budgeted(tar, |limits| limits.memory_bytes = tried) {
                Err(LayerError::Budget { .. }) => refused = tried,
                _ => enough = tried,
            }
        }
        enough
    };
    // One file less, and no plan, because the archive ends in the middle of a header.
    let read = least_memory(&tar[..tar.len() - 1100]);
    let planned = least_memory(&tar);
    assert!(
        planned >= read + 1000 * erofs_writer::PLAN_BYTES_PER_INODE,
        "{read} {planned}"
    );

    let dir = tempfile::tempdir().unwrap();
    let made = Attempt::uncompressed(&tar)
        .into_files(&dir.path().join("layer"))
        .unwrap();
    let sidecar = fs::metadata(dir.path().join("layer.sidecar"))
        .unwrap()
        .len();
    let disk = |bytes| {
        let mut limits = ImageLimits::default();
        limits.disk_bytes = bytes;
        let mut attempt = Attempt::uncompressed(&tar);
        attempt.budget = ImageBudget::new(limits);
        attempt.into_files(&dir.path().join("limited"))
    };
    exceeds(
        disk(sidecar + made.image.bytes / 2),
        ImageLimit::DiskBytes,
        "bytes on disk",
    );
    let written = fs::metadata(dir.path().join("limited.erofs")).unwrap();
    assert!(written.len() < made.image.bytes / 2, "{written:?}");
    assert!(disk(sidecar + made.image.bytes).is_ok());
}

#[test]
fn each_limit_of_the_image_is_named_in_its_error() {
    let tar = tar::recipe("file a/b/c size=5000 seed=1\nfile d size=1\nsymlink e target=a");
    assert!(budgeted(&tar, |limits| limits.entries = 3).is_ok());
    exceeds(
        budgeted(&tar, |limits| limits.entries = 2),
        ImageLimit::Entries,
        "entries of all layers",
    );
    exceeds(
        budgeted(&tar, |limits| limits.path_steps = 1),
        ImageLimit::PathSteps,
        "path components",
    );
    exceeds(
        budgeted(&tar, |limits| {
            limits.uncompressed_bytes = tar.len() as u64 - 1
        }),
        ImageLimit::UncompressedBytes,
        "uncompressed bytes",
    );
    exceeds(
        budgeted(&tar, |limits| limits.memory_bytes = 500),
        ImageLimit::MemoryBytes,
        "bytes of memory",
    );
    exceeds(
        budgeted(&tar, |limits| limits.disk_bytes = 8000),
        ImageLimit::DiskBytes,
        "bytes on disk",
    );
}

#[test]
fn layers_of_an_image_and_their_merge_share_one_budget() {
    let tar = tar::recipe("file a size=1\nfile b size=1");
    let mut limits = ImageLimits::default();
    limits.entries = 3;
    let budget = ImageBudget::new(limits);
    let run = |budget: &ImageBudget| {
        let mut attempt = Attempt::uncompressed(&tar);
        attempt.budget = budget.clone();
        attempt.run()
    };
    assert!(run(&budget).is_ok());
    exceeds(run(&budget), ImageLimit::Entries, "entries of all layers");
    // A failed layer releases its share.
    let one = tar::recipe("file a size=1");
    let mut attempt = Attempt::uncompressed(&one);
    attempt.budget = budget;
    assert!(attempt.run().is_ok());
}

/// Returns an archive of symbolic links that each lead back and forth hundreds of times, and files behind all of them.
fn winding(files: usize) -> Vec<u8> {
    let mut recipe = String::from("dir d\n");
    let there_and_back = "d/../".repeat(812);
    for link in 0..39 {
        recipe += &format!("symlink l{link} target={there_and_back}l{}\n", link + 1);
    }
    recipe += &format!("symlink l39 target={there_and_back}d\n");
    for file in 0..files {
        // Each link resets the last parent.
        recipe += &format!("symlink l0/{file} target=x\n");
    }
    tar::recipe(&recipe)
}

#[test]
fn the_path_components_that_a_layer_walks_are_limited() {
    let tar = winding(20);
    assert!(limited(&tar, |_| {}).is_ok());
    hits(
        limited(&tar, |limits| limits.path_steps = 200_000),
        LayerLimit::PathSteps,
        200_000,
    );
    // Limited below the default after a second or two, whatever the length of the archive.
    hits(
        limited(&winding(2000), |_| {}),
        LayerLimit::PathSteps,
        64 << 20,
    );
}

#[test]
fn whiteouts_that_look_through_the_same_directory_again_are_limited() {
    let bottom = "d/".repeat(40);
    let mut recipe = String::new();
    for index in 0..2000 {
        recipe += &format!("whiteout {bottom}{index}\n");
    }
    recipe += &format!("file {bottom}x size=1\n");
    for depth in 1..=40 {
        recipe += &format!("whiteout {}\n", "d/".repeat(depth).trim_end_matches('/'));
    }
    let tar = tar::recipe(&recipe);
    assert!(limited(&tar, |_| {}).is_ok());
    hits(
        limited(&tar, |limits| limits.path_steps = 120_000),
        LayerLimit::PathSteps,
        120_000,
    );
}

#[test]
fn a_cancelled_layer_ends_in_the_middle_of_its_archive() {
    let tar = winding(1500);
    let attempt = Attempt::uncompressed(&tar);
    let dir = tempfile::tempdir().unwrap();
    let job = attempt.job(&dir.path().join("layer"));
    let ended = runtime().block_on(async {
        let (feed, task) = job.start().unwrap();
        // One piece, so that the stages do not wait for more.
        feed.send(Bytes::copy_from_slice(&tar)).await;
        tokio::task::yield_now().await;
        drop(feed);
        let started = std::time::Instant::now();
        let ended = task.wait().await;
        assert!(started.elapsed() < std::time::Duration::from_secs(1));
        ended
    });
    assert!(matches!(ended, Err(LayerError::Cancelled)), "{ended:?}");
}

#[test]
fn a_file_of_zeros_takes_no_space_on_disk() {
    // Data between and after the zeros, which begin inside a chunk.
    let tar = tar::recipe(
        "file a size=5000 seed=1\nfile z size=50000000 fill=zero\nfile b size=9000 seed=2",
    );
    let dir = tempfile::tempdir().unwrap();
    let made = Attempt::uncompressed(&tar)
        .into_files(&dir.path().join("layer"))
        .unwrap();
    let metadata = fs::metadata(dir.path().join("layer.erofs")).unwrap();
    assert_eq!(metadata.len(), made.image.bytes);
    let bytes = metadata.blocks() * 512;
    assert!(bytes <= 64 << 10, "{bytes}");
    assert!(budgeted(&tar, |limits| limits.disk_bytes = 64 << 10).is_ok());
}
