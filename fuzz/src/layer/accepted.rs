//! The assertions about an accepted layer.

use std::collections::HashMap;
use std::fs::File;
use std::io::Read;

use erofs_format::Crc32c;
use erofs_reader::{CheckOptions, FileType, Image, check, dump};
use msb_layer::tar::path::normalize;
use msb_sidecar::{Note, Sidecar};
use msb_stitch::{DeviceId, Merge, StitchError, verify_disk};

use super::making::Layer;
use super::parsing::Seen;
use super::{PLAIN_BYTES, limits};
use crate::disk::{descriptor, layout};
use crate::errors::check_message;
use crate::memory_file::{memory_file, path_of};

/// Checks an accepted layer. `bytes` is its image, `seen` are the entries of the archive.
pub(super) fn accepted(layer: &Layer, bytes: &[u8], seen: &[Seen]) {
    let summary = layer.made.image;
    assert_eq!(summary.bytes, bytes.len() as u64);
    assert_eq!(summary.crc32c, Crc32c::of(bytes).get());
    assert!(bytes.len().is_multiple_of(4096));

    let image = Image::open(bytes).expect("the image opens");
    check(&image, &CheckOptions::default()).expect("the image is sound");
    dump(&image, &mut std::io::sink()).expect("the image can be dumped");
    same_contents(&image, seen);

    let sidecar = layer.open();
    for note in &layer.made.notes {
        let text = note.to_string();
        assert!(!text.contains(char::is_control), "{text:?}");
    }
    assert_eq!(sidecar.image(), summary);
    assert_eq!(
        sidecar.notes().expect("the notes are read"),
        layer.made.notes
    );
    let links_below = layer
        .made
        .notes
        .iter()
        .any(|note| matches!(note, Note::LinksBelow { .. }));
    match merged(&sidecar) {
        Ok(merge) => {
            let output = memory_file();
            let layout = layout(&output, &[(&layer.image, summary.bytes)]);
            let (fsmeta, output) = merge
                .write_fsmeta(output, &layout, [7; 16])
                .expect("the tree is written");
            let vmdk = descriptor(&layout, fsmeta.bytes);
            let expected = merged(&sidecar).expect("as before");
            verify_disk(&path_of(&vmdk), Some(expected.tree()))
                .expect("the disk passes verification");
            drop(output);
        }
        Err(error @ StitchError::Merge { .. }) if links_below => check_message(&error),
        Err(error) => panic!("the layer cannot be merged: {error:?}"),
    }
}

fn merged(sidecar: &Sidecar<File>) -> Result<Merge, StitchError> {
    let mut merge = Merge::new();
    merge.add(DeviceId::new(1).expect("1 is a device"), sidecar.changes())?;
    Ok(merge)
}

/// Checks that each file of the image has the bytes of an entry of its name.
fn same_contents(image: &Image<&[u8]>, seen: &[Seen]) {
    let mut by_path: HashMap<Vec<u8>, Vec<&Seen>> = HashMap::new();
    for entry in seen.iter().filter(|entry| entry.regular) {
        if let Ok(path) = normalize(&entry.path, &limits().path) {
            by_path.entry(path.into_owned()).or_default().push(entry);
        }
    }
    let mut walk = image
        .walk(&erofs_reader::Limits::default())
        .expect("there is a root");
    while let Some(found) = walk.next_entry() {
        let found = found.expect("the image is sound");
        let inode = found.inode;
        // Behind a symbolic link, or a hard link: the archive has another name.
        let Some(candidates) = by_path.get(found.path.strip_prefix(b"/").unwrap_or(found.path))
        else {
            continue;
        };
        if inode.file_type != FileType::Regular || inode.nlink > 1 || inode.size > PLAIN_BYTES {
            continue;
        }
        let mut bytes = Vec::new();
        let mut file = image.open_file(&inode).expect("it is a file");
        file.read_to_end(&mut bytes).expect("the file can be read");
        assert!(
            candidates.iter().any(|entry| entry.expanded() == bytes),
            "{}: its bytes are not the archive's",
            found.path.escape_ascii()
        );
    }
}
