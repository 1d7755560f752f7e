//! The commands that hand a disk to something else.

#![allow(
    clippy::unwrap_used,
    reason = "a test, and what it calls, fails by panicking"
)]

mod common;

use std::fs;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::thread::sleep;
use std::time::Duration;

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

#[test]
fn a_disk_with_a_hash_tree_has_its_parameters_everywhere() {
    let cache = Cache::new();
    assert_eq!(cache.object["verity"], Value::Null);
    let layout = cache.at("layout");
    let layout = layout.to_str().unwrap();
    let args = [
        "load",
        layout,
        "--tag",
        NAME,
        "--verity",
        "--progress",
        "none",
    ];
    let text = ok(&cache.run(&[&args[..], &PLATFORM].concat()));
    let inspected = ok(&cache.on_image("inspect", &["--format", "json"]));
    let object: Value = serde_json::from_str(&inspected).unwrap();
    let verity = &object["verity"];
    let root_hash = verity["root_hash"].as_str().unwrap();
    assert_eq!(root_hash.len(), 64);
    assert!(
        text.contains(&format!("  verity    {root_hash}\n")),
        "{text}"
    );
    assert_eq!(&object["boot"]["verity"], verity);
    assert_eq!(object["boot"]["root_device"], "/dev/dm-0");
    assert_eq!(verity["block_size"], 4096);
    let blocks = verity["data_blocks"].as_u64().unwrap();
    assert_eq!(verity["hash_offset"], blocks * 4096);
    let cmdline = object["boot"]["cmdline"].as_str().unwrap();
    let salt = verity["salt"].as_str().unwrap();
    let table = format!(
        "0 {} verity 1 /dev/vda /dev/vda 4096 4096 {blocks} {blocks} sha256 {root_hash} {salt}",
        blocks * 8
    );
    assert_eq!(
        cmdline,
        format!(
            "dm-mod.create=\"root,,,ro,{table}\" dm-mod.waitfor=/dev/vda root=/dev/dm-0 rootfstype=erofs ro"
        )
    );
    let modules = object["boot"]["kernel_modules"].as_array().unwrap();
    assert!(modules.contains(&"dm_verity".into()));
    // Two layers, fsmeta, the hash tree and the descriptor.
    assert_eq!(object["boot"]["file_descriptors"], 5);
    assert_eq!(object["boot"]["minimum_kernel"], "6.4");
    let lines =
        |format: &str| ok(&cache.on_image("inspect", &["--format", format, "--disk", "/d/r.raw"]));
    assert_eq!(lines("kernel"), format!("{cmdline}\n"));
    let firecracker: Value = serde_json::from_str(&lines("firecracker")).unwrap();
    assert_eq!(firecracker["drives"][0]["is_root_device"], false);
    assert_eq!(firecracker["boot-source"]["boot_args"], cmdline);
    assert!(lines("libkrun").contains("\"/dev/vda\""));
    ok(&cache.on_image("verify", &["--full"]));
}

#[test]
fn an_export_adds_a_hash_tree_on_request() {
    let cache = Cache::new();
    let (without, with) = (cache.at("without"), cache.at("with"));
    let export = |out: &Path, args: &[&str]| {
        let out = out.to_str().unwrap();
        ok(&cache.on_image("export", &[&["-o", out], args].concat()));
        fs::read(out).unwrap()
    };
    let plain = export(&without, &[]);
    let sealed = export(&with, &["--verity"]);
    assert!(sealed.starts_with(&plain) && sealed.len() == plain.len() + 4096);
    let inspected = ok(&cache.on_image("inspect", &["--format", "json"]));
    let object: Value = serde_json::from_str(&inspected).unwrap();
    assert_eq!(object["verity"]["hash_offset"], plain.len());
}

#[test]
fn a_killed_export_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let (layout, cache) = (folder.path().join("layout"), folder.path().join("cache"));
    let recipe = "file big size=100000000 seed=1 fill=random";
    let image = ImageBuilder::new().layer(Layer::recipe(recipe).plain());
    image.write_layout(&layout, "t").unwrap();
    let load = ["load", layout.to_str().unwrap(), "--tag", NAME];
    ok(&run(&cache, [&load[..], &PLATFORM].concat()));
    let out = folder.path().join("out");
    fs::create_dir(&out).unwrap();
    let mut killed = 0;
    for delay in (0..).map(|step| Duration::from_millis(3 * step)) {
        let mut export = Command::new(env!("CARGO_BIN_EXE_msb-image"));
        export.arg("--cache-dir").arg(&cache);
        export
            .args(["export", NAME, "-o"])
            .arg(out.join("disk.raw"));
        export.args(PLATFORM).stdout(Stdio::null());
        let mut export = export.spawn().unwrap();
        sleep(delay);
        export.kill().unwrap();
        if export.wait().unwrap().signal().is_none() {
            break;
        }
        killed += 1;
        if out.join("disk.raw").exists() {
            // It was killed after the last step.
            break;
        }
        assert_eq!(fs::read_dir(&out).unwrap().count(), 0, "{delay:?}");
    }
    assert!(killed > 0);
    assert!(out.join("disk.raw").metadata().unwrap().len() > 100_000_000);
}
