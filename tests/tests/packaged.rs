//! A program that depends on the crates as they are published, not on the source tree, compiles and pulls.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use common::{docker_registry, push};
use integration_tests::outside::Package;
use integration_tests::workspace;
use msb_testkit::image::{ImageBuilder, Layer};

/// The dependency of an example on the source tree, and what replaces it.
const BY_PATH: &str = "microsandbox-image = { path = \"../../crates/microsandbox-image\" }";
const BY_VERSION: &str = "microsandbox-image = \"0.1\"";

/// Writes and unpacks the packages of all published crates below `folder`. Returns their folders.
fn unpacked(folder: &Path) -> Vec<PathBuf> {
    let output = Command::new(env!("CARGO"))
        // The default members are what is published.
        .args(["package", "--quiet", "--exclude-lockfile"])
        .args(["--no-verify", "--allow-dirty", "--offline"])
        .current_dir(workspace::root())
        .env("CARGO_TARGET_DIR", folder)
        .output()
        .unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    let mut folders = Vec::new();
    for package in fs::read_dir(folder.join("package")).unwrap() {
        let package = package.unwrap().path();
        if package.extension().is_none_or(|name| name != "crate") {
            continue;
        }
        let unpacked = Command::new("tar")
            .arg("-xzf")
            .arg(&package)
            .arg("-C")
            .arg(folder)
            .status()
            .unwrap();
        assert!(unpacked.success(), "{}", package.display());
        folders.push(folder.join(package.file_stem().unwrap()));
    }
    folders.sort();
    folders
}

/// Returns a manifest whose dependency on the facade is a version, found in the packages.
fn manifest(packages: &[PathBuf]) -> String {
    let example = workspace::root().join("examples/progress/Cargo.toml");
    let example = fs::read_to_string(example).unwrap();
    assert!(example.contains(BY_PATH));
    let mut manifest = example.replace(BY_PATH, BY_VERSION);
    manifest.push_str("\n[patch.crates-io]\n");
    for package in packages {
        let name = package.file_name().unwrap().to_str().unwrap();
        let (name, _version) = name.rsplit_once('-').unwrap();
        let line = format!("{name} = {{ path = \"{}\" }}\n", package.display());
        manifest.push_str(&line);
    }
    manifest.replace("name = \"progress\"", "name = \"packaged\"")
}

#[test]
fn a_program_that_depends_on_the_packages_compiles_and_pulls() {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("packaged");
    // The packages of an earlier version of the crates.
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).unwrap();
    let packages = unpacked(&folder);
    let crates = fs::read_dir(workspace::root().join("crates")).unwrap();
    // The command is published as well, and no dependency of the program.
    assert_eq!(packages.len(), crates.count());

    let main = workspace::root().join("examples/progress/src/main.rs");
    let main = fs::read_to_string(main).unwrap();
    let package = Package::write(&folder.join("program"), &manifest(&packages), &main).unwrap();
    let program = package.build("packaged").unwrap();
    let tree = package.cargo(&["tree", "--edges", "normal", "--prefix", "none"]);
    let tree = tree.unwrap();
    let of_the_source_tree = format!("{}/crates/", workspace::root().display());
    assert!(!tree.contains(&of_the_source_tree), "{tree}");

    let registry = docker_registry();
    let layer = Layer::recipe("file a size=100000 seed=1").gzip();
    push(&registry, "x", &ImageBuilder::new().layer(layer));
    let cache = tempfile::tempdir().unwrap();
    let output = Command::new(program)
        .arg(format!("{}/x:t", registry.host()))
        .arg(cache.path())
        .output()
        .unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    let vmdk = String::from_utf8(output.stdout).unwrap();
    assert!(Path::new(vmdk.trim_end()).is_file(), "{vmdk}");
}
