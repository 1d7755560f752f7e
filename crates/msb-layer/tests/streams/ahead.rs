//! Merging a layer before its conversion ends.

use std::fmt::Write as _;
use std::fs::File;
use std::io::Cursor;

use msb_layer::ReadLayer;
use msb_sidecar::{Changes, Sidecar};
use msb_stitch::{DeviceId, DiskLayout, LayerNames, Merge};

use super::*;

/// Returns the merged metadata over this layer alone.
fn fsmeta(changes: &Changes<File>, image_bytes: u64) -> Vec<u8> {
    let mut merge = Merge::new();
    merge.add(DeviceId::new(1).unwrap(), changes).unwrap();
    let names = LayerNames {
        tag: "layer".into(),
        file: "layer.erofs".into(),
    };
    let layout = DiskLayout::of_distinct("fsmeta.erofs", &[(names, image_bytes)]).unwrap();
    let output = Cursor::new(Vec::new());
    let (_, written) = merge.write_fsmeta(output, &layout, [7; 16]).unwrap();
    written.into_inner()
}

/// Feeds the archive. Returns the layer for merging, and the result at the end.
fn read(
    attempt: &Attempt<'_>,
    base: &std::path::Path,
) -> (Option<ReadLayer>, Result<IngestedLayer, LayerError>) {
    let job = attempt.job(base);
    runtime().block_on(async {
        let (feed, mut task) = job.start().unwrap();
        feed.send(Bytes::copy_from_slice(attempt.blob)).await;
        feed.finish().await;
        let read = task.read().await;
        assert!(task.read().await.is_none(), "the second time");
        (read, task.wait().await)
    })
}

#[test]
fn a_layer_merged_early_and_late_results_in_the_same_disk() {
    let tar = tar::recipe(RECIPE);
    let dir = tempfile::tempdir().unwrap();
    let base = dir.path().join("layer");
    let (read, done) = read(&Attempt::uncompressed(&tar), &base);
    let (read, done) = (read.unwrap(), done.unwrap());
    let image_bytes = read.image_bytes.borrow().unwrap();
    assert_eq!(image_bytes, done.image.bytes);

    let sidecar = Sidecar::open(File::open(base.with_extension("sidecar")).unwrap()).unwrap();
    assert_eq!(read.changes.records(), sidecar.changes().records());
    assert!(read.changes.records() > 0);
    let before = fsmeta(&read.changes, image_bytes);
    assert!(before == fsmeta(sidecar.changes(), sidecar.image().bytes));
}

#[test]
fn a_layer_that_fails_verification_is_refused_although_it_could_be_merged() {
    let tar = tar::recipe(RECIPE);
    let dir = tempfile::tempdir().unwrap();
    let attempt = Attempt {
        diff_id: Digest::sha256_of(b"another archive"),
        ..Attempt::uncompressed(&tar)
    };
    let (read, done) = read(&attempt, &dir.path().join("layer"));
    assert!(read.is_some());
    assert!(matches!(done, Err(LayerError::DiffId { .. })), "{done:?}");
}

#[test]
fn a_malformed_layer_is_not_merged_early() {
    let mut tar = tar::recipe("file a size=1");
    tar[148] ^= 1;
    let dir = tempfile::tempdir().unwrap();
    let (read, done) = read(&Attempt::uncompressed(&tar), &dir.path().join("layer"));
    assert!(read.is_none());
    assert!(matches!(done, Err(LayerError::Tar { .. })), "{done:?}");
}

#[test]
fn a_layer_of_very_many_names_is_merged_only_when_its_own_tree_is_gone() {
    let recipe = (0..100_001).fold(String::new(), |mut recipe, name| {
        writeln!(recipe, "fifo {name}").unwrap();
        recipe
    });
    let tar = tar::recipe(&recipe);
    let dir = tempfile::tempdir().unwrap();
    let (read, done) = read(&Attempt::uncompressed(&tar), &dir.path().join("layer"));
    assert!(read.is_none());
    assert_eq!(done.unwrap().entries, 100_001);
}
