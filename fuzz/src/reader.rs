//! Target `reader`: arbitrary bytes as an EROFS image followed by all of its devices.
//!
//! The mutator ([`crate::image_mutator`]) keeps the checksum of the superblock valid. Asserted, for every input:
//! - every read, in every way of opening the image, returns a value or an error, without a panic and within bounds of memory;
//! - the extents of a file are in order, without gaps and within its size, and each of their bytes can be read;
//! - reading a file at once and in pieces returns the same bytes;
//! - where `check` passes: `lookup`, `lookup_path` and `resolve_path` find every walked name, as often as the check counted; every file,
//!   link and xattr can be read; and the dump is the same with devices behind the image and with separate devices.

use std::io::{Read, Seek, SeekFrom};

use erofs_format::BLOCK_SIZE;
use erofs_reader::{
    CheckOptions, DumpOptions, Error, FileType, Image, Inode, Limits, Place, check, dump, dump_with,
};

use crate::errors::check_message;
use crate::heap;

/// The cache of the reader and the output for an image of some blocks: the default limits permit xattrs of 256 times its length.
const HEAP_BYTES: usize = 48 << 20;
/// Files are read up to this length; holes may be far longer.
const READ_BYTES: usize = 64 << 10;

/// Runs the target.
///
/// # Panics
/// When something that is asserted does not hold.
pub fn run(bytes: &[u8]) {
    heap::bounded(HEAP_BYTES, || {
        let flat = ok(Image::open(bytes), false).map(|image| explore(&image));
        let Some(metadata) = ok(Image::open_metadata(bytes), false) else {
            assert!(flat.is_none(), "without its devices it does not open");
            return;
        };
        explore(&metadata);
        let pieces = metadata.devices().iter().map(|device| {
            let start = (device.uniaddr as usize)
                .saturating_mul(BLOCK_SIZE as usize)
                .min(bytes.len());
            let len = (device.blocks as usize).saturating_mul(BLOCK_SIZE as usize);
            &bytes[start..][..len.min(bytes.len() - start)]
        });
        if !metadata.devices().is_empty() {
            let none = Image::open_with_devices(bytes, Vec::new());
            assert!(ok(none, false).is_none(), "devices are missing");
        }
        let separate = Image::open_with_devices(bytes, pieces.collect());
        let separate = ok(separate, false).map(|image| explore(&image));
        if let (Some(Some(flat)), Some(Some(separate))) = (flat, separate) {
            assert!(flat == separate, "the devices' places change the tree");
        }
    });
}

/// Returns the value, or checks the error; a valid image may only lack data on an absent device.
fn ok<T>(result: Result<T, Error>, sound: bool) -> Option<T> {
    let error = match result {
        Ok(value) => return Some(value),
        Err(error) => error,
    };
    check_message(&error);
    assert!(!(error.is_corrupt() && error.is_unsupported()), "{error}");
    let absent = matches!(error, Error::DeviceAbsent { .. });
    assert!(absent || !sound, "what is sound can be read: {error}");
    None
}

/// Reads everything of a valid or damaged image. Returns the dump of a valid image that has all of its data.
fn explore(image: &Image<&[u8]>) -> Option<Vec<u8>> {
    let limits = Limits::default();
    let mut options = CheckOptions::default();
    options.limits = limits.clone();
    options.inode_count = image.superblock().inos.get().is_multiple_of(2);
    let sound = ok(check(image, &options), false);
    let _ = image.minimum_kernel().to_string();
    let mut paths = 0;
    let mut complete = true;
    if let Some(mut walk) = ok(image.walk(&limits), sound.is_some()) {
        while let Some(entry) = walk.next_entry() {
            let Some(entry) = ok(entry, sound.is_some()) else {
                break;
            };
            paths += 1;
            let (inode, path) = (entry.inode, entry.path.to_vec());
            complete &= visit(image, &inode, sound.is_some());
            if sound.is_some() {
                let found = image
                    .lookup_path(&path)
                    .expect("what is sound can be searched");
                assert_eq!(found, Some(inode), "{}", path.escape_ascii());
            }
            if sound.is_some() && inode.file_type != FileType::Directory {
                let below = image.lookup_path([&path[..], b"/x"].concat());
                assert!(
                    ok(below, true).flatten().is_none(),
                    "nothing is below a file"
                );
            }
            if inode.file_type == FileType::Symlink {
                ok(image.resolve_path([&path[..], b"/x"].concat()), false);
                ok(image.resolve_path(&path), false);
            } else if sound.is_some() {
                let found = image.resolve_path(&path).expect("no link is on the way");
                assert_eq!(found, Some(inode), "{}", path.escape_ascii());
            }
        }
    }
    // Inodes without a name.
    for nid in [0, 1, 2, 3, 5, 8, 1 << 16, u64::MAX / 32, u64::MAX] {
        if let Some(inode) = ok(image.inode(nid), false) {
            visit(image, &inode, false);
            if let Some(mut walk) = ok(image.walk_from(&inode, b"x", &limits), false) {
                while let Some(entry) = walk.next_entry() {
                    if ok(entry, false).is_none() {
                        assert!(walk.next_entry().is_none(), "an error is the end");
                        break;
                    }
                }
            }
        }
    }
    ok(image.lookup_path(b"/a/../b//c/."), false);
    tight(image);
    let mut text = Vec::new();
    let dumped = dump(image, &mut text);
    let dumped = ok(dumped, false);
    let sound = sound?;
    assert_eq!(sound.paths, paths);
    assert!(sound.inodes <= sound.paths);
    // Where many files share data, the bounds of the dump are far lower than those of the check.
    (complete && dumped.is_some()).then_some(text)
}

