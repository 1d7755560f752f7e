//! The commands that hand a disk to something else.

#![allow(
    clippy::unwrap_used,
    reason = "a test, and what it calls, fails by panicking"
)]

mod common;

use std::path::{Path, PathBuf};
use std::process::Output;

use common::{ok, run, stderr};
use msb_testkit::image::{ImageBuilder, Layer};
use msb_testkit::oracle::{Tool, require};
use serde_json::Value;
use tempfile::TempDir;

const NAME: &str = "example.org/x:t";
const PLATFORM: [&str; 2] = ["--platform", "linux/amd64"];

/// A cache with one image of two layers.
struct Cache {
    folder: TempDir,
    object: Value,
}

impl Cache {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let layout = folder.path().join("layout");
        let image = ImageBuilder::new()
            .layer(Layer::recipe("dir etc\nfile etc/motd data=hello\nfile etc/gone data=x").gzip())
            .layer(Layer::recipe("whiteout etc/gone\nfile new size=9000 seed=1").gzip());
        image.write_layout(&layout, "t").unwrap();
        let layout = layout.to_str().unwrap();
        let args = [
            "load",
            layout,
            "--tag",
            NAME,
            "--format",
            "json",
            "--progress",
            "none",
        ];
        let cache = folder.path().join("cache");
        let text = ok(&run(&cache, [&args[..], &PLATFORM].concat()));
        let object = serde_json::from_str(&text).unwrap();
        Self { folder, object }
    }

    fn at(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn run(&self, args: &[&str]) -> Output {
        run(&self.at("cache"), args)
    }

    /// Runs a command on the image.
    fn on_image(&self, verb: &str, args: &[&str]) -> Output {
        self.run(&[&[verb, NAME], args, &PLATFORM].concat())
    }
}

#[test]
fn the_object_of_an_image_has_its_boot_facts() {
    let cache = Cache::new();
    let boot = &cache.object["boot"];
    assert_eq!(boot["root_device"], "/dev/vda");
    assert_eq!(boot["rootfstype"], "erofs");
    assert_eq!(boot["cmdline"], "root=/dev/vda rootfstype=erofs ro");
    assert_eq!(boot["minimum_kernel"], "6.4");
    assert_eq!(boot["minimum_imago"], "0.2.6");
    assert!(
        boot["kernel_modules"]
            .as_array()
            .unwrap()
            .contains(&"erofs".into())
    );
    // Two layers, fsmeta and the descriptor.
    assert_eq!(boot["file_descriptors"], 4);
}

#[test]
fn inspect_prints_the_lines_of_each_hypervisor() {
    let cache = Cache::new();
    let lines =
        |format: &str| ok(&cache.on_image("inspect", &["--format", format, "--disk", "/d/r.raw"]));
    let vmdk = cache.object["vmdk"].as_str().unwrap();
    let cmdline = "root=/dev/vda rootfstype=erofs ro";
    assert_eq!(lines("kernel"), format!("{cmdline}\n"));
    assert_eq!(
        lines("qemu"),
        format!("-drive file={vmdk},format=vmdk,if=virtio,readonly=on\n-append '{cmdline}'\n")
    );
    assert_eq!(
        lines("cloud-hypervisor"),
        format!("--disk path=/d/r.raw,readonly=on\n--cmdline '{cmdline}'\n")
    );
    let firecracker: Value = serde_json::from_str(&lines("firecracker")).unwrap();
    let drive = &firecracker["drives"][0];
    assert_eq!(drive["path_on_host"], "/d/r.raw");
    assert_eq!(
        (&drive["is_root_device"], &drive["is_read_only"]),
        (&true.into(), &true.into())
    );
    assert_eq!(firecracker["boot-source"]["boot_args"], "rootfstype=erofs");
    assert_eq!(
        lines("libkrun"),
        format!(
            "krun_add_disk2(ctx, \"rootfs\", \"{vmdk}\", KRUN_DISK_FORMAT_VMDK, true);\n\
             krun_set_root_disk_remount(ctx, \"/dev/vda\", \"erofs\", \"ro\");\n"
        )
    );
    assert!(
        ok(&cache.on_image("inspect", &[]))
            .contains("needs      Linux 6.4 in the guest, 4 open files")
    );
    let other = cache.on_image("inspect", &["--format", "xen"]);
    assert_eq!(other.status.code(), Some(2));
    assert!(stderr(&other).contains("[possible values: text, json, qemu, kernel, "));
    assert!(Path::new(vmdk).exists());
}

