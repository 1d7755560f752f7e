//! A guest on a flat disk of two extents, and on one whose extents are swapped.
#![cfg(target_os = "linux")]
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test fails by panicking, and says how long it took"
)]

use std::fs;

use msb_testkit::{
    erofs_tools,
    mount::KernelMount,
    tree::{Ignore, Listing},
    vm::{Guest, GuestOptions},
    vmdk,
};

#[test]
fn a_guest_sees_what_the_kernel_here_sees() {
    let dir = tempfile::tempdir().unwrap();
    let (tar, image) = (dir.path().join("x.tar"), dir.path().join("x.erofs"));
    let recipe = "dir a mode=0700 mtime=7.5\nfile a/f size=3000000 seed=1\nlink a/g target=a/f\nsymlink l target=a\\sf\nchar c dev=1:300\nfile n\\xffm data=1 mtime=-1.5";
    fs::write(&tar, msb_testkit::tar::recipe(recipe)).unwrap();
    erofs_tools::mkfs(&image, &tar, &["--tar=f"]).unwrap();
    let bytes = fs::read(&image).unwrap();
    let half = bytes.len() / 8192 * 4096;
    fs::write(dir.path().join("one"), &bytes[..half]).unwrap();
    fs::write(dir.path().join("two"), &bytes[half..]).unwrap();
    let descriptor = |first: (&str, usize), second: (&str, usize)| {
        let mut text = String::from(
            "# Disk DescriptorFile\nversion=1\nCID=12345678\nparentCID=ffffffff\ncreateType=\"twoGbMaxExtentFlat\"\n",
        );
        for (name, bytes) in [first, second] {
            text.push_str(&format!("RW {} FLAT \"{name}\" 0\n", bytes / 512));
        }
        text
    };
    let disk = dir.path().join("x.vmdk");
    fs::write(
        &disk,
        descriptor(("one", half), ("two", bytes.len() - half)),
    )
    .unwrap();
    assert_eq!(vmdk::info(&disk).unwrap()["virtual-size"], bytes.len());
    let flat = dir.path().join("flat");
    vmdk::flatten(&disk, &flat).unwrap();
    assert!(fs::read(&flat).unwrap() == bytes);

    let options = GuestOptions {
        script: "ls -d a; echo done".to_owned(),
        ..GuestOptions::default()
    };
    let guest = Guest::boot_with(&disk, &options).unwrap();
    println!("{} {} {:?}", guest.accelerator, guest.kernel, guest.elapsed);
    assert_eq!(guest.script, "a\ndone\n");
    let mount = KernelMount::erofs(&image, &[]).unwrap();
    let here = Listing::walk(mount.path()).unwrap();
    here.same("mount", &guest.listing, "guest", &Ignore::default())
        .unwrap();
    assert_eq!(
        guest.listing.get("/a/f").unwrap().sha256,
        here.get("/a/f").unwrap().sha256
    );
    assert!(guest.listing.get("/a/f").unwrap().sha256.is_some());

    fs::write(
        &disk,
        descriptor(("two", bytes.len() - half), ("one", half)),
    )
    .unwrap();
    let error = Guest::boot(&disk).unwrap_err().to_string();
    assert!(
        error.contains("failed mount") || error.contains("mount"),
        "{error}"
    );
}
