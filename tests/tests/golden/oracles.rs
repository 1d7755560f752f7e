//! The golden images as fsck.erofs, the kernel, QEMU and a guest read them.

use std::fs::{self, File};
use std::path::Path;

use erofs_reader::Image;
use integration_tests::pulled::{concatenate, devices};
use integration_tests::{golden, reader, workspace};
use msb_testkit::mount::KernelMount;
use msb_testkit::tree::{Ignore, Listing};
use msb_testkit::vm::Guest;
use msb_testkit::{erofs_tools, vmdk};

/// Extraction reads every byte.
#[test]
fn fsck_accepts_and_extracts_every_layer_and_disk() {
    for fixture in golden::all().unwrap() {
        let pulled = fixture.pull().unwrap();
        let result = &pulled.result;
        let layers = result.layers.iter();
        let mut images: Vec<(&Path, Vec<&Path>)> = layers
            .map(|layer| (layer.erofs.as_path(), Vec::new()))
            .collect();
        images.push((&result.fsmeta, devices(result)));
        for (image, devices) in &images {
            erofs_tools::fsck(image, devices).unwrap();
            let into = tempfile::tempdir().unwrap();
            erofs_tools::extract(image, devices, &into.path().join("tree")).unwrap();
        }
    }
}

#[test]
fn the_kernel_reads_the_same_tree_from_layers_devices_and_flat_disk() {
    if !workspace::may_mount().unwrap() {
        return;
    }
    for fixture in golden::all().unwrap() {
        let pulled = fixture.pull().unwrap();
        let result = &pulled.result;
        for layer in &result.layers {
            let image = Image::open(File::open(&layer.erofs).unwrap()).unwrap();
            let ours = reader::listing(&image).unwrap();
            assert_mounts_as("layer", &layer.erofs, &[], &ours);
        }
        let ours = reader::listing(result.open_tree().unwrap().image()).unwrap();
        assert_mounts_as("disk with devices", &result.fsmeta, &devices(result), &ours);
        let folder = tempfile::tempdir().unwrap();
        let flat = folder.path().join("flat");
        concatenate(result, &flat).unwrap();
        assert_mounts_as("flat disk", &flat, &[], &ours);
        let by_qemu = folder.path().join("by-qemu");
        vmdk::flatten(&result.vmdk, &by_qemu).unwrap();
        assert!(
            fs::read(&flat).unwrap() == fs::read(&by_qemu).unwrap(),
            "{}: the disk that QEMU reads differs from its extents",
            fixture.name
        );
    }
}

/// The fixture with the most layers, by its disk descriptor.
#[test]
fn a_guest_reads_the_same_tree_from_the_disk_descriptor() {
    let fixtures = golden::all().unwrap();
    let fixture = fixtures.iter().find(|fixture| fixture.name == "layers");
    let pulled = fixture.unwrap().pull().unwrap();
    let ours = reader::listing(pulled.result.open_tree().unwrap().image()).unwrap();
    let guest = Guest::boot(&pulled.result.vmdk).unwrap();
    let ignore = Ignore {
        xattrs: true,
        ..Ignore::default()
    };
    ours.same("reader", &guest.listing, "guest", &ignore)
        .unwrap();
}

#[track_caller]
fn assert_mounts_as(what: &str, image: &Path, devices: &[&Path], ours: &Listing) {
    let mount = KernelMount::erofs(image, devices).unwrap();
    let theirs = Listing::walk(mount.path()).unwrap();
    let reader = format!("reader ({what})");
    ours.same(&reader, &theirs, "kernel", &Ignore::default())
        .unwrap();
}
