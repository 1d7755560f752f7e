//! The assertions about a hostile sidecar.

use std::io::Write;

use erofs_reader::{CheckOptions, Image, check};
use msb_sidecar::Sidecar;
use msb_stitch::{DiskLayout, LayerNames, Merge, StitchError};

use super::layer::layer;
use crate::disk::devices;
use crate::errors::check_message;
use crate::memory_file::{contents, memory_file};
use crate::model::{OwnedChange, OwnedContent, OwnedKind, OwnedNode, Xattrs, metadata};

/// Merges the sidecar over a small honest layer.
pub(super) fn asserted(bytes: &[u8]) {
    let mut file = memory_file();
    file.write_all(bytes).expect("memory takes it");
    let sidecar = match Sidecar::open(file) {
        Ok(sidecar) => sidecar,
        Err(error) => return check_message(&error),
    };
    match sidecar.notes() {
        Ok(_) => {}
        Err(error) => check_message(&error),
    }
    let mut below = [OwnedChange {
        path: "d/a".to_owned(),
        kind: OwnedKind::Node {
            metadata: metadata(0o644, 1),
            xattrs: Xattrs::new(),
            node: OwnedNode::Regular {
                size: 5,
                crc32c: 1,
                content: OwnedContent::Inline { key: 0 },
            },
        },
    }];
    let honest = layer(1, &mut below);
    let mut merge = Merge::new();
    let mut devices = devices();
    let mut next = || devices.next().expect("there are 65,535");
    merge
        .add(next(), honest.open().changes())
        .expect("it is an honest layer");
    match merge.add(next(), sidecar.changes()) {
        Ok(()) => {}
        Err(error @ (StitchError::Sidecar { .. } | StitchError::Merge { .. })) => {
            return check_message(&error);
        }
        Err(error) => panic!("merging returns another error: {error:?}"),
    }
    let layers = [honest.summary.bytes, sidecar.image().bytes].map(|bytes| {
        let names = LayerNames {
            tag: "sha256:0".to_owned(),
            file: bytes.to_string(),
        };
        (names, bytes)
    });
    // A hostile sidecar may state a length that no image has, or that of the honest one.
    let Ok(layout) = DiskLayout::of_distinct("fsmeta.erofs", &layers) else {
        return;
    };
    if let Ok((fsmeta, output)) = merge.write_fsmeta(memory_file(), &layout, [7; 16]) {
        let bytes = contents(&output);
        assert_eq!(fsmeta.bytes, bytes.len() as u64);
        let image = Image::open_metadata(&bytes[..]).expect("what was written opens");
        check(&image, &CheckOptions::default()).expect("what was written is sound");
    }
}
