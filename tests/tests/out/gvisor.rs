//! gVisor mounts an exported EROFS image as the root of a container.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use microsandbox_image::{Digest, ExportFormat, ExportOptions};
use msb_testkit::image::{ImageBuilder, Layer};
use msb_testkit::oracle::{Tool, require};
use serde_json::json;

use super::load;

/// Returns an archive of one program.
fn archive(name: &str, bytes: &[u8]) -> Vec<u8> {
    let mut header = tar::Header::new_ustar();
    header.set_size(bytes.len() as u64);
    header.set_mode(0o755);
    let mut archive = tar::Builder::new(Vec::new());
    archive.append_data(&mut header, name, bytes).unwrap();
    archive.into_inner().unwrap()
}

/// Runs a container to its end.
fn run_in_gvisor(state: &Path, bundle: &Path) -> Output {
    let mut runsc = Command::new(require(Tool::Runsc));
    runsc.arg("--root").arg(state);
    runsc.args(["--network=none", "--ignore-cgroups", "--platform=systrap"]);
    runsc.args(["run", "--bundle"]).arg(bundle);
    runsc.arg(format!("msb-image-{}", std::process::id()));
    runsc.output().unwrap()
}

#[tokio::test]
async fn gvisor_runs_a_container_from_an_exported_erofs_image() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let lower = "dir bin\ndir etc\nfile etc/removed data=x\nfile etc/motd data=lower";
    let upper = "whiteout etc/removed\nfile etc/motd data=upper\nsymlink bin/sh target=busybox";
    let shell = fs::read(require(Tool::Busybox)).unwrap();
    let digest = Digest::sha256_of(&shell);
    let image = ImageBuilder::new()
        .layer(Layer::recipe(lower).gzip())
        .layer(Layer::recipe(upper).gzip())
        .layer(Layer::tar(archive("bin/busybox", &shell)).zstd());
    let loaded = load(folder.path(), &image).await;
    let options = ExportOptions::default().with_format(ExportFormat::Erofs);
    loaded.export(at("root.erofs"), &options).unwrap();

    let bundle = at("bundle");
    fs::create_dir_all(bundle.join("rootfs")).unwrap();
    let script = "cat /etc/motd; ls /etc /bin; busybox sha256sum /bin/busybox";
    let spec = json!({
        "ociVersion": "1.0.0",
        "process": {"args": ["/bin/sh", "-c", script], "env": ["PATH=/bin"], "cwd": "/", "user": {"uid": 0, "gid": 0}},
        // gVisor creates mount points in it, in memory.
        "root": {"path": "rootfs", "readonly": false},
        "linux": {"namespaces": [{"type": "pid"}, {"type": "mount"}]},
        "annotations": {
            "dev.gvisor.spec.rootfs.source": at("root.erofs"),
            "dev.gvisor.spec.rootfs.type": "erofs",
            "dev.gvisor.spec.rootfs.overlay": "memory",
        },
    });
    fs::write(bundle.join("config.json"), spec.to_string()).unwrap();
    // Its sandbox sometimes ends with a panic of its own before it runs anything (seen with the release of 2024-07-29).
    let output = (0..3)
        .map(|attempt| run_in_gvisor(&at(&format!("state{attempt}")), &bundle))
        .find(|output| output.status.success() || !output.stdout.is_empty());
    let output = output.expect("gVisor runs the container once in three times");
    let printed = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{output:?}");
    assert!(printed.starts_with("upper"), "{printed}");
    assert!(
        !printed.contains("removed") && printed.contains("motd"),
        "{printed}"
    );
    assert!(printed.contains(&digest.hex().to_string()), "{printed}");
}
