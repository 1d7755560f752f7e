//! All oracles on one disk: our reader, the verification of the disk, fsck.erofs, QEMU and the kernel.

use std::fs::{self, File};
use std::io::Read;
use std::os::unix::fs::FileExt;
use std::path::Path;

use erofs_reader::{CheckOptions, Image, check};
use integration_tests::disk::Disk;
use integration_tests::workspace::may_mount;
use integration_tests::{Failure, reader};
use msb_testkit::content::{Content, Fill};
use msb_testkit::mount::KernelMount;
use msb_testkit::tree::{Ignore, Listing, escape};
use msb_testkit::{erofs_tools, vmdk};

use crate::recipe::{Expected, Recipe};
use crate::tree::{ExpectedTree, Segment};

pub(crate) fn verify(recipe: &Recipe) -> Result<(), Failure> {
    match (&recipe.expected, Disk::of(&recipe.layers)) {
        (
            Expected::Disk {
                tree,
                notes,
                overlay,
            },
            Ok(disk),
        ) => {
            notes.verify(&disk)?;
            by_reader(&disk, tree)?;
            by_verification(&disk)?;
            by_fsck(&disk)?;
            by_kernel(&disk, tree)?;
            if *overlay {
                by_overlay(&disk, tree)?;
            }
            Ok(())
        }
        (Expected::Disk { .. }, Err(error)) => Err(format!("no disk: {}", chain(&error)).into()),
        (Expected::Error(_), Ok(disk)) => {
            let tree = reader::listing(&reader::open(&disk)?)?;
            Err(format!("no error, but a disk:\n{tree}").into())
        }
        (Expected::Error(texts), Err(error)) => {
            // The names of the variants, and the messages.
            let message = format!("{error:?}\n{}", chain(&error));
            match texts.iter().find(|text| !message.contains(text.as_str())) {
                None => Ok(()),
                Some(text) => Err(format!("{text:?} is not in {message}").into()),
            }
        }
    }
}

fn chain(error: &Failure) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text += &format!(": {error}");
        cause = error.source();
    }
    text
}

/// Compares the tree and the holes that our reader reads.
pub(crate) fn by_reader(disk: &Disk, expected: &ExpectedTree) -> Result<(), Failure> {
    let image = reader::open(disk)?;
    let seen = reader::listing(&image)?;
    expected
        .listing
        .same("expected", &seen, "our reader", &Ignore::default())?;
    for (path, holes) in &expected.holes {
        let found = reader::holes(&image, path)?;
        if found != *holes {
            return Err(format!("{}: holes {found:?}, not {holes:?}", escape(path)).into());
        }
    }
    for (path, (seed, map)) in &expected.huge {
        let inode = image.lookup_path(path)?.ok_or("no such path")?;
        spots(path, *seed, map, inode.size, &|at, buffer| {
            Ok(image.read_at(&inode, at, buffer)?)
        })?;
    }
    Ok(())
}

/// Checks every layer alone, and verifies the disk with the digests that were recorded during the ingest.
pub(crate) fn by_verification(disk: &Disk) -> Result<(), Failure> {
    for layer in &disk.layers {
        check(
            &Image::open(File::open(&layer.image)?)?,
            &CheckOptions::default(),
        )?;
    }
    msb_stitch::verify_disk(&disk.vmdk, Some(disk.merge.tree()))?;
    Ok(())
}

/// Checks every layer, and fsmeta with the layers, with fsck.erofs. Its exit code is 0 after some of the errors that it prints.
pub(crate) fn by_fsck(disk: &Disk) -> Result<(), Failure> {
    let layers = disk.layers.iter().map(|layer| (&layer.image, Vec::new()));
    for (image, devices) in layers.chain([(&disk.fsmeta, disk.devices())]) {
        let message = erofs_tools::fsck(image, &devices)?;
        if message.contains("<E>") {
            return Err(format!("{}: {message}", image.display()).into());
        }
    }
    Ok(())
}

/// Compares the tree that the kernel mounts: with the layers as devices, and from the disk that QEMU reads through the descriptor.
pub(crate) fn by_kernel(disk: &Disk, expected: &ExpectedTree) -> Result<(), Failure> {
    if !may_mount()? {
        return Ok(());
    }
    let flat = disk.dir.path().join("flat.raw");
    vmdk::flatten(&disk.vmdk, &flat)?;
    for (mount, how) in [
        (
            KernelMount::erofs(&disk.fsmeta, &disk.devices())?,
            "the kernel with devices",
        ),
        (
            KernelMount::erofs(&flat, &[])?,
            "the kernel on the disk that QEMU reads",
        ),
    ] {
        if expected.huge.is_empty() {
            let seen = Listing::walk(mount.path())?;
            expected
                .listing
                .same("expected", &seen, how, &Ignore::default())?;
        }
        for (path, (seed, map)) in &expected.huge {
            let path_here = mount.path().join(std::str::from_utf8(&path[1..])?);
            let file = File::open(path_here)?;
            let size = file.metadata()?.len();
            if Some(size) != expected.listing.entries[path].size {
                return Err(format!("{how}: {} has {size} bytes", escape(path)).into());
            }
            spots(path, *seed, map, size, &|at, buffer| {
                Ok(file.read_at(buffer, at)?)
            })?;
        }
    }
    fs::remove_file(flat)?;
    Ok(())
}

/// Compares an overlay mount of the layer images: they contain no overlay metadata except whiteouts and opaque markers.
fn by_overlay(disk: &Disk, expected: &ExpectedTree) -> Result<(), Failure> {
    if !may_mount()? {
        return Ok(());
    }
    let mounts: Result<Vec<_>, _> = disk
        .layers
        .iter()
        .map(|layer| KernelMount::erofs(&layer.image, &[]))
        .collect();
    let mounts = mounts?;
    let lowers: Vec<&Path> = mounts.iter().map(KernelMount::path).collect();
    let overlay = KernelMount::overlay(&lowers)?;
    let seen = Listing::walk(overlay.path())?;
    let ignore = Ignore {
        // An overlay takes the root from the topmost layer, even an implied one, and counts links within one layer.
        root: true,
        nlinks: true,
        ..Ignore::default()
    };
    let how = "an overlay of the layers";
    Ok(expected.listing.same("expected", &seen, how, &ignore)?)
}

/// Reads at an offset and returns the number of bytes.
type ReadAt<'a> = &'a dyn Fn(u64, &mut [u8]) -> Result<usize, Failure>;

/// Reads around the ends of each segment of a file too large to be read whole.
fn spots(
    path: &[u8],
    seed: u64,
    map: &[Segment],
    size: u64,
    read: ReadAt<'_>,
) -> Result<(), Failure> {
    let is_data = |at: u64| {
        map.iter()
            .any(|(start, len)| (*start..start + len).contains(&at))
    };
    let ends = map.iter().flat_map(|(start, len)| [*start, start + len]);
    for end in ends.chain([0, size / 2, size]) {
        for at in end.saturating_sub(2)..(end + 2).min(size) {
            let mut expected = [0];
            if is_data(at) {
                Content::new(seed, Fill::Random, at).read_exact(&mut expected)?;
            }
            let mut found = [0xee];
            if read(at, &mut found)? != 1 || found != expected {
                return Err(format!("{}: byte {at} is {found:?}", escape(path)).into());
            }
        }
    }
    Ok(())
}
