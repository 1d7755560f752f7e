//! The programs of `examples/`, built outside of the workspace and run with a registry.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use common::{docker_registry, is_unpublished, push};
use integration_tests::outside::Package;
use integration_tests::workspace;
use msb_testkit::image::{BuiltImage, ImageBuilder, Layer};
use msb_testkit::mount::KernelMount;
use msb_testkit::oracle::{Tool, require};
use msb_testkit::registry::DockerRegistry;
use msb_testkit::{erofs_tools, vm};

/// Builds an example and returns its program.
fn built(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR"))
        .join("examples")
        .join(name);
    let package = Package::copy(&format!("examples/{name}"), &folder).unwrap();
    package.build(name).unwrap()
}

fn registry_with_image() -> (DockerRegistry, BuiltImage) {
    let registry = docker_registry();
    let image = ImageBuilder::new()
        .layer(
            Layer::recipe("dir etc\nfile etc/motd data=hello\\n\nfile big size=3000000 seed=1")
                .gzip(),
        )
        .layer(Layer::recipe("file etc/second size=5000 seed=2").zstd());
    let built = push(&registry, "x", &image);
    (registry, built)
}

/// Returns the output of a program that succeeded.
#[track_caller]
fn printed(output: Output) -> String {
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn every_example_is_tested_and_short() {
    let mut names: Vec<String> = fs::read_dir(workspace::root().join("examples"))
        .unwrap()
        .map(|entry| entry.unwrap())
        .filter(|entry| entry.path().is_dir())
        .map(|entry| entry.file_name().into_string().unwrap())
        .collect();
    names.sort();
    let tested = [
        "boot-with-qemu",
        "erofs-from-directory",
        "progress",
        "pull-server",
    ];
    assert_eq!(names, tested);
    for name in names {
        let path = workspace::root().join(format!("examples/{name}/src/main.rs"));
        let lines = fs::read_to_string(path).unwrap().lines().count();
        assert!(lines <= 60, "{name} has {lines} lines");
    }
}

#[test]
fn progress_pulls_an_image() {
    let program = built("progress");
    let (registry, _) = registry_with_image();
    let cache = tempfile::tempdir().unwrap();
    let output = Command::new(program)
        .arg(format!("{}/x:t", registry.host()))
        .arg(cache.path())
        .output()
        .unwrap();
    let vmdk = printed(output);
    assert!(Path::new(vmdk.trim_end()).is_file(), "{vmdk}");
}

#[test]
fn erofs_from_directory_writes_an_image() {
    let program = built("erofs-from-directory");
    let folder = tempfile::tempdir().unwrap();
    let (from, image) = (folder.path().join("from"), folder.path().join("image"));
    fs::create_dir_all(from.join("a/b")).unwrap();
    fs::write(from.join("a/b/c"), vec![7; 100_000]).unwrap();
    std::os::unix::fs::symlink("a/b", from.join("link")).unwrap();
    let output = Command::new(program)
        .args([&from, &image])
        .output()
        .unwrap();
    assert!(printed(output).starts_with("5 inodes in "));
    erofs_tools::fsck(&image, &[]).unwrap();
    if workspace::may_mount().unwrap() {
        let mount = KernelMount::erofs(&image, &[]).unwrap();
        assert!(fs::read(mount.path().join("link/c")).unwrap() == [7; 100_000]);
    }
}

/// Mounts the root that the kernel's parameters name, prints a file of it, and powers off.
const INIT: &str = "#!/bin/busybox sh
/bin/busybox mkdir -p /proc /dev /root
/bin/busybox --install -s /bin
export PATH=/bin
mount -t proc proc /proc
mount -t devtmpfs dev /dev
while read -r module; do insmod \"/modules/$module\"; done </modules/order
for word in $(cat /proc/cmdline); do
    case $word in
        root=*) root=${word#root=} ;;
        rootfstype=*) type=${word#rootfstype=} ;;
    esac
done
mount -t \"$type\" -o ro \"$root\" /root
echo \"motd: $(cat /root/etc/motd)\"
poweroff -f
";

#[test]
fn boot_with_qemu_boots_a_guest_from_the_disk() {
    let program = built("boot-with-qemu");
    let (registry, _) = registry_with_image();
    let folder = tempfile::tempdir().unwrap();
    let initrd = folder.path().join("initrd");
    fs::write(&initrd, vm::initramfs(INIT).unwrap()).unwrap();
    // A folder with a comma, which separates options of QEMU.
    let cache = folder.path().join("a,b");
    let qemu = require(Tool::QemuSystem);
    let paths = std::env::var_os("PATH").unwrap_or_default();
    let paths =
        std::iter::once(qemu.parent().unwrap().to_owned()).chain(std::env::split_paths(&paths));
    let output = Command::new(program)
        .arg(format!("{}/x:t", registry.host()))
        .args([cache.as_path(), &require(Tool::GuestKernel), &initrd])
        // Emulation, which every machine has.
        .args(["-machine", "q35", "-accel", "tcg", "-cpu", "max"])
        .env("PATH", std::env::join_paths(paths).unwrap())
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let console = printed(output);
    assert!(console.contains("motd: hello"), "{console}");
}

/// Ends the server with the test.
struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn pull_server_serves_several_clients_with_one_registry() {
    let program = built("pull-server");
    let (registry, image) = registry_with_image();
    let cache = tempfile::tempdir().unwrap();
    let server = Command::new(program)
        .arg(cache.path())
        .arg("127.0.0.1:0")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut server = Server(server);
    let mut address = String::new();
    BufReader::new(server.0.stdout.take().unwrap())
        .read_line(&mut address)
        .unwrap();
    let mut clients: Vec<TcpStream> = (0..4)
        .map(|_| TcpStream::connect(address.trim_end()).unwrap())
        .collect();
    for client in &mut clients {
        writeln!(client, "{}/x:t", registry.host()).unwrap();
        writeln!(client, "Not A Reference").unwrap();
        writeln!(client, "{}/missing:t", registry.host()).unwrap();
    }
    for client in clients {
        let mut replies = BufReader::new(client).lines().map(Result::unwrap);
        let vmdk = replies.next().unwrap();
        let vmdk = vmdk.strip_prefix("ok ").unwrap();
        assert!(Path::new(vmdk).is_file(), "{vmdk}");
        for error in replies.by_ref().take(2) {
            assert!(error.starts_with("error "), "{error}");
        }
    }
    assert!(!is_unpublished(cache.path()));
    for digest in &image.layer_digests {
        assert_eq!(registry.blob_gets(digest), 1);
    }
    drop(server.0.kill());
    // The library prints nothing, not even about failures.
    let mut errors = String::new();
    let mut stderr = server.0.stderr.take().unwrap();
    stderr.read_to_string(&mut errors).unwrap();
    assert_eq!(errors, "");
}
