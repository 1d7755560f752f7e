//! Target `merge`: one to five layers as changes, or a hostile sidecar.
//!
//! The input's first byte chooses. For layers made of changes, asserted:
//! - a sidecar gives back what was put into it, in order;
//! - the merged tree is that of a naive model of the specification (the one of fs-tree's tests): the same paths, metadata,
//!   xattrs, hard links and contents, or the same refusal of the same entry;
//! - fsmeta is a sound image, the same when it is written twice, and the proof holds over the disk of it and the layers' images;
//! - with one bit of the disk flipped the proof still ends, in a value or an error.
//!
//! For a hostile sidecar, well formed with changes that no ingest would write, or framed by the harness with right sums and
//! lengths, or as it is:
//! - opening it, its notes, whiteouts and changes, merging it over a small honest layer and writing fsmeta end in a value or an
//!   error, within a bound of memory;
//! - an fsmeta that was written is a sound image.

use std::fs::File;
use std::io::Write;
use std::os::fd::AsRawFd;
use std::os::unix::fs::FileExt;

use erofs_format::Crc32c;
use erofs_reader::{CheckOptions, Image, check};
use erofs_writer::{ImageWriter, NoInline, Options};
use fs_tree::{Change, ChangeKind, Extent, NewContent, NewNode, Tree};
use msb_sidecar::{ImageSummary, Note, Sidecar, SidecarWriter, VERSION};
use msb_stitch::{Disk, DiskExtent, Merge, Slot, StitchError, prove};

use crate::heap;
use crate::image_mutator::repair;
use crate::memory_file::{contents, memory_file, path_of};
use crate::model::{
    Model, OwnedChange, OwnedContent, OwnedKind, OwnedNode, Xattrs, list_model, list_tree, metadata,
};
use crate::supply::Supply;
use crate::told::told;

const HEAP_BYTES: usize = 64 << 20;
const BLOCK: u64 = 4096;
/// Bits of an inline key that are the place in the sidecar, as fsmeta's writer has it.
const KEY_BITS: u32 = 48;

/// Runs the target.
///
/// # Panics
/// When something that is asserted does not hold.
pub fn run(bytes: &[u8]) {
    heap::bounded(HEAP_BYTES, || {
        let mut supply = Supply::new(bytes);
        match supply.byte() % 4 {
            0 => honest(&mut supply),
            1 => hostile(&odd(&mut supply)),
            2 => hostile(&framed(&mut supply)),
            _ => hostile(supply.rest()),
        }
    });
}

// ---- layers made of changes

