//! A command that runs with the lease of an image.

#![allow(
    clippy::unwrap_used,
    reason = "a test, and what it calls, fails by panicking"
)]

mod common;

use std::path::PathBuf;
use std::process::{Command, Output};

use common::{command, ok, run, stderr, stdout};
use msb_testkit::image::{ImageBuilder, Layer};
use tempfile::TempDir;

const REFERENCE: &str = "a.example/x:v1";

/// Returns a folder with a cached image in `cache`.
fn cached() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let layout = folder.path().join("layout");
    ImageBuilder::new()
        .layer(Layer::recipe("file a size=9000 seed=1").gzip())
        .write_layout(&layout, "v1")
        .unwrap();
    let load = [
        "load".as_ref(),
        layout.as_os_str(),
        "--tag".as_ref(),
        REFERENCE.as_ref(),
        "--platform".as_ref(),
        "linux/amd64".as_ref(),
    ];
    ok(&run(&folder.path().join("cache"), load));
    folder
}

/// Runs a shell script with a lease; `$0` is the built command.
fn with_lease(folder: &TempDir, script: &str) -> Output {
    let mut command = command(&folder.path().join("cache"));
    command.env("PATH", std::env::var_os("PATH").unwrap());
    command.args([
        "run-with-lease",
        REFERENCE,
        "--platform",
        "linux/amd64",
        "--",
    ]);
    command.args(["sh", "-c", script, env!("CARGO_BIN_EXE_msb-image")]);
    command.output().unwrap()
}

#[test]
fn a_prune_while_the_command_runs_keeps_the_files_and_one_after_it_does_not() {
    let folder = cached();
    let output = with_lease(
        &folder,
        "$0 rm a.example/x:v1 --platform linux/amd64 >&2
         # The child of a child prunes, and only it has the lease after the shell has ended.
         sh -c '$0 prune --grace 0 >&2; $0 prune --grace 0 >&2; cat $MSB_IMAGE_VMDK' $0",
    );
    let text = ok(&output);
    assert!(text.starts_with("# Disk DescriptorFile"), "{text}");
    let errors = stderr(&output);
    assert!(errors.contains("kept"), "{errors}");

    let files = |folder: &TempDir| {
        let mut find = Command::new("find");
        let found = find
            .arg(folder.path().join("cache"))
            .args(["-name", "*.erofs"]);
        stdout(&found.output().unwrap()).lines().count()
    };
    assert_eq!(files(&folder), 2);
    ok(&run(
        &folder.path().join("cache"),
        ["prune", "--grace", "0"],
    ));
    assert_eq!(files(&folder), 0);
}

#[test]
fn a_command_has_its_own_output_and_exit_code() {
    let folder = cached();
    let output = with_lease(&folder, "printf out; printf err >&2; exit 7");
    assert_eq!(output.status.code(), Some(7));
    assert_eq!(
        (stdout(&output), stderr(&output)),
        ("out".into(), "err".into())
    );
    let killed = with_lease(&folder, "kill -TERM $$");
    assert_eq!(killed.status.code(), None);
    let vmdk = PathBuf::from(ok(&with_lease(&folder, "printf %s \"$MSB_IMAGE_VMDK\"")));
    assert!(vmdk.is_absolute() && vmdk.is_file());
}

#[test]
fn a_command_that_cannot_be_run_is_named() {
    let folder = cached();
    let cache = folder.path().join("cache");
    let of = |program: &str| {
        let image = ["run-with-lease", REFERENCE, "--platform", "linux/amd64"];
        run(&cache, [&image[..], &["--", program]].concat())
    };
    let missing = of("/no/such\x1bprogram");
    assert_eq!(missing.status.code(), Some(127));
    assert!(stderr(&missing).starts_with("error: /no/such\\u{1b}program: running it\n"));
    assert_eq!(of("/etc/passwd").status.code(), Some(126));
    let uncached = run(&cache, ["run-with-lease", "a.example/y", "--", "true"]);
    assert_eq!(uncached.status.code(), Some(1));
    let without = run(&cache, ["run-with-lease", REFERENCE, "true"]);
    assert_eq!(without.status.code(), Some(2));
}
