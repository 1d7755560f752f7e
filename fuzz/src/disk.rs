//! A disk in memory: its files and their descriptor.

use std::fs::File;
use std::os::unix::fs::FileExt;

use msb_stitch::{DeviceId, DiskLayout, LayerNames};

use crate::memory_file::{memory_file, path_of};

/// Returns the devices of layers, bottom to top.
pub(crate) fn devices() -> impl Iterator<Item = DeviceId> {
    (1..).filter_map(DeviceId::new)
}

/// Returns the layout of a disk over layer images, each with its length, and of an fsmeta that will be written to `fsmeta`.
pub(crate) fn layout(fsmeta: &File, images: &[(&File, u64)]) -> DiskLayout<usize> {
    let layers = images.iter().enumerate().map(|(index, (image, bytes))| {
        let names = LayerNames {
            tag: format!("sha256:{index}"),
            file: path_of(image).display().to_string(),
        };
        (names, *bytes)
    });
    let layers: Vec<_> = layers.collect();
    DiskLayout::of_distinct(path_of(fsmeta).display().to_string(), &layers)
        .expect("the names and lengths are those of a disk")
}

/// Writes the descriptor of a disk with fsmeta of this length.
pub(crate) fn descriptor(layout: &DiskLayout<usize>, fsmeta_bytes: u64) -> File {
    let text = layout
        .descriptor(fsmeta_bytes)
        .expect("fsmeta is whole blocks");
    let vmdk = memory_file();
    vmdk.write_all_at(text.as_bytes(), 0)
        .expect("memory takes it");
    vmdk
}