/// Reads with limits that many images exceed: a value or an error, and no panic.
fn tight(image: &Image<&[u8]>) {
    let mut options = CheckOptions::default();
    options.limits.names = Some(20);
    options.limits.chunks = Some(3);
    options.limits.xattr_bytes = Some(30);
    options.limits.depth = 2;
    ok(check(image, &options), false);
    options = CheckOptions::default();
    options.limits.path_bytes = 20;
    ok(check(image, &options), false);
    let mut options = DumpOptions::default();
    options.limits.data_bytes = Some(5000);
    options.limits.chunks = Some(1);
    options.limits.link_path_bytes = Some(10);
    options.limits.xattr_bytes = Some(10);
    if let Some(walk) = ok(image.walk(&Limits::default()), false) {
        ok(dump_with(walk, &options, &mut std::io::sink()), false);
    }
}

/// Reads all of one inode. Returns whether its data could be read; if `sound`, only an absent device may prevent it.
fn visit(image: &Image<&[u8]>, inode: &Inode, sound: bool) -> bool {
    ok(image.xattrs(inode), sound);
    match inode.file_type {
        FileType::Directory => directory(image, inode, sound),
        FileType::Symlink => {
            if let Some(target) = ok(image.read_link(inode), sound) {
                assert!(!target.is_empty() && target.len() < 4096 && !target.contains(&0));
            }
        }
        FileType::Regular => file(image, inode, sound),
        _ => {}
    }
    if ok(extents(image, inode), sound).is_none() {
        return false;
    }
    let mut whole = vec![0xaa; READ_BYTES];
    let Some(len) = ok(image.read_at(inode, 0, &mut whole), sound) else {
        return false;
    };
    let size = usize::try_from(inode.size).unwrap_or(usize::MAX);
    assert_eq!(
        len,
        if has_data(inode) {
            size.min(READ_BYTES)
        } else {
            0
        }
    );
    let mut at = 0;
    for step in [1, 4095, 4097, 3, READ_BYTES] {
        let mut piece = vec![0x55; step.min(READ_BYTES - at)];
        let read = image
            .read_at(inode, at as u64, &mut piece)
            .expect("it could be read before");
        assert_eq!(piece[..read], whole[at..at + read]);
        at += read;
    }
    assert_eq!(at, len);
    let mut last = [0; 7];
    let start = inode.size.saturating_sub(3);
    if let Some(read) = ok(image.read_at(inode, start, &mut last), sound) {
        assert!(read as u64 <= inode.size - start);
    }
    true
}

/// Reads around the end as a stream.
fn file(image: &Image<&[u8]>, inode: &Inode, sound: bool) {
    let Some(mut file) = ok(image.open_file(inode), sound) else {
        return;
    };
    let mut bytes = Vec::new();
    let start = file.seek(SeekFrom::End(-5)).unwrap_or(0);
    if file.by_ref().take(100).read_to_end(&mut bytes).is_ok() && start > 0 {
        assert_eq!(bytes.len(), 5);
    }
    assert!(file.seek(SeekFrom::Start(3)).is_ok_and(|at| at == 3));
    assert!(file.seek(SeekFrom::Current(i64::MIN)).is_err());
}

fn has_data(inode: &Inode) -> bool {
    matches!(
        inode.file_type,
        FileType::Regular | FileType::Directory | FileType::Symlink
    )
}

fn directory(image: &Image<&[u8]>, inode: &Inode, sound: bool) {
    let Some(mut entries) = ok(image.read_dir(inode), sound) else {
        return;
    };
    let _ = entries.parent();
    let mut names = 0;
    while let Some(entry) = entries.next() {
        let Some(entry) = ok(entry, sound) else {
            assert!(entries.next().is_none(), "an error is the end");
            return;
        };
        names += 1;
        assert!(names < 100_000, "no image of this size has so many names");
        if !sound {
            ok(image.lookup(inode, &entry.name), false);
            continue;
        }
        let found = image
            .lookup(inode, &entry.name)
            .expect("what is sound can be searched");
        assert!(
            found.is_some_and(|found| found.nid == entry.nid && found.file_type == entry.file_type)
        );
    }
    ok(image.lookup(inode, b"no such name"), sound);
}

fn extents(image: &Image<&[u8]>, inode: &Inode) -> Result<(), Error> {
    let mut next = 0;
    // A file of alternating holes and bytes has many extents; walking over all of them is not tested here.
    for extent in image.extents(inode)?.take(5000) {
        let extent = extent?;
        assert!(extent.logical == next && extent.len > 0, "no gaps");
        next += extent.len;
        assert!(next <= inode.size);
        if let Place::Inline { offset } = extent.place {
            let end = offset + extent.len - 1;
            assert_eq!(
                offset / u64::from(BLOCK_SIZE),
                end / u64::from(BLOCK_SIZE),
                "within a block"
            );
        }
    }
    Ok(())
}
