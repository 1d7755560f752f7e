//! `cargo xtask fsck`, `kernel` and `vm`: our disks before tools that are not ours.

use std::error::Error;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;

use erofs_reader::Image;
use microsandbox_image::PullResult;
use msb_testkit::erofs_tools;
use msb_testkit::mount::KernelMount;
use msb_testkit::tree::{Ignore, Listing};
use msb_testkit::vm::Guest;
use msb_testkit::vmdk;

use crate::{Outcome, fixtures, listing, setup};

/// Checks every layer image and every disk of the fixtures with fsck.erofs, and extracts them, which reads every byte.
pub(crate) fn fsck(out: &mut dyn Write) -> Outcome {
    setup::setup(out)?;
    for fixture in fixtures::all()? {
        let pulled = fixture.pull()?;
        let result = &pulled.result;
        let mut images: Vec<(&Path, Vec<&Path>)> = result
            .layers
            .iter()
            .map(|layer| (layer.erofs.as_path(), Vec::new()))
            .collect();
        images.push((&result.fsmeta, devices(result)));
        for (image, devices) in &images {
            erofs_tools::fsck(image, devices)?;
            let into = tempfile::tempdir()?;
            erofs_tools::extract(image, devices, &into.path().join("tree"))?;
        }
        writeln!(out, "fsck.erofs {}: {} images", fixture.name, images.len())?;
    }
    Ok(())
}

/// Mounts every layer image by itself, and every disk both with `device=` options and as one flat disk, and compares what the
/// kernel sees with what our own reader does.
pub(crate) fn kernel(out: &mut dyn Write) -> Outcome {
    setup::setup(out)?;
    if !rustix::process::geteuid().is_root() {
        return Err("mounting needs root".into());
    }
    for fixture in fixtures::all()? {
        let pulled = fixture.pull()?;
        let result = &pulled.result;
        for layer in &result.layers {
            let ours = listing::read(&Image::open(File::open(&layer.erofs)?)?)?;
            mounted_equals("layer", &layer.erofs, &[], &ours)?;
        }
        let ours = listing::read(result.open_tree()?.image())?;
        mounted_equals("disk with devices", &result.fsmeta, &devices(result), &ours)?;
        let folder = tempfile::tempdir()?;
        let flat = folder.path().join("flat");
        concatenate(result, &flat)?;
        mounted_equals("flat disk", &flat, &[], &ours)?;
        let by_qemu = folder.path().join("by-qemu");
        vmdk::flatten(&result.vmdk, &by_qemu)?;
        if fs::read(&flat)? != fs::read(&by_qemu)? {
            return Err(format!(
                "{}: QEMU reads another disk than its extents make",
                fixture.name
            )
            .into());
        }
        writeln!(
            out,
            "kernel {}: {} paths, three ways",
            fixture.name,
            ours.entries.len()
        )?;
    }
    Ok(())
}

/// Boots a guest on the disk descriptor of the fixture with the most layers and compares what it sees.
pub(crate) fn vm(out: &mut dyn Write) -> Outcome {
    setup::setup(out)?;
    let fixtures = fixtures::all()?;
    let fixture = fixtures
        .iter()
        .find(|fixture| fixture.name == "layers")
        .ok_or("tests/golden has no layers.recipe")?;
    let pulled = fixture.pull()?;
    let ours = listing::read(pulled.result.open_tree()?.image())?;
    let guest = Guest::boot(&pulled.result.vmdk)?;
    let ignore = Ignore {
        xattrs: true,
        ..Ignore::default()
    };
    ours.same("reader", &guest.listing, "guest", &ignore)?;
    writeln!(
        out,
        "vm {}: Linux {} ({}) sees the same {} paths, {:.1} s",
        fixture.name,
        guest.kernel,
        guest.accelerator,
        ours.entries.len(),
        guest.elapsed.as_secs_f64()
    )?;
    Ok(())
}

/// Compares what the kernel sees of an image with what our reader does.
pub(crate) fn mounted_equals(
    what: &str,
    image: &Path,
    devices: &[&Path],
    ours: &Listing,
) -> Outcome {
    let mount = KernelMount::erofs(image, devices)?;
    let theirs = Listing::walk(mount.path())?;
    ours.same(
        &format!("reader ({what})"),
        &theirs,
        "kernel",
        &Ignore::default(),
    )?;
    Ok(())
}

/// The files of a disk behind its first.
pub(crate) fn devices(result: &PullResult) -> Vec<&Path> {
    result
        .extents
        .iter()
        .skip(1)
        .map(|extent| extent.path.as_path())
        .collect()
}

/// One raw disk of all extents.
fn concatenate(result: &PullResult, into: &Path) -> Result<(), Box<dyn Error>> {
    let mut flat = File::create(into)?;
    for extent in &result.extents {
        let copied = io::copy(&mut File::open(&extent.path)?, &mut flat)?;
        if copied != extent.bytes {
            return Err(format!(
                "{} has {copied} bytes, not {}",
                extent.path.display(),
                extent.bytes
            )
            .into());
        }
    }
    Ok(())
}
