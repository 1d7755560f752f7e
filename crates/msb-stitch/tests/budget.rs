//! The merge shares the budget of its image.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs::File;
use std::sync::{Arc, Mutex};

use fs_tree::{Change, ChangeKind, Metadata, NewNode};
use msb_budget::{BudgetError, ImageBudget, ImageLimit, ImageLimits};
use msb_sidecar::{ImageSummary, Sidecar, SidecarWriter};
use msb_stitch::{DeviceId, DiskLayout, LayerNames, Merge, StitchError};

fn device_id(number: u16) -> DeviceId {
    DeviceId::new(number).unwrap()
}

/// Returns a layer of so many directories in one folder.
fn sidecar(folder: &str, directories: usize) -> Sidecar<File> {
    let file = tempfile::tempfile().unwrap();
    let mut writer = SidecarWriter::new(file.try_clone().unwrap());
    let node = NewNode::Directory;
    for number in 0..directories {
        let kind = ChangeKind::Node {
            metadata: Metadata::default(),
            xattrs: &[],
            node,
        };
        let path = format!("{folder}/{number}");
        let path = path.as_bytes();
        writer.change(&Change { path, kind }, None).unwrap();
    }
    let image = ImageSummary {
        bytes: 4096,
        crc32c: 0,
    };
    writer.finish(image, &[]).unwrap();
    Sidecar::open(file).unwrap()
}

#[track_caller]
fn refused(change: impl FnOnce(&mut ImageLimits)) -> (DeviceId, BudgetError) {
    let mut limits = ImageLimits::default();
    change(&mut limits);
    let mut merge = Merge::with_budget(&ImageBudget::new(limits));
    for (device, folder) in [(1, "a"), (2, "b"), (3, "c")] {
        match merge.add(device_id(device), sidecar(folder, 1000).changes()) {
            Ok(()) => {}
            Err(StitchError::Budget { device, source }) => return (device, source),
            Err(error) => panic!("{error}"),
        }
    }
    panic!("nothing was refused");
}

#[test]
fn the_merged_tree_is_limited_for_all_layers_together() {
    // Each layer fits alone.
    let (device, error) = refused(|limits| limits.tree_entries = 2500);
    assert_eq!(device.get(), 3);
    assert!(matches!(
        error,
        BudgetError::Exceeded {
            limit: ImageLimit::TreeEntries,
            allowed: 2500,
            actual: 2501..2600,
        }
    ));
    assert!(error.to_string().contains("merged file tree"), "{error}");
    let (device, error) = refused(|limits| limits.memory_bytes = 300_000);
    assert_eq!(device.get(), 3);
    assert!(error.to_string().contains("bytes of memory"), "{error}");
}

#[test]
fn path_components_are_counted_over_all_layers() {
    let (_, error) = refused(|limits| limits.path_steps = 2);
    assert!(error.to_string().contains("path components"), "{error}");
}

#[test]
fn a_cancelled_merge_ends_within_a_layer() {
    let budget = ImageBudget::default();
    let mut merge = Merge::with_budget(&budget);
    budget.cancel();
    let error = merge
        .add(device_id(1), sidecar("a", 10).changes())
        .unwrap_err();
    assert!(matches!(
        error,
        StitchError::Budget {
            source: BudgetError::Cancelled,
            ..
        }
    ));
}

#[test]
fn merged_metadata_counts_as_bytes_on_disk() {
    let mut limits = ImageLimits::default();
    limits.disk_bytes = 10_000;
    let mut merge = Merge::with_budget(&ImageBudget::new(limits));
    merge
        .add(device_id(1), sidecar("a", 1000).changes())
        .unwrap();
    let names = LayerNames {
        tag: "a".into(),
        file: "a.erofs".into(),
    };
    let layout = DiskLayout::of_distinct("fsmeta.erofs", &[(names, 4096)]).unwrap();
    let written = merge.write_fsmeta(tempfile::tempfile().unwrap(), &layout, [1; 16]);
    assert!(matches!(
        written,
        Err(StitchError::MetadataBudget {
            source: BudgetError::Exceeded {
                limit: ImageLimit::DiskBytes,
                ..
            }
        })
    ));
}

#[test]
fn progress_is_reported_after_each_layer_and_within_long_ones() {
    let reports = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&reports);
    let mut merge = Merge::new().on_progress(move |progress| {
        seen.lock()
            .unwrap()
            .push((progress.layers, progress.changes));
    });
    for (number, directories) in [(1, 10_000), (2, 5)] {
        merge
            .add(device_id(number), sidecar("a", directories).changes())
            .unwrap();
    }
    assert_eq!(
        *reports.lock().unwrap(),
        [(0, 4096), (0, 8192), (1, 10_000), (2, 10_005)]
    );
}
