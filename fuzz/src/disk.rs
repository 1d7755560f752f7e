//! A disk in memory: its files and their descriptor.

use std::fs::File;
use std::os::unix::fs::FileExt;

use msb_stitch::{Disk, DiskExtent, Fsmeta, Slot};

use crate::memory_file::{memory_file, path_of};

/// Returns the descriptor of an fsmeta, written as `output`, and of the images of its slots.
pub(crate) fn descriptor(fsmeta: &Fsmeta, output: &File, slots: &[Slot], images: &[&File]) -> File {
    let extent = |file: &File, bytes| DiskExtent {
        file: path_of(file).display().to_string(),
        bytes,
    };
    let mut extents = vec![extent(output, fsmeta.bytes)];
    let images = images.iter().zip(slots);
    extents.extend(images.map(|(image, slot)| extent(image, slot.image_bytes)));
    let disk = Disk::new(fsmeta.bytes, slots, extents).expect("the files are those of the slots");
    let text = disk.descriptor().expect("the names can be written");
    let vmdk = memory_file();
    vmdk.write_all_at(text.as_bytes(), 0)
        .expect("memory takes it");
    vmdk
}
