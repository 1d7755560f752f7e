//! Shared by the integration tests: a registry with images, the command, and the oracles.
#![allow(dead_code, reason = "each test file takes what it needs")]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;

pub(crate) use integration_tests::pulled::devices;
use microsandbox_image::{
    GlobalCache, Platform, PullError, PullOptions, PullResult, Reference, Registry,
};
use msb_testkit::image::{BuiltImage, ImageBuilder};
use msb_testkit::mount::KernelMount;
use msb_testkit::registry::{DockerRegistry, RegistryOptions};
use msb_testkit::tree::Listing;
use msb_testkit::{erofs_tools, vmdk};
use tempfile::TempDir;

pub(crate) fn docker_registry() -> DockerRegistry {
    DockerRegistry::start(RegistryOptions::default()).unwrap()
}

/// Pushes an image unchanged as `<name>:t`.
pub(crate) fn push(registry: &DockerRegistry, name: &str, image: &ImageBuilder) -> BuiltImage {
    let layout = tempfile::tempdir().unwrap();
    let built = image.write_layout(layout.path(), "t").unwrap();
    registry.push_raw(layout.path(), name, "t").unwrap();
    built
}

pub(crate) fn reference(registry: &DockerRegistry, name: &str) -> Reference {
    format!("{}/{name}", registry.host()).parse().unwrap()
}

pub(crate) fn registry_in(cache: &Path) -> Registry {
    Registry::new(
        Platform::new("linux", "amd64"),
        GlobalCache::new(cache).unwrap(),
    )
    .unwrap()
}

pub(crate) async fn pull(cache: &Path, reference: &Reference) -> Result<PullResult, PullError> {
    registry_in(cache)
        .pull(reference, &PullOptions::default())
        .await
}

/// Returns the path of `msb-image`, which is built once.
pub(crate) fn msb_image() -> &'static Path {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(|| {
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let status = Command::new(cargo)
            .args(["build", "--quiet", "--package", "msb-image-cli"])
            .status()
            .unwrap();
        assert!(status.success(), "msb-image cannot be built");
        // This test is `<target>/debug/deps/<name>`.
        let path = std::env::current_exe()
            .unwrap()
            .ancestors()
            .nth(2)
            .unwrap()
            .join("msb-image");
        assert!(path.exists(), "{} is missing", path.display());
        path
    })
}

/// Runs `msb-image` on a cache and waits for it.
pub(crate) fn run(cache: &Path, arguments: &[&str]) -> Output {
    Command::new(msb_image())
        .arg("--cache-dir")
        .arg(cache)
        .args(arguments)
        .output()
        .unwrap()
}

/// Returns the disk of a pulled image as one file, with the folder that holds it.
pub(crate) fn flat_disk(result: &PullResult) -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("disk.raw");
    vmdk::flatten(&result.vmdk, &path).unwrap();
    (folder, path)
}

/// Mounts a pulled image with a device for each layer.
pub(crate) fn mounted(result: &PullResult) -> KernelMount {
    KernelMount::erofs(&result.fsmeta, &devices(result)).unwrap()
}

/// Checks every image of a pull with fsck.erofs, and verifies the whole disk with our own reader.
pub(crate) fn verify(result: &PullResult) {
    for layer in &result.layers {
        erofs_tools::fsck(&layer.erofs, &[]).unwrap();
    }
    // fsck.erofs crashes with 300 devices; 255 are fine.
    if result.extents.len() <= 255 {
        erofs_tools::fsck(&result.fsmeta, &devices(result)).unwrap();
    }
    result.verify(true).unwrap();
}

pub(crate) fn walk(mount: &KernelMount) -> Listing {
    Listing::walk(mount.path()).unwrap()
}

/// Returns whether the cache has no published layer, disk or image.
pub(crate) fn is_unpublished(cache: &Path) -> bool {
    fn files(at: &Path, found: &mut Vec<PathBuf>) {
        for entry in std::fs::read_dir(at).into_iter().flatten().flatten() {
            let path = entry.path();
            if path.is_dir() {
                files(&path, found)
            } else {
                found.push(path)
            }
        }
    }
    let mut found = Vec::new();
    for part in ["layers", "disks", "images"] {
        files(&cache.join(part), &mut found);
    }
    // The descriptors of the disks.
    let root = std::fs::read_dir(cache).into_iter().flatten().flatten();
    found.extend(root.map(|entry| entry.path()));
    let published = |path: &PathBuf| {
        // A merge that was cancelled removes its temporary files a moment later.
        let name = path.file_name().unwrap_or_default();
        !name.as_encoded_bytes().starts_with(b".tmp-")
            && ["erofs", "layer", "vmdk", "json"]
                .iter()
                .any(|end| path.extension().is_some_and(|extension| extension == *end))
    };
    !found.iter().any(published)
}
