//! The disk descriptor of a real disk, line by line, and how other readers react to lines that it must not have.
//! The clauses are those of `tests/conformance/clauses.md`.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;
use std::process::Command;

use imago::{FormatDriverBuilder, PermissiveImplicitOpenGate, vmdk::Vmdk};
use integration_tests::disk::Disk;
use msb_testkit::mount::KernelMount;
use msb_testkit::vmdk;

fn sample() -> Disk {
    Disk::of_recipes(&[
        "dir . mode=0700 mtime=5 uid=3\nfile a size=9000 seed=1",
        "file b size=9000 seed=2",
    ])
}

fn virtual_bytes(vmdk: &Path) -> u64 {
    vmdk::info(vmdk).unwrap()["virtual-size"].as_u64().unwrap()
}

fn whole_bytes(disk: &Disk) -> u64 {
    let images = [vec![disk.fsmeta.as_path()], disk.devices()].concat();
    let lengths = images.iter().map(|path| fs::metadata(path).unwrap().len());
    lengths.sum()
}

/// Replaces text in the descriptor.
fn edit(disk: &Disk, from: &str, to: &str) {
    let text = fs::read_to_string(&disk.vmdk).unwrap();
    assert!(text.contains(from));
    fs::write(&disk.vmdk, text.replacen(from, to, 1)).unwrap();
}

#[test]
fn a_descriptor_has_these_lines_and_no_others() {
    let disk = sample();
    let text = fs::read_to_string(&disk.vmdk).unwrap();
    let (cid, rest) = text
        .strip_prefix("# Disk DescriptorFile\nversion=1\nCID=")
        .unwrap()
        .split_once('\n')
        .unwrap();
    assert!(cid.len() == 8 && cid.bytes().all(|byte| byte.is_ascii_hexdigit()));
    assert_ne!(cid, "ffffffff");
    let mut expected =
        "parentCID=ffffffff\ncreateType=\"twoGbMaxExtentFlat\"\n# Extent description\n".to_owned();
    for image in [vec![disk.fsmeta.as_path()], disk.devices()].concat() {
        let sectors = fs::metadata(image).unwrap().len() / 512;
        let name = image.file_name().unwrap().to_str().unwrap();
        expected += &format!("RW {sectors} FLAT \"{name}\" 0\n");
    }
    assert_eq!(rest, expected);
    assert_eq!(virtual_bytes(&disk.vmdk), whole_bytes(&disk));
}

#[test]
fn qemu_reads_the_extent_behind_an_empty_line_twice() {
    let disk = sample();
    let first = fs::metadata(&disk.layers[0].image).unwrap().len();
    let line = format!("RW {} FLAT \"layer0.erofs\" 0\n", first / 512);
    edit(&disk, &line, &format!("\n{line}"));
    assert_eq!(virtual_bytes(&disk.vmdk), whole_bytes(&disk) + first);
}

#[test]
fn qemu_leaves_out_rdonly_and_zero_extents() {
    for (from, to) in [("FLAT \"layer0.erofs\" 0", "ZERO"), ("RW ", "RDONLY ")] {
        let disk = sample();
        edit(&disk, from, to);
        assert!(virtual_bytes(&disk.vmdk) < whole_bytes(&disk), "{to}");
    }
}

#[test]
fn imago_refuses_a_key_that_it_does_not_know() {
    let disk = sample();
    let open = || {
        Vmdk::<imago::file::File>::builder_path(&disk.vmdk)
            .open(PermissiveImplicitOpenGate::default())
    };
    assert!(open().is_ok());
    edit(&disk, "# Extent", "madeBy=\"x\"\n# Extent");
    assert!(open().is_err());
}

#[test]
fn a_name_of_511_bytes_is_read_and_qemu_cuts_a_longer_one() {
    let opens = |name: &str| {
        let disk = sample();
        let path = disk.dir.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::rename(&disk.layers[0].image, &path).unwrap();
        let bytes = fs::metadata(&path).unwrap().len() + fs::metadata(&disk.fsmeta).unwrap().len();
        edit(&disk, "layer0.erofs", name);
        let imago = Vmdk::<imago::file::File>::builder_path(&disk.vmdk)
            .open(PermissiveImplicitOpenGate::default());
        assert!(imago.is_ok());
        let whole = bytes + fs::metadata(&disk.layers[1].image).unwrap().len();
        vmdk::info(&disk.vmdk).is_ok_and(|info| info["virtual-size"].as_u64() == Some(whole))
    };
    let folder = "d".repeat(255);
    assert!(opens(&format!("{folder}/{}", "f".repeat(255))));
    assert!(!opens(&format!("{folder}/e/{}", "f".repeat(254))));
}

#[test]
fn an_overlays_root_is_that_of_its_upper_directory() {
    if !rustix::process::geteuid().is_root() {
        assert!(std::env::var_os("CI").is_none(), "mounting needs root");
        return;
    }
    let disk = sample();
    let lower = KernelMount::erofs(&disk.fsmeta, &disk.devices()).unwrap();
    let root = fs::metadata(lower.path()).unwrap();
    assert_eq!(
        (root.mode() & 0o7777, root.uid(), root.mtime()),
        (0o700, 3, 5)
    );
    let space = Tmpfs::new();
    for name in ["upper", "work", "merged"] {
        fs::create_dir(space.0.path().join(name)).unwrap();
    }
    let upper = space.0.path().join("upper");
    fs::set_permissions(&upper, fs::Permissions::from_mode(0o751)).unwrap();
    let merged = space.0.path().join("merged");
    let options = format!(
        "lowerdir={},upperdir={},workdir={}",
        lower.path().display(),
        upper.display(),
        space.0.path().join("work").display()
    );
    run(Command::new("mount")
        .args(["-t", "overlay", "overlay", "-o", &options])
        .arg(&merged));
    let seen = fs::metadata(&merged).map(|root| (root.mode() & 0o7777, root.uid()));
    let file = fs::read(merged.join("a")).map(|bytes| bytes.len());
    run(Command::new("umount").arg(&merged));
    assert_eq!((seen.unwrap(), file.unwrap()), ((0o751, 0), 9000));
}

#[test]
fn users_are_told_to_copy_the_roots_metadata() {
    let readme = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../README.md"));
    let readme = readme
        .unwrap()
        .split_whitespace()
        .collect::<Vec<_>>()
        .join(" ");
    assert!(
        readme.contains("copy mode, owner and time of the image's root to the upper directory")
    );
}

/// A file system that can hold the upper directory of an overlay.
struct Tmpfs(tempfile::TempDir);

impl Tmpfs {
    fn new() -> Self {
        let point = tempfile::tempdir().unwrap();
        run(Command::new("mount")
            .args(["-t", "tmpfs", "tmpfs"])
            .arg(point.path()));
        Self(point)
    }
}

impl Drop for Tmpfs {
    fn drop(&mut self) {
        let _ = Command::new("umount")
            .arg("--lazy")
            .arg(self.0.path())
            .status();
    }
}

fn run(command: &mut Command) {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {output:?}");
}
