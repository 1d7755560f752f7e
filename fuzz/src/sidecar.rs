//! Target `sidecar`: the sidecar of a layer, three sections in a valid frame.
//!
//! Asserted, for every input:
//! - a damaged section is an error that prints in one line;
//! - changes that were read can be written, and read back equal;
//! - the memory is bounded by the input.
//!
//! The target `merge` merges hostile changes.

use fs_tree::{Change, ChangeKind, Whiteout};
use msb_sidecar::{Error, ImageSummary, Sidecar, SidecarWriter};

use crate::errors::check_message;
use crate::heap;
use crate::merge::framed;
use crate::supply::Supply;

/// Runs the target.
///
/// # Panics
/// When something that is asserted does not hold.
pub fn run(bytes: &[u8]) {
    let file = match bytes.split_first() {
        Some((0, whole)) => whole.to_vec(),
        Some((_, rest)) => framed(&mut Supply::new(rest)),
        None => return,
    };
    // Changes as text take more memory than their records, whose paths share prefixes; so the text is not kept.
    heap::bounded(64 * file.len() + (2 << 20), || {
        match Sidecar::open(file.clone()) {
            Ok(sidecar) => read(&sidecar),
            Err(error) => check_message(&error),
        }
    });
}

fn read(sidecar: &Sidecar<Vec<u8>>) {
    match sidecar.notes() {
        Ok(_) => {}
        Err(error) => check_message(&error),
    }
    let changes = sidecar.changes();
    let mut writer = SidecarWriter::new(Vec::new());
    let hidden = changes.for_each_whiteout(|Whiteout { path, opaque }| {
        let kind = if opaque {
            ChangeKind::Opaque
        } else {
            ChangeKind::Whiteout
        };
        writer
            .change(&Change { path, kind }, None)
            .expect("memory takes it");
    });
    if let Err(error) = hidden {
        return check_message(&error);
    }
    let (mut count, mut keys) = (0_u64, Vec::new());
    let replayed = changes.for_each_change::<Error>(7, |change| {
        let inline = inline_of(changes.source(), change);
        keys.push(writer.change(change, inline)?);
        count += 1;
        Ok(())
    });
    if let Err(error) = replayed {
        return check_message(&error);
    }
    let image = ImageSummary {
        bytes: 4096,
        crc32c: 7,
    };
    let again = writer
        .finish(image, &[])
        .expect("what is read can be written");
    let again = Sidecar::open(again).expect("what is written can be read");
    assert_eq!(again.changes().records(), count);
    let mut keys = keys.into_iter();
    let read = again.changes().for_each_change::<Error>(7, |change| {
        let key = keys.next().expect("as many as were written");
        assert_eq!(
            inline_of(again.changes().source(), change).is_some(),
            key.is_some()
        );
        Ok(())
    });
    read.expect("what is written can be read");
}

/// Returns the bytes of an inline file, which are in the sidecar at the offset in its key.
fn inline_of<'a>(source: &'a [u8], change: &Change<'_>) -> Option<&'a [u8]> {
    use fs_tree::{NewContent, NewNode};
    let ChangeKind::Node {
        node:
            NewNode::Regular {
                size,
                content: NewContent::Inline { key },
                ..
            },
        ..
    } = change.kind
    else {
        return None;
    };
    let start = usize::try_from(key).expect("it lies in the file");
    let len = usize::try_from(size).expect("it lies in the file");
    Some(&source[start..][..len])
}
