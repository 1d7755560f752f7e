//! `msb-image save`, to files and to standard output.

#![allow(
    clippy::unwrap_used,
    reason = "a test, and what it calls, fails by panicking"
)]

mod common;

use std::fs;
use std::path::Path;
use std::process::{Output, Stdio};

use common::{command, ok, run, stderr};
use msb_testkit::image::{ImageBuilder, Layer};

const NAME: &str = "example.org/x:t";
const PLATFORM: [&str; 2] = ["--platform", "linux/amd64"];

/// Writes a layout and loads its image.
fn load(folder: &Path, more: &[&str]) {
    let layout = folder.join("layout");
    ImageBuilder::new()
        .layer(Layer::recipe("file a data=hello size=9000").gzip())
        .write_layout(&layout, "t")
        .unwrap();
    let layout = layout.to_str().unwrap();
    let args = ["load", layout, "--tag", NAME, "--progress", "none"];
    ok(&run(
        &folder.join("cache"),
        [&args[..], more, &PLATFORM].concat(),
    ));
}

fn save(folder: &Path, args: &[&str]) -> Output {
    let args = [&["save", NAME], args, &PLATFORM].concat();
    run(&folder.join("cache"), args)
}

#[test]
fn save_writes_files_and_streams_that_load_reads() {
    let folder = tempfile::tempdir().unwrap();
    load(folder.path(), &["--keep-blobs"]);
    for format in ["oci", "docker"] {
        let path = folder.path().join(format);
        let out = path.to_str().unwrap();
        let text = ok(&save(folder.path(), &["-o", out, "--format", format]));
        assert!(text.starts_with(&format!("{out} {format}, ")), "{text}");
        let stream = save(folder.path(), &["-o", "-", "--format", format]);
        assert!(stream.status.success());
        assert!(stream.stdout == fs::read(&path).unwrap());
        let again = save(folder.path(), &["-o", out, "--format", format]);
        assert_eq!(again.status.code(), Some(1));
        let text = stderr(&again);
        assert!(text.contains("hint: replace it with `--force`\n"), "{text}");
        ok(&save(
            folder.path(),
            &["-o", out, "--format", format, "--force"],
        ));
        let other = folder.path().join("other");
        let args = ["load", out, "--progress", "none"];
        let text = ok(&run(&other, [&args[..], &PLATFORM].concat()));
        assert!(text.starts_with(NAME), "{text}");
    }
    // The default form; a reader that stops early is no failure.
    let mut child = command(&folder.path().join("cache"))
        .args(["save", NAME, "-o", "-"])
        .args(PLATFORM)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    assert!(child.wait().unwrap().success());
}

#[test]
fn an_image_without_blobs_is_refused_with_the_command_that_keeps_them() {
    let folder = tempfile::tempdir().unwrap();
    load(folder.path(), &[]);
    let out = folder.path().join("out");
    let refused = save(folder.path(), &["-o", out.to_str().unwrap()]);
    assert_eq!(refused.status.code(), Some(1));
    let text = stderr(&refused);
    assert!(text.starts_with("error: layer sha256:"), "{text}");
    assert!(text.contains(" was not kept\n"), "{text}");
    let hint = format!("hint: `msb-image pull --keep-blobs {NAME}");
    assert!(text.contains(&hint), "{text}");
    assert!(!out.exists());
    load(folder.path(), &["--keep-blobs"]);
    ok(&save(folder.path(), &["-o", out.to_str().unwrap()]));
}
