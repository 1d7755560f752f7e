//! The assertions about layers made of changes.

use std::fs::File;
use std::os::fd::AsRawFd;
use std::os::unix::fs::FileExt;

use msb_stitch::{Merge, verify_disk};

use super::changes::stack;
use super::layer::{Layer, layer};
use crate::disk::{descriptor, devices, layout};
use crate::errors::check_message;
use crate::image_mutator::repair;
use crate::memory_file::{contents, memory_file, path_of};
use crate::model::{self, Model, list_model, list_tree};
use crate::supply::Supply;

/// Merges the layers that these bytes select.
pub(super) fn asserted(supply: &mut Supply<'_>) {
    let mut stack = stack(supply);
    // If both refuse an entry, the stack is merged again without it, so that every stack ends in a disk.
    loop {
        let mut model = Model::new();
        let refusal = model.apply(&stack).err();
        let found = model::merge(&stack);
        match (refusal, found) {
            (None, Ok(_)) => break,
            (Some(refusal), Err(error)) => {
                assert_eq!(model::error_kind(&error), refusal.kind, "{stack:#?}");
                stack[refusal.layer].remove(refusal.entry);
            }
            (expected, found) => panic!("{stack:#?}\nexpected {expected:?}, found {found:?}"),
        }
    }
    let layers: Vec<Layer> = (1..)
        .zip(&mut stack)
        .map(|(device, changes)| layer(device, changes))
        .collect();
    let mut model = Model::new();
    model.apply(&stack).expect("as before");
    let expected = list_model(&model);
    let merged = || {
        let mut merge = Merge::new();
        for (device, layer) in devices().zip(&layers) {
            merge
                .add(device, layer.open().changes())
                .expect("the model takes it");
        }
        merge
    };
    let merge = merged();
    let found = list_tree(merge.tree());
    assert!(
        found == expected,
        "{stack:#?}\nexpected\n{expected}found\n{found}"
    );

    let images: Vec<(&File, u64)> = layers
        .iter()
        .map(|layer| (&layer.image, layer.summary.bytes))
        .collect();
    let write = || {
        let output = memory_file();
        let layout = layout(&output, &images);
        let (fsmeta, output) = merged()
            .write_fsmeta(output, &layout, [7; 16])
            .expect("the tree is written");
        (fsmeta, output, layout)
    };
    let (fsmeta, output, layout) = write();
    let (again, other, _) = write();
    assert_eq!(fsmeta, again);
    assert!(
        contents(&output) == contents(&other),
        "the same layers make another fsmeta"
    );
    let vmdk = descriptor(&layout, fsmeta.bytes);
    verify_disk(&path_of(&vmdk), Some(merge.tree())).expect("the disk passes verification");
    damaged(&merge, &vmdk, &output, &layers, supply);
}

/// Changes one byte of the disk. Verification must end; it may pass if the byte has no meaning.
fn damaged(merge: &Merge, vmdk: &File, fsmeta: &File, layers: &[Layer], supply: &mut Supply<'_>) {
    let mut files = vec![fsmeta, fsmeta, vmdk];
    files.extend(layers.iter().map(|layer| &layer.image));
    let file = files[supply.below(files.len())];
    let bytes = contents(file);
    let at = usize::try_from(supply.number()).unwrap_or(0) % bytes.len();
    // Most bytes of an image are zeros without a meaning.
    let near = bytes[at..].iter().position(|byte| *byte != 0).unwrap_or(0);
    let (at, flip) = (at + near, 1 << supply.below(8));
    file.write_all_at(&[bytes[at] ^ flip], at as u64)
        .expect("memory takes it");
    if file.as_raw_fd() == fsmeta.as_raw_fd() {
        let mut bytes = contents(file);
        repair(&mut bytes);
        file.write_all_at(&bytes, 0).expect("memory takes it");
    }
    match verify_disk(&path_of(vmdk), Some(merge.tree())) {
        Ok(_) => {}
        Err(error) => check_message(&error),
    }
}
