//! Replays a sidecar and compares its changes.

use fs_tree::{Change, ChangeKind, NewContent, NewNode};
use msb_sidecar::Note;

use super::KEY_BITS;
use super::layer::Layer;
use crate::model::{OwnedChange, OwnedKind};

/// Opens the sidecar of the layer and compares it with the written changes.
pub(super) fn replay(layer: &Layer, device: u16, changes: &[OwnedChange], notes: &[Note]) {
    let sidecar = layer.open();
    assert_eq!(sidecar.image(), layer.summary);
    assert_eq!(sidecar.notes().expect("the notes are read"), notes);
    let is_marker =
        |change: &&OwnedChange| matches!(change.kind, OwnedKind::Whiteout | OwnedKind::Opaque);
    let mut markers = changes.iter().filter(is_marker);
    let played = sidecar.changes();
    played
        .for_each_whiteout(|whiteout| {
            let expected = markers.next().expect("no more than there were");
            assert_eq!(whiteout.path, expected.path.as_bytes());
            assert_eq!(whiteout.opaque, matches!(expected.kind, OwnedKind::Opaque));
        })
        .expect("the whiteouts are read");
    assert!(markers.next().is_none());
    let mut expected = changes.iter().filter(|change| !is_marker(change));
    played
        .for_each_change(device, |change| {
            let expected = expected.next().expect("no more than there were");
            // The key without its device, which the merge adds.
            let found = format!("{:?}", (change.path, without_device(change)));
            let wanted =
                expected.with(|change| format!("{:?}", (change.path, without_device(change))));
            assert_eq!(found, wanted);
            Ok::<_, msb_sidecar::Error>(())
        })
        .expect("the changes are read");
    assert!(expected.next().is_none());
    assert_eq!(
        played.records(),
        changes.iter().filter(|change| !is_marker(change)).count() as u64
    );
}

fn without_device<'a>(change: &Change<'a>) -> ChangeKind<'a> {
    match change.kind {
        ChangeKind::Node {
            metadata,
            xattrs,
            node:
                NewNode::Regular {
                    size,
                    crc32c,
                    content: NewContent::Inline { key },
                },
        } => {
            let content = NewContent::Inline {
                key: key & ((1 << KEY_BITS) - 1),
            };
            ChangeKind::Node {
                metadata,
                xattrs,
                node: NewNode::Regular {
                    size,
                    crc32c,
                    content,
                },
            }
        }
        kind => kind,
    }
}
