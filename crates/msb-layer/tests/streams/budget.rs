//! The budget that layers of an image and their merge share, and cancellation by it.

use std::os::unix::fs::MetadataExt;

use super::limits::*;
use super::*;

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
