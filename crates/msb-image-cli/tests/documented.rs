//! Every command line of README.md and docs/ works as it is written.
//!
//! ```text
//!   ```sh blocks ──▶ lines with `msb-image` ──▶ sh, in a folder and a mount namespace, over a cache that has the images
//! ```
//!
//! Programs that would ask a daemon or the network are functions of the shell here, with the arguments of the real ones.
#![cfg(target_os = "linux")]
#![allow(
    clippy::unwrap_used,
    reason = "a test, and what it calls, fails by panicking"
)]

mod common;

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use common::{ok, run};
use msb_testkit::image::{ImageBuilder, Layer};
use msb_testkit::skopeo;
use serde_json::json;

/// Lines that need the registry that they name; the tests of credentials, of questions to registries and of published images run the same options against one on this machine.
const NOT_RUN: [&str; 6] = [
    "msb-image login ",
    "msb-image logout ",
    "msb-image inspect --remote ",
    "msb-image tags ",
    "msb-image push ",
    "msb-image pull --source ",
];

const STAND_INS: &str = r#"
set -eu
docker() { [ "$1" = save ] && cat archive.tar; }
podman() { [ "$1 $2 $3 $4" = "save --format oci-archive -o" ] && cp archive.tar "$5"; }
skopeo() { [ "$1 $2 $3" = "copy docker://alpine oci:layout:alpine" ] && cp -r source layout; }
"#;

/// A line of a document.
struct Line {
    place: String,
    text: String,
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Returns the lines of the document's shell blocks that run the command.
fn lines(document: &Path) -> Vec<Line> {
    let text = fs::read_to_string(document).unwrap();
    let name = document.file_name().unwrap().to_string_lossy();
    let (mut lines, mut in_block) = (Vec::new(), false);
    for (number, line) in text.lines().enumerate() {
        if line.starts_with("```") {
            in_block = line == "```sh";
        } else if in_block && line.contains("msb-image") && !line.starts_with("cargo ") {
            lines.push(Line {
                place: format!("{name}:{}", number + 1),
                text: line.to_owned(),
            });
        }
    }
    lines
}

fn documents() -> Vec<PathBuf> {
    let pages = fs::read_dir(root().join("docs")).unwrap();
    let pages = pages.map(|page| page.unwrap().path());
    let mut documents: Vec<_> = pages
        .filter(|page| page.extension().is_some_and(|extension| extension == "md"))
        .collect();
    documents.sort();
    documents.insert(0, root().join("README.md"));
    documents
}

/// Creates the images that the documents name: in the cache, as an archive and as a layout.
fn prepare(folder: &Path) {
    let files = "dir etc\nfile etc/os-release data=ID=test\nfile etc/passwd data=root:x:0:0::/root:/bin/sh\ndir root";
    let image = ImageBuilder::new()
        .layer(Layer::recipe(files).gzip())
        .config(json!({"Entrypoint": ["/bin/sh"]}));
    let source = folder.join("source");
    image.write_layout(&source, "alpine").unwrap();
    let archive = folder.join("archive.tar");
    skopeo::docker_archive(&source, "alpine", &archive, "docker.io/library/app:latest").unwrap();
    for name in ["docker.io/library/alpine:latest", "ghcr.io/org/app:latest"] {
        let source = source.to_str().unwrap();
        let args = ["load", source, "--tag", name, "--keep-blobs"];
        ok(&run(&folder.join("cache"), args));
    }
    fs::create_dir(folder.join("certs.d")).unwrap();
    let start_vm = folder.join("start-vm");
    fs::write(&start_vm, "#!/bin/sh\ntest -f \"$MSB_IMAGE_VMDK\"\n").unwrap();
    fs::set_permissions(&start_vm, Permissions::from_mode(0o755)).unwrap();
}

fn run_line(folder: &Path, line: &Line) {
    let built = Path::new(env!("CARGO_BIN_EXE_msb-image")).parent().unwrap();
    let path = format!("{}:{}", built.display(), std::env::var("PATH").unwrap());
    // A line that unmounts has a mount to unmount.
    let before = if line.text.starts_with("msb-image umount") {
        "msb-image mount alpine /mnt\n"
    } else {
        ""
    };
    let script = format!("{STAND_INS}{before}{}\n", line.text);
    let mut shell = Command::new("unshare");
    shell
        .args(["--mount", "sh", "-c", &script])
        .current_dir(folder)
        .env_clear()
        .env("PATH", path)
        .env("HOME", folder)
        .env("TOKEN", "secret")
        .env("MSB_IMAGE_CACHE", folder.join("cache"));
    let output = shell.output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success(),
        "{}: {}\n{errors}",
        line.place,
        line.text
    );
}

#[test]
fn every_documented_command_line_works() {
    let mut ran = Vec::new();
    for document in documents() {
        let folder = tempfile::tempdir().unwrap();
        prepare(folder.path());
        for line in lines(&document) {
            if NOT_RUN.iter().any(|start| line.text.starts_with(start)) {
                continue;
            }
            run_line(folder.path(), &line);
            ran.push(line);
        }
    }
    let in_readme = ran.iter().filter(|line| line.place.starts_with("README"));
    assert!(in_readme.count() > 10 && ran.len() > 25, "{}", ran.len());
}

#[test]
fn a_line_that_does_not_work_is_found() {
    let folder = tempfile::tempdir().unwrap();
    prepare(folder.path());
    let line = Line {
        place: "here:1".into(),
        text: "msb-image inspect alpine --form qemu".into(),
    };
    let found = std::panic::catch_unwind(|| run_line(folder.path(), &line));
    assert!(found.is_err());
}
