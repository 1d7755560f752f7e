//! Everyone who has a say, on one disk: our reader, the verification of the disk, fsck.erofs, QEMU and the kernel.

use std::fs::{self, File};
use std::io::Read;
use std::os::unix::fs::FileExt;
use std::path::Path;

use erofs_reader::{CheckOptions, Image, check};
use integration_tests::disk::Disk;
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
            // The names of the variants, and what is said.
            let told = format!("{error:?}\n{}", chain(&error));
            match texts.iter().find(|text| !told.contains(text.as_str())) {
                None => Ok(()),
                Some(text) => Err(format!("{text:?} is not in {told}").into()),
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

/// Our reader sees what is expected, and holes where they are.
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

/// Every layer by itself is sound, and the disk is what the sums say that were taken when the layers came in.
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

/// fsck.erofs takes every layer and fsmeta with the layers. It ends with 0 after some of the errors that it tells of.
pub(crate) fn by_fsck(disk: &Disk) -> Result<(), Failure> {
    let layers = disk.layers.iter().map(|layer| (&layer.image, Vec::new()));
    for (image, devices) in layers.chain([(&disk.fsmeta, disk.devices())]) {
        let told = erofs_tools::fsck(image, &devices)?;
        if told.contains("<E>") {
            return Err(format!("{}: {told}", image.display()).into());
        }
    }
    Ok(())
}

/// The kernel sees what is expected: with the layers as devices, and on the disk that QEMU reads from the descriptor.
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

/// A guest that lays the layer images over each other itself sees the same: nothing in them steers the overlay but what they
/// hide.
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
        // It takes the root from the topmost layer, described or not, and counts the names that a file has in its layer.
        root: true,
        nlinks: true,
        ..Ignore::default()
    };
    let how = "an overlay of the layers";
    Ok(expected.listing.same("expected", &seen, how, &ignore)?)
}

/// Whoever runs the tests at their desk need not be root; what is merged has been mounted.
fn may_mount() -> Result<bool, Failure> {
    let is_root = rustix::process::geteuid().is_root();
    if !is_root && std::env::var_os("CI").is_some() {
        return Err("mounting needs root".into());
    }
    Ok(is_root)
}

/// Reads at an offset, and says how many bytes.
type ReadAt<'a> = &'a dyn Fn(u64, &mut [u8]) -> Result<usize, Failure>;

/// Reads around the ends of each segment of a file that nobody could read whole.
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
