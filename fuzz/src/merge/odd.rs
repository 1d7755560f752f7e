//! Writes well-formed sidecars of changes that no ingest writes.

use msb_sidecar::{ImageSummary, SidecarWriter};

use super::BLOCK;
use super::changes::{change, path};
use crate::model::{OwnedContent, OwnedKind, OwnedNode};
use crate::supply::Supply;

/// Returns the sidecar that these bytes select.
pub(super) fn sidecar(supply: &mut Supply<'_>) -> Vec<u8> {
    let mut sidecar = SidecarWriter::new(Vec::new());
    for number in 0..supply.below(8) as u32 {
        let mut change = change(supply, number);
        if supply.byte() & 1 == 0 {
            change.path = odd_path(supply);
        }
        match &mut change.kind {
            OwnedKind::HardLink { target } => *target = odd_path(supply),
            OwnedKind::Node {
                metadata,
                xattrs,
                node,
            } => {
                if supply.byte() & 3 == 0 {
                    metadata.mtime.secs = supply.one_of(&[i64::MIN, -1, 0, i64::MAX]);
                }
                if supply.byte() & 3 == 0 {
                    let name = odd_path(supply);
                    let len = supply.one_of(&[0, 1, 300, 65_535, 65_536]);
                    xattrs.insert(name, vec![b'v'; len]);
                }
                odd_node(node, supply);
            }
            OwnedKind::Whiteout | OwnedKind::Opaque => {}
        }
        let inline = match &change.kind {
            OwnedKind::Node {
                node:
                    OwnedNode::Regular {
                        size,
                        content: OwnedContent::Inline { .. },
                        ..
                    },
                ..
            } => {
                // The length must follow from the size, or the record is malformed.
                Some(vec![b'i'; usize::try_from(*size).unwrap_or(0).min(9000)])
            }
            _ => None,
        };
        change
            .with(|change| sidecar.change(change, inline.as_deref()))
            .expect("memory takes it");
    }
    let image = ImageSummary {
        bytes: supply.one_of(&[
            0,
            1,
            BLOCK,
            3 * BLOCK,
            BLOCK << 20,
            u64::MAX / BLOCK * BLOCK,
        ]),
        crc32c: 0,
    };
    sidecar.finish(image, &[]).expect("memory takes it")
}

fn odd_path(supply: &mut Supply<'_>) -> String {
    match supply.below(14) {
        0 => String::new(),
        1 => "/".to_owned(),
        2 => "..".to_owned(),
        3 => "d/../a".to_owned(),
        4 => "d//a".to_owned(),
        5 => "d/.".to_owned(),
        6 => "/d/a".to_owned(),
        7 => "d/a/".to_owned(),
        8 => "a\0b".to_owned(),
        9 => "n".repeat(256),
        10 => "p/".repeat(2200) + "x",
        11 => "user.".to_owned(),
        12 => "unknown.x".to_owned(),
        _ => path(supply),
    }
}

fn odd_node(node: &mut OwnedNode, supply: &mut Supply<'_>) {
    const NUMBERS: [u64; 10] = [
        0,
        1,
        BLOCK - 1,
        BLOCK,
        BLOCK + 1,
        2 * BLOCK,
        1 << 32,
        1 << 44,
        i64::MAX as u64,
        u64::MAX,
    ];
    match node {
        OwnedNode::Symlink { target } if supply.byte() & 1 == 0 => *target = odd_path(supply),
        OwnedNode::Symlink { target } if supply.byte() & 7 == 0 => *target = "t".repeat(5000),
        OwnedNode::CharDevice(major, minor) | OwnedNode::BlockDevice(major, minor) => {
            (*major, *minor) = (supply.number() as u32, supply.number() as u32);
        }
        OwnedNode::Regular { size, content, .. } => match content {
            OwnedContent::Inline { .. } => {}
            OwnedContent::Absent => *size = supply.one_of(&NUMBERS),
            OwnedContent::Contiguous { offset, .. } => {
                (*size, *offset) = (supply.one_of(&NUMBERS), supply.one_of(&NUMBERS));
            }
            OwnedContent::Mapped(extents) => {
                if supply.byte() & 1 == 0 {
                    *size = supply.one_of(&NUMBERS);
                }
                for extent in extents {
                    match supply.below(8) {
                        0 => extent.logical = supply.one_of(&NUMBERS),
                        1 => extent.len = supply.one_of(&NUMBERS),
                        2 => extent.offset = supply.one_of(&NUMBERS),
                        _ => extent.offset = BLOCK * supply.below(4) as u64,
                    }
                }
            }
        },
        _ => {}
    }
}