fn honest(supply: &mut Supply<'_>) {
    let mut stack = stack(supply);
    // Where an entry is refused, by both, the stack is tried again without it: every stack ends in a disk.
    loop {
        let mut model = Model::new();
        let refusal = model.apply(&stack).err();
        let found = crate::model::merge(&stack);
        match (refusal, found) {
            (None, Ok(_)) => break,
            (Some(refusal), Err(error)) => {
                assert_eq!(crate::model::error_kind(&error), refusal.kind, "{stack:#?}");
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
        for (device, layer) in (1..).zip(&layers) {
            merge
                .add(device, &layer.open())
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

    let slots: Vec<Slot> = (0..)
        .zip(&layers)
        .map(|(index, layer): (usize, _)| Slot {
            tag: format!("sha256:{index}"),
            image_bytes: layer.summary.bytes,
        })
        .collect();
    let write = || {
        merged()
            .write_fsmeta(memory_file(), &slots, [7; 16])
            .expect("the tree is written")
    };
    let (fsmeta, output) = write();
    let (again, other) = write();
    assert_eq!(fsmeta, again);
    assert!(
        contents(&output) == contents(&other),
        "the same layers give another fsmeta"
    );
    let extent = |file: &File, bytes| DiskExtent {
        file: path_of(file).display().to_string(),
        bytes,
    };
    let mut extents = vec![extent(&output, fsmeta.bytes)];
    extents.extend(
        layers
            .iter()
            .map(|layer| extent(&layer.image, layer.summary.bytes)),
    );
    let disk = Disk::new(&fsmeta, &slots, extents).expect("the files are those of the slots");
    let vmdk = memory_file();
    let text = disk.descriptor().expect("the names can be written");
    vmdk.write_all_at(text.as_bytes(), 0)
        .expect("memory takes it");
    prove(&path_of(&vmdk), Some(merge.tree())).expect("the proof holds");
    damaged(&merge, &vmdk, &output, &layers, supply);
}

/// With one byte of the disk changed the proof may still hold, where the byte means nothing; it ends in any case.
fn damaged(merge: &Merge, vmdk: &File, fsmeta: &File, layers: &[Layer], supply: &mut Supply<'_>) {
    let mut files = vec![fsmeta, fsmeta, vmdk];
    files.extend(layers.iter().map(|layer| &layer.image));
    let file = files[supply.below(files.len())];
    let bytes = contents(file);
    let at = usize::try_from(supply.number()).unwrap_or(0) % bytes.len();
    // Most bytes of an image are zeros that mean nothing.
    let near = bytes[at..].iter().position(|byte| *byte != 0).unwrap_or(0);
    let (at, flip) = (at + near, 1 << supply.below(8));
    file.write_all_at(&[bytes[at] ^ flip], at as u64)
        .expect("memory takes it");
    if file.as_raw_fd() == fsmeta.as_raw_fd() {
        let mut bytes = contents(file);
        repair(&mut bytes);
        file.write_all_at(&bytes, 0).expect("memory takes it");
    }
    match prove(&path_of(vmdk), Some(merge.tree())) {
        Ok(_) => {}
        Err(error) => told(&error),
    }
}

/// Layers over so few names that most changes meet another one.
fn stack(supply: &mut Supply<'_>) -> Vec<Vec<OwnedChange>> {
    let mut stack = Vec::new();
    let mut number = 0;
    for _ in 0..=supply.below(5) {
        let mut layer = Vec::new();
        for _ in 0..supply.below(13) {
            number += 1;
            layer.push(change(supply, number));
        }
        stack.push(layer);
        if supply.is_empty() {
            break;
        }
    }
    stack
}

fn path(supply: &mut Supply<'_>) -> String {
    const NAMES: [&str; 16] = [
        "a", "b", "c", "d", "e", "a", "b", "c", "l", "lib", "usr", "!x", "x y", "\u{e4}", "LONG",
        "f",
    ];
    let depth = [1, 1, 2, 2, 2, 3, 3, 4][supply.below(8)];
    let names: Vec<String> = (0..depth)
        .map(|_| match supply.one_of(&NAMES) {
            "LONG" => "n".repeat(255),
            name => name.to_owned(),
        })
        .collect();
    names.join("/")
}

fn change(supply: &mut Supply<'_>, number: u32) -> OwnedChange {
    let what = supply.below(32);
    let mut path = path(supply);
    let kind = match what {
        0..4 => OwnedKind::Whiteout,
        4..6 => OwnedKind::Opaque,
        6..9 => OwnedKind::HardLink {
            target: self::path(supply),
        },
        _ => {
            let node = match what {
                9..14 => OwnedNode::Directory,
                14..18 => OwnedNode::Symlink {
                    target: target(supply),
                },
                18 => OwnedNode::CharDevice(supply.byte().into(), supply.byte().into()),
                19 => OwnedNode::BlockDevice(
                    u32::from(supply.byte()) << 4 & 0xfff,
                    supply.number() as u32 & 0xf_ffff,
                ),
                20 => OwnedNode::Fifo,
                _ => file(supply),
            };
            let mut xattrs = Xattrs::new();
            for _ in 0..supply.below(8).saturating_sub(4) {
                let name = supply.one_of(&[
                    "user.a",
                    "user.bb",
                    "trusted.t",
                    "security.capability",
                    "system.posix_acl_access",
                    "user.long",
                ]);
                let len = if name == "user.long" {
                    300
                } else {
                    supply.below(40)
                };
                let byte = supply.byte();
                xattrs.insert(name.to_owned(), vec![byte; len]);
            }
            if what == 9 && supply.byte() & 7 == 0 {
                path.clear();
            }
            let mode = u16::from(supply.byte()) << 4 & 0o7777;
            OwnedKind::Node {
                metadata: metadata(mode, number),
                xattrs,
                node,
            }
        }
    };
    if matches!(kind, OwnedKind::Opaque) && supply.byte() & 15 == 0 {
        path.clear();
    }
    OwnedChange { path, kind }
}

fn target(supply: &mut Supply<'_>) -> String {
    let path = path(supply);
    match supply.below(8) {
        0 => format!("/{path}"),
        1 => format!("../{path}"),
        2 => format!("./{path}/."),
        3 => "..".to_owned(),
        4 => "/".to_owned(),
        _ => path,
    }
}

/// A file without its bytes: they follow from its size and sum, which here is a seed.
fn file(supply: &mut Supply<'_>) -> OwnedNode {
    let seed = u32::from(supply.byte());
    let (size, content) = match supply.below(8) {
        0 => (0, OwnedContent::Absent),
        // One hole.
        1 => (1 + supply.number() % (1 << 30), OwnedContent::Absent),
        2 | 3 => (
            1 + u64::from(supply.byte()),
            OwnedContent::Inline { key: 0 },
        ),
        4 => (1 + supply.number() % 5000, OwnedContent::Inline { key: 0 }),
        5 | 6 => (
            1 + supply.number() % 9000,
            OwnedContent::Contiguous {
                device: 0,
                offset: 0,
            },
        ),
        _ => {
            let mut extents = Vec::new();
            let mut at = 0;
            for _ in 0..1 + supply.below(5) {
                at += BLOCK * supply.below(4) as u64;
                let len = BLOCK * (1 + supply.below(2) as u64);
                extents.push(Extent {
                    logical: at,
                    len,
                    device: 0,
                    offset: 0,
                });
                at += len;
            }
            let size = match supply.below(3) {
                0 => at,
                1 => at + BLOCK * (supply.number() % (1 << 12)),
                _ => {
                    // The last piece ends within a block.
                    let cut = supply.below(255) as u64;
                    if let Some(last) = extents.last_mut() {
                        last.len -= cut;
                    }
                    at - cut
                }
            };
            (size, OwnedContent::Mapped(extents))
        }
    };
    OwnedNode::Regular {
        size,
        crc32c: seed,
        content,
    }
}

struct Layer {
    image: File,
    sidecar: File,
    summary: ImageSummary,
}

impl Layer {
    fn open(&self) -> Sidecar<File> {
        Sidecar::open(self.sidecar.try_clone().expect("a file can be shared"))
            .expect("the sidecar opens")
    }
}

fn bytes(seed: u32, len: u64) -> Vec<u8> {
    (0..len)
        .map(|at| (at.wrapping_mul(31) as u8) ^ (at >> 8) as u8 ^ seed as u8)
        .collect()
}

/// Writes a layer's two files, as an ingest would, and tells the changes where their bytes are.
fn layer(device: u16, changes: &mut [OwnedChange]) -> Layer {
    let mut image = ImageWriter::new(memory_file(), Options::default()).expect("no devices");
    let mut sidecar = SidecarWriter::new(memory_file());
    for change in &mut *changes {
        let inline = store(change, &mut image);
        let key = change
            .with(|change| sidecar.change(change, inline.as_deref()))
            .expect("memory takes it");
        place(change, device, key);
    }
    // The layer's own tree is the layer target's; here the image is data alone.
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
    played_back(&layer, device, changes, &notes);
    layer
}

/// Puts a file's bytes into the image, and its sum into the change; gives those that go into the sidecar.
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
            *offset = image.begin().expect("memory takes it");
            image.write(&bytes(seed, *size)).expect("memory takes it");
            *crc32c = image.end().expect("memory takes it").crc32c.get();
            None
        }
        OwnedContent::Mapped(extents) => {
            let mut sum = Crc32c::new();
            for extent in extents {
                extent.offset = image.begin().expect("memory takes it");
                let piece = bytes(seed ^ 7, extent.len);
                image.write(&piece).expect("memory takes it");
                image.end().expect("memory takes it");
                sum = sum.update(&piece);
            }
            *crc32c = sum.get();
            None
        }
    }
}

/// Says on which device a change's bytes are, as playing the sidecar back will.
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

/// The sidecar gives back what was put into it.
fn played_back(layer: &Layer, device: u16, changes: &[OwnedChange], notes: &[Note]) {
    let sidecar = layer.open();
    assert_eq!(sidecar.image(), layer.summary);
    assert_eq!(sidecar.notes().expect("the notes are read"), notes);
    let is_marker =
        |change: &&OwnedChange| matches!(change.kind, OwnedKind::Whiteout | OwnedKind::Opaque);
    let mut markers = changes.iter().filter(is_marker);
    sidecar
        .for_each_whiteout(|whiteout| {
            let expected = markers.next().expect("no more than there were");
            assert_eq!(whiteout.path, expected.path.as_bytes());
            assert_eq!(whiteout.opaque, matches!(expected.kind, OwnedKind::Opaque));
        })
        .expect("the whiteouts are read");
    assert!(markers.next().is_none());
    let mut expected = changes.iter().filter(|change| !is_marker(change));
    sidecar
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
        sidecar.records(),
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

// ---- hostile sidecars

/// A well-formed sidecar of changes that no ingest would write.
fn odd(supply: &mut Supply<'_>) -> Vec<u8> {
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
                // Its length is the size's, or the record would be malformed.
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

/// Sections with right lengths and sums: two bytes of the records' length, one of the whiteouts', then both and the notes.
fn framed(supply: &mut Supply<'_>) -> Vec<u8> {
    let records = usize::from(supply.byte()) << 8 | usize::from(supply.byte());
    let whiteouts = usize::from(supply.byte());
    let image_blocks = [0, 1, 2, 16, u64::MAX / BLOCK][supply.below(5)];
    let sections = [supply.take(records), supply.take(whiteouts), supply.rest()];
    frame(sections, image_blocks.saturating_mul(BLOCK))
}

/// A whole sidecar around three sections, by its documented form and not by its writer.
#[must_use]
pub fn frame(sections: [&[u8]; 3], image_bytes: u64) -> Vec<u8> {
    let mut file = sections.concat();
    let mut trailer = Vec::new();
    for section in sections {
        trailer.extend_from_slice(&(section.len() as u64).to_le_bytes());
        trailer.extend_from_slice(&1_u64.to_le_bytes());
        trailer.extend_from_slice(&Crc32c::of(section).get().to_le_bytes());
    }
    trailer.extend_from_slice(&image_bytes.to_le_bytes());
    trailer.extend_from_slice(&[0; 4 + 16]);
    let sum = Crc32c::of(&trailer).get();
    trailer.extend_from_slice(&sum.to_le_bytes());
    trailer.extend_from_slice(&VERSION.to_le_bytes());
    trailer.extend_from_slice(b"MSBLAYER");
    file.extend_from_slice(&trailer);
    file
}

fn hostile(bytes: &[u8]) {
    let mut file = memory_file();
    file.write_all(bytes).expect("memory takes it");
    let sidecar = match Sidecar::open(file) {
        Ok(sidecar) => sidecar,
        Err(error) => return told(&error),
    };
    match sidecar.notes() {
        Ok(_) => {}
        Err(error) => told(&error),
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
    merge.add(1, &honest.open()).expect("it is an honest layer");
    match merge.add(2, &sidecar) {
        Ok(()) => {}
        Err(error @ (StitchError::Sidecar { .. } | StitchError::Merge { .. })) => {
            return told(&error);
        }
        Err(error) => panic!("merging gives another error: {error:?}"),
    }
    let slot = |bytes| Slot {
        tag: "sha256:0".to_owned(),
        image_bytes: bytes,
    };
    let slots = [slot(honest.summary.bytes), slot(sidecar.image().bytes)];
    if let Ok((fsmeta, output)) = merge.write_fsmeta(memory_file(), &slots, [7; 16]) {
        let bytes = contents(&output);
        assert_eq!(fsmeta.bytes, bytes.len() as u64);
        let image = Image::open_metadata(&bytes[..]).expect("what was written opens");
        check(&image, &CheckOptions::default()).expect("what was written is sound");
    }
}
