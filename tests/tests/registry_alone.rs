//! A program outside of the workspace uses `msb-registry` alone: it lists tags and referrers, resolves a tag and streams a verified
//! blob, in under 40 lines.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use common::{docker_registry, push};
use integration_tests::workspace;
use msb_testkit::image::{ImageBuilder, Layer};

const PROGRAM: &str = "crates/msb-registry/examples/explore.rs";

/// Writes the program and its manifest. The versions are those of the workspace, so that nothing is downloaded, and so are the
/// profiles, so that what the workspace has built is not built again.
fn write_package(folder: &Path) {
    let root = workspace::root();
    let manifest = fs::read_to_string(root.join("Cargo.toml")).unwrap();
    let profiles = manifest.split("[profile.dev]").nth(1).unwrap();
    let profiles = profiles.split("[profile.release]").next().unwrap();
    let crates = root.join("crates");
    let crates = crates.display();
    let manifest = format!(
        "[workspace]\n\n[package]\nname = \"registry-alone\"\nversion = \"0.0.0\"\nedition = \"2024\"\npublish = false\n
[dependencies]\nmsb-oci = {{ path = \"{crates}/msb-oci\" }}\nmsb-registry = {{ path = \"{crates}/msb-registry\" }}
serde_json = \"1\"\ntokio = {{ version = \"1\", features = [\"macros\", \"rt-multi-thread\"] }}\n
[profile.dev]{profiles}"
    );
    fs::create_dir_all(folder.join("src")).unwrap();
    fs::write(folder.join("Cargo.toml"), manifest).unwrap();
    fs::copy(root.join("Cargo.lock"), folder.join("Cargo.lock")).unwrap();
    fs::copy(root.join(PROGRAM), folder.join("src/main.rs")).unwrap();
}

/// Runs cargo on the program without the network. Returns what it printed.
fn cargo(folder: &Path, target: &Path, arguments: &[&str]) -> String {
    let output = Command::new(env!("CARGO"))
        .args(arguments)
        .arg("--offline")
        .current_dir(folder)
        .env("CARGO_TARGET_DIR", target)
        .output()
        .unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "cargo {arguments:?}: {errors}");
    String::from_utf8(output.stdout).unwrap()
}

/// Returns the target folder of the workspace: this test is `<target>/debug/deps/<name>`.
fn target() -> PathBuf {
    let test = std::env::current_exe().unwrap();
    test.ancestors().nth(3).unwrap().to_owned()
}

#[test]
fn a_program_outside_of_the_workspace_uses_the_client_in_under_40_lines() {
    let source = fs::read_to_string(workspace::root().join(PROGRAM)).unwrap();
    assert!(source.lines().count() < 40);

    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("registry-alone");
    write_package(&folder);
    let target = target();
    cargo(&folder, &target, &["build", "--quiet"]);
    let registry = docker_registry();
    let layer = Layer::recipe("file a size=100000 seed=1").gzip();
    let built = push(&registry, "x", &ImageBuilder::new().layer(layer));
    let output = Command::new(target.join("debug/registry-alone"))
        .arg(format!("{}/x:t", registry.host()))
        .output()
        .unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    let printed = String::from_utf8(output.stdout).unwrap();
    assert!(printed.contains("tags: [\"t\"]"), "{printed}");
    assert!(printed.contains(" is sha256:"), "{printed}");
    assert_eq!(registry.blob_gets(&built.layer_digests[0]), 1);

    let tree = cargo(
        &folder,
        &target,
        &["tree", "--edges", "normal", "--prefix", "none"],
    );
    for name in tree.lines().filter_map(|line| line.split(' ').next()) {
        assert!(!name.starts_with("erofs") && name != "fs-tree", "{tree}");
        let is_own = name.starts_with("msb-") || name == "microsandbox-image";
        assert!(
            !is_own || ["msb-oci", "msb-registry"].contains(&name),
            "{tree}"
        );
    }
}
