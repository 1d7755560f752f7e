//! A program outside of the workspace uses `msb-registry` alone: it lists tags and referrers, resolves a tag and streams a verified
//! blob, in under 40 lines.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::fs;
use std::path::Path;
use std::process::Command;

use common::{docker_registry, push};
use integration_tests::outside::Package;
use integration_tests::workspace;
use msb_testkit::image::{ImageBuilder, Layer};

const PROGRAM: &str = "crates/msb-registry/examples/explore.rs";

fn manifest() -> String {
    let crates = workspace::root().join("crates");
    let crates = crates.display();
    format!(
        "[workspace]\n\n[package]\nname = \"registry-alone\"\nversion = \"0.0.0\"\nedition = \"2024\"\npublish = false\n
[dependencies]\nmsb-oci = {{ path = \"{crates}/msb-oci\" }}\nmsb-registry = {{ path = \"{crates}/msb-registry\" }}
serde_json = \"1\"\ntokio = {{ version = \"1\", features = [\"macros\", \"rt-multi-thread\"] }}\n"
    )
}

#[test]
fn a_program_outside_of_the_workspace_uses_the_client_in_under_40_lines() {
    let source = fs::read_to_string(workspace::root().join(PROGRAM)).unwrap();
    assert!(source.lines().count() < 40);

    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("registry-alone");
    let package = Package::write(&folder, &manifest(), &source).unwrap();
    let program = package.build("registry-alone").unwrap();
    let registry = docker_registry();
    let layer = Layer::recipe("file a size=100000 seed=1").gzip();
    let built = push(&registry, "x", &ImageBuilder::new().layer(layer));
    let output = Command::new(program)
        .arg(format!("{}/x:t", registry.host()))
        .output()
        .unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    let printed = String::from_utf8(output.stdout).unwrap();
    assert!(printed.contains("tags: [\"t\"]"), "{printed}");
    assert!(printed.contains(" is sha256:"), "{printed}");
    assert_eq!(registry.blob_gets(&built.layer_digests[0]), 1);

    let tree = package.cargo(&["tree", "--edges", "normal", "--prefix", "none"]);
    let tree = tree.unwrap();
    for name in tree.lines().filter_map(|line| line.split(' ').next()) {
        assert!(!name.starts_with("erofs") && name != "fs-tree", "{tree}");
        let is_own = name.starts_with("msb-") || name == "microsandbox-image";
        assert!(
            !is_own || ["msb-oci", "msb-registry"].contains(&name),
            "{tree}"
        );
    }
}
