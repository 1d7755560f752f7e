//! The two files of a layer, in memory.

use std::fs::File;

use erofs_format::Crc32c;
use erofs_writer::{ImageWriter, NoInline, Options, Stored};
use fs_tree::Tree;
use msb_sidecar::{ImageSummary, Note, Sidecar, SidecarWriter};

use super::KEY_BITS;
use super::replay::replay;
use crate::memory_file::memory_file;
use crate::model::{OwnedChange, OwnedContent, OwnedKind, OwnedNode};

/// A written layer.
pub(super) struct Layer {
    pub(super) image: File,
    pub(super) sidecar: File,
    pub(super) summary: ImageSummary,
}

impl Layer {
    pub(super) fn open(&self) -> Sidecar<File> {
        Sidecar::open(self.sidecar.try_clone().expect("a file can be shared"))
            .expect("the sidecar opens")
    }
}

fn bytes(seed: u32, len: u64) -> Vec<u8> {
    (0..len)
        .map(|at| (at.wrapping_mul(31) as u8) ^ (at >> 8) as u8 ^ seed as u8)
        .collect()
}

/// Writes the two files of a layer as an ingest does, and records the addresses of the data in the changes.
pub(super) fn layer(device: u16, changes: &mut [OwnedChange]) -> Layer {
    let mut image = ImageWriter::new(memory_file(), Options::default()).expect("no devices");
    let mut sidecar = SidecarWriter::new(memory_file());
    for change in &mut *changes {
        let inline = store(change, &mut image);
        let key = change
            .with(|change| sidecar.change(change, inline.as_deref()))
            .expect("memory takes it");
        place(change, device, key);
    }
    // The target `layer` covers the tree of a layer; here the image has only data.
    let (written, image) = image
        .finish(&Tree::new(), &mut NoInline)
        .expect("memory takes it");
    let summary = ImageSummary {
        bytes: written.bytes(),
        crc32c: written.crc32c.get(),
    };
    let notes = [Note::OpaqueRoot];
    let sidecar = sidecar.finish(summary, &notes).expect("memory takes it");
    let layer = Layer {
        image,
        sidecar,
        summary,
    };
    replay(&layer, device, changes, &notes);
    layer
}

/// Writes the bytes of a file into the image and its digest into the change. Returns the bytes that belong into the sidecar.
fn store(change: &mut OwnedChange, image: &mut ImageWriter<File>) -> Option<Vec<u8>> {
    let OwnedKind::Node {
        node:
            OwnedNode::Regular {
                size,
                crc32c,
                content,
            },
        ..
    } = &mut change.kind
    else {
        return None;
    };
    let seed = *crc32c;
    match content {
        OwnedContent::Absent => {
            *crc32c = Crc32c::new().get();
            None
        }
        OwnedContent::Inline { .. } => {
            let inline = bytes(seed, *size);
            *crc32c = Crc32c::of(&inline).get();
            Some(inline)
        }
        OwnedContent::Contiguous { offset, .. } => {
            let stored = store_extent(image, &bytes(seed, *size));
            *offset = stored.offset;
            *crc32c = stored.crc32c.get();
            None
        }
        OwnedContent::Mapped(extents) => {
            let mut sum = Crc32c::new();
            for extent in extents {
                let piece = bytes(seed ^ 7, extent.len);
                extent.offset = store_extent(image, &piece).offset;
                sum = sum.update(&piece);
            }
            *crc32c = sum.get();
            None
        }
    }
}

fn store_extent(image: &mut ImageWriter<File>, bytes: &[u8]) -> Stored {
    let mut extent = image.begin().expect("memory takes it");
    extent.write(bytes).expect("memory takes it");
    extent.end().expect("memory takes it")
}

/// Sets the device of a change's data, as replaying the sidecar does.
fn place(change: &mut OwnedChange, device: u16, key: Option<u64>) {
    let OwnedKind::Node {
        node: OwnedNode::Regular { content, .. },
        ..
    } = &mut change.kind
    else {
        return;
    };
    match content {
        OwnedContent::Absent => {}
        OwnedContent::Inline { key: own } => {
            *own = u64::from(device) << KEY_BITS | key.expect("inline bytes have a key");
        }
        OwnedContent::Contiguous { device: own, .. } => *own = device,
        OwnedContent::Mapped(extents) => {
            extents.iter_mut().for_each(|extent| extent.device = device)
        }
    }
}
