//! Debian's minimal system.

use std::{
    fs,
    io::{self, Write},
    path::Path,
    process::{Command, Stdio},
};

use serde_json::json;

use super::TAG;
use crate::{
    KitError, command,
    image::{Compression, ImageBuilder, Layer},
    oracle::{Tool, apt, require},
};

/// The suite of the root file systems. Every debootstrap since 2021 knows it.
pub(super) const SUITE: &str = "bookworm";

pub(super) fn base(work: &Path, layout: &Path) -> Result<(), KitError> {
    let root = work.join("root");
    // In a mount namespace of its own, so that what debootstrap mounts is gone with it, however it ends.
    let mut debootstrap = Command::new("unshare");
    debootstrap
        .args(["--mount", "--propagation", "private"])
        .arg(require(Tool::Debootstrap));
    debootstrap
        .args(["--variant=minbase", SUITE])
        .arg(&root)
        .arg(apt::mirror());
    command::run(&mut debootstrap)?;
    for leftover in [
        "var/cache/apt/archives",
        "var/lib/apt/lists",
        "var/log/bootstrap.log",
    ] {
        let path = root.join(leftover);
        let _ = if path.is_dir() {
            fs::remove_dir_all(&path)
        } else {
            fs::remove_file(&path)
        };
    }
    let config = json!({ "Env": ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"], "Cmd": ["bash"] });
    let layer = layer(work, "base", &root)?;
    ImageBuilder::new()
        .layer(layer)
        .config(config)
        .write_layout(layout, TAG)?;
    fs::remove_dir_all(&root).map_err(KitError::io("remove", &root))
}

/// A gzip layer of all that is below `root`, by GNU tar.
pub(super) fn layer(work: &Path, name: &str, root: &Path) -> Result<Layer, KitError> {
    Layer::stream(
        &work.join(format!("{name}.tar.gz")),
        Compression::Gzip,
        |out| pack(root, out),
    )
}

fn pack(root: &Path, out: &mut dyn Write) -> io::Result<()> {
    let mut tar = Command::new(require(Tool::Tar));
    tar.args([
        "--create",
        "--numeric-owner",
        "--sort=name",
        "--xattrs",
        "--xattrs-include=*",
        "--directory",
    ])
    .arg(root)
    .arg(".");
    let mut child = tar.stdout(Stdio::piped()).spawn()?;
    let mut archive = child
        .stdout
        .take()
        .expect("standard output was asked to be a pipe");
    io::copy(&mut archive, out)?;
    let status = child.wait()?;
    if status.success() {
        Ok(())
    } else {
        Err(io::Error::other(format!("tar: {status}")))
    }
}
