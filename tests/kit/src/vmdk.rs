//! A VMDK descriptor as QEMU reads it.

use std::{path::Path, process::Command};

use crate::{
    KitError, command,
    oracle::{Tool, require},
};

/// Writes the flat disk that `vmdk` describes to the raw file `out`.
///
/// # Errors
/// When QEMU does not take the descriptor.
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

/// What `qemu-img info` says of the descriptor, as JSON: among others `virtual-size` in bytes.
///
/// # Errors
/// When QEMU does not take the descriptor.
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
