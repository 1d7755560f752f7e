//! A program outside of the workspace uses `erofs-writer` and `erofs-reader` alone to build, list and read an image.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use msb_testkit::erofs_tools;
use msb_testkit::mount::KernelMount;
use msb_testkit::tree::Listing;

const PRINTED: &str = "\
12 inodes, for Linux 5.16 or newer
040755      103 /
040755       43 /dev
020666        0 /dev/null
040750       60 /etc
100644        7 /etc/issue
100644        7 /etc/motd
120777        8 /motd
040755       43 /opt
100644     8192 /opt/blob
040755       58 /var
100600 16777216 /var/disk
040755       42 /var/log
100600 50000000 /var/log/big
welcome by a stranger
";

fn program() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("stranger")
}

fn cargo(arguments: &[&str]) -> String {
    let output = Command::new(env!("CARGO"))
        .args(arguments)
        .arg("--manifest-path")
        .arg(program().join("Cargo.toml"))
        // Kept between runs, and separate from the target folder of the workspace.
        .env(
            "CARGO_TARGET_DIR",
            Path::new(env!("CARGO_TARGET_TMPDIR")).join("stranger"),
        )
        .output()
        .unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "cargo {arguments:?}: {errors}");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn a_stranger_builds_lists_and_reads_an_image_in_under_40_lines() {
    let source = fs::read_to_string(program().join("src/main.rs")).unwrap();
    assert!(source.lines().count() < 40);

    cargo(&["build", "--quiet"]);
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let built = Path::new(env!("CARGO_TARGET_TMPDIR")).join("stranger/debug/stranger");
    let output = Command::new(built).arg(folder.path()).output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    assert_eq!(String::from_utf8(output.stdout).unwrap(), PRINTED);

    let (image, blob) = (
        folder.path().join("image.erofs"),
        folder.path().join("blob"),
    );
    erofs_tools::fsck(&image, &[&blob]).unwrap();
    let mount = KernelMount::erofs(&image, &[&blob]).unwrap();
    let seen = Listing::walk(mount.path()).unwrap();
    assert_eq!(seen.entries.len(), PRINTED.lines().count() - 2);
    assert_eq!(
        seen.get("/etc/motd").unwrap().link.as_deref(),
        Some(&b"/etc/issue"[..])
    );
    let read = |path: &str| fs::read(mount.path().join(path)).unwrap();
    assert_eq!(read("motd"), b"welcome");
    assert_eq!(read("opt/blob"), [b'b'; 8192]);
    assert_eq!(read("var/log/big"), vec![b'x'; 50_000_000]);
    let mut disk = vec![0; 1 << 24];
    disk[1 << 20..][..6].copy_from_slice(b"island");
    assert!(read("var/disk") == disk);
}

#[test]
fn nothing_that_a_stranger_would_not_expect_is_below_the_two_crates() {
    let tree = cargo(&["tree", "--edges", "normal", "--prefix", "none"]);
    let below: Vec<&str> = tree
        .lines()
        .filter_map(|line| line.split(' ').next())
        .collect();
    assert!(below.contains(&"erofs-writer") && below.contains(&"erofs-reader"));
    for name in below {
        let is_foreign = name.starts_with("msb-") || name.contains("oci") || name.contains("tokio");
        assert!(!is_foreign && name != "microsandbox-image", "{tree}");
    }
}
