//! Copies of images between the transports of skopeo.

use std::{path::Path, process::Command};

use crate::{
    KitError, command,
    oracle::{Tool, require},
};

/// Copies an image from one transport to another, such as `oci:DIRECTORY:TAG` and `docker-archive:FILE:NAME:TAG`.
///
/// # Errors
///
/// When skopeo fails.
pub fn copy(source: &str, target: &str, options: &[&str]) -> Result<(), KitError> {
    let folder = tempfile::tempdir().map_err(KitError::io("create", &std::env::temp_dir()))?;
    command::run(skopeo(folder.path()).args(options).args([source, target])).map(drop)
}

/// Writes the image `tag` of a layout as an archive of `docker save` with the name `name`.
///
/// # Errors
///
/// When skopeo fails.
pub fn docker_archive(
    layout: &Path,
    tag: &str,
    archive: &Path,
    name: &str,
) -> Result<(), KitError> {
    let folder = tempfile::tempdir().map_err(KitError::io("create", &std::env::temp_dir()))?;
    // Skopeo refuses to convert a manifest with zstd layers, so they are decompressed first.
    let uncompressed = format!("dir:{}", folder.path().join("uncompressed").display());
    let source = format!("oci:{}:{tag}", layout.display());
    copy(&source, &uncompressed, &["--dest-decompress"])?;
    let target = format!("docker-archive:{}:{name}", archive.display());
    copy(&uncompressed, &target, &[])
}

/// Returns `skopeo copy` with our policy and temporary directory instead of those of the machine.
pub(crate) fn skopeo(folder: &Path) -> Command {
    let mut command = Command::new(require(Tool::Skopeo));
    command
        .args(["--insecure-policy", "--tmpdir"])
        .arg(folder)
        .args(["copy", "--quiet"]);
    command
}