#[test]
fn export_writes_files_and_streams() {
    let cache = Cache::new();
    let out = cache.at("disk.raw");
    let out = out.to_str().unwrap();
    let text = ok(&cache.on_image("export", &["-o", out]));
    assert!(text.starts_with(&format!("{out} raw, ")), "{text}");
    let streamed = cache.on_image("export", &["-o", "-", "--format", "raw"]);
    assert!(streamed.status.success());
    assert!(streamed.stdout == std::fs::read(out).unwrap());
    let again = cache.on_image("export", &["-o", out]);
    assert_eq!(again.status.code(), Some(1));
    assert!(stderr(&again).contains(": it exists\nhint: replace it with `--force`"));
    ok(&cache.on_image("export", &["-o", out, "--force", "--format", "tar"]));
    let listed = std::process::Command::new("tar")
        .args(["-tf", out])
        .output()
        .unwrap();
    assert_eq!(ok(&listed), "./\netc/\netc/motd\nnew\n");
    let stream = cache.on_image("export", &["-o", "-", "--format", "erofs"]);
    assert_eq!(stream.status.code(), Some(1));
    assert!(stderr(&stream).contains("hint: name a file"));
}

#[cfg(target_os = "linux")]
#[test]
fn mount_and_umount_work_with_rights_and_name_missing_ones() {
    let cache = Cache::new();
    let point = cache.at("point");
    std::fs::create_dir(&point).unwrap();
    let point = point.to_str().unwrap();
    let upper = cache.at("upper");
    ok(&cache.on_image("mount", &[point, "--writable", upper.to_str().unwrap()]));
    assert_eq!(std::fs::read(cache.at("point/etc/motd")).unwrap(), b"hello");
    std::fs::write(cache.at("point/etc/mine"), b"x").unwrap();
    assert!(cache.at("upper/upper/etc/mine").exists());
    let again = cache.on_image("mount", &[point]);
    assert_eq!(again.status.code(), Some(1));
    assert!(
        stderr(&again).contains("something is mounted on it already\nhint: `msb-image umount DIR`")
    );
    ok(&cache.run(&["umount", point]));
    let none = cache.run(&["umount", point]);
    assert_eq!(none.status.code(), Some(1));
    assert!(stderr(&none).contains("nothing is mounted on it"));

    // Root without the capability.
    let mut limited = std::process::Command::new(require(Tool::Setpriv));
    limited.args(["--bounding-set=-sys_admin", "--inh-caps=-sys_admin"]);
    limited
        .arg(env!("CARGO_BIN_EXE_msb-image"))
        .arg("--cache-dir")
        .arg(cache.at("cache"));
    let output = limited
        .args(["mount", NAME, point])
        .args(PLATFORM)
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    let text = stderr(&output);
    assert!(
        text.contains("it needs root's rights (CAP_SYS_ADMIN)\nhint: run it as root"),
        "{text}"
    );
}

#[test]
fn upper_create_makes_a_sparse_ext4_disk() {
    use std::os::unix::fs::MetadataExt as _;

    let folder = tempfile::tempdir().unwrap();
    let disk = folder.path().join("a disk");
    let path = disk.to_str().unwrap();
    let create = |more: &[&str]| run(folder.path(), [&["upper", "create", path], more].concat());
    assert_eq!(
        ok(&create(&["--size", "64G"])),
        format!("{path} ext4, 64.0 GiB\n")
    );
    let metadata = disk.metadata().unwrap();
    assert_eq!(metadata.len(), 64 << 30);
    assert!(metadata.blocks() * 512 < 8 << 20, "{}", metadata.blocks());
    let e2fsck = |path: &str| {
        let mut e2fsck = std::process::Command::new(require(Tool::E2fsck));
        e2fsck.args(["-fn", path]).output().unwrap()
    };
    ok(&e2fsck(path));
    let again = create(&["--size", "1G"]);
    assert_eq!(again.status.code(), Some(1));
    assert!(stderr(&again).contains(": it exists\nhint: replace it and all that a guest wrote"));
    ok(&create(&["--size", "16MiB", "--force"]));
    ok(&e2fsck(path));
    assert_eq!(disk.metadata().unwrap().len(), 16 << 20);
    for size in ["1M", "17T"] {
        let refused = create(&["--size", size, "--force"]);
        assert_eq!(refused.status.code(), Some(1));
        assert!(stderr(&refused).contains("it takes 16777216 to 17592186044416"));
    }
    let malformed = create(&["--size", "1.5G"]);
    assert_eq!(malformed.status.code(), Some(2));
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
}
