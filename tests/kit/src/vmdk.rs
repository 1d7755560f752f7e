//! VMDK descriptors as QEMU reads them.

use std::{path::Path, process::Command};

use crate::{
    KitError, command,
    oracle::{Tool, require},
};

/// Writes the flat disk of the descriptor `vmdk` to the raw file `out`.
///
/// # Errors
///
/// When QEMU refuses the descriptor.
pub fn flatten(vmdk: &Path, out: &Path) -> Result<(), KitError> {
    let mut convert = Command::new(require(Tool::QemuImg));
    command::run(
        convert
            .args(["convert", "-f", "vmdk", "-O", "raw"])
            .arg(vmdk)
            .arg(out),
    )
    .map(drop)
}

/// Returns the output of `qemu-img info` as JSON, with `virtual-size` in bytes among others.
///
/// # Errors
///
/// When QEMU refuses the descriptor.
pub fn info(vmdk: &Path) -> Result<serde_json::Value, KitError> {
    let output = command::run(
        Command::new(require(Tool::QemuImg))
            .args(["info", "-f", "vmdk", "--output=json"])
            .arg(vmdk),
    )?;
    serde_json::from_slice(&output.stdout).map_err(|_| KitError::Parse {
        what: "qemu-img info",
        line: String::from_utf8_lossy(&output.stdout).into_owned(),
    })
}
