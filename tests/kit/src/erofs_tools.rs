//! `fsck.erofs`, `dump.erofs` and `mkfs.erofs`. Each fails by its exit status, and by any error that it writes.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use crate::{
    KitError, command,
    oracle::{Tool, require},
};

/// Checks an image with its extra devices in the order of its device table; the tool's output.
///
/// # Errors
/// The verdict: anything the tool objects to.
pub fn fsck(image: &Path, devices: &[&Path]) -> Result<String, KitError> {
    run(with_devices(Tool::FsckErofs, devices).arg(image))
}

/// Checks an image and extracts it to `into`, which reads every byte of it. As root it restores owners, times and attributes.
///
/// # Errors
/// The verdict: anything the tool objects to.
pub fn extract(image: &Path, devices: &[&Path], into: &Path) -> Result<String, KitError> {
    let mut option = std::ffi::OsString::from("--extract=");
    option.push(into);
    run(with_devices(Tool::FsckErofs, devices)
        .arg(option)
        .args(["--force", "--preserve", "--xattrs"])
        .arg(image))
}

/// What the superblock says, line by line, as `dump.erofs -s` prints it.
///
/// # Errors
/// When the tool does not take the image.
pub fn superblock(image: &Path) -> Result<String, KitError> {
    run(Command::new(require(Tool::DumpErofs)).arg("-s").arg(image))
}

/// One path's inode and extents, as `dump.erofs --path=.. -e` prints them.
///
/// # Errors
/// When the tool does not find it.
pub fn inode(image: &Path, devices: &[&Path], path: &str) -> Result<String, KitError> {
    run(with_devices(Tool::DumpErofs, devices)
        .arg(format!("--path={path}"))
        .arg("-e")
        .arg(image))
}

/// Writes an image of a folder or (`--tar=f`) of an archive, with `options` before the two paths.
///
/// # Errors
/// When the tool fails.
pub fn mkfs(image: &Path, source: &Path, options: &[&str]) -> Result<String, KitError> {
    run(Command::new(require(Tool::MkfsErofs))
        .args(options)
        .arg(image)
        .arg(source))
}

fn with_devices(tool: Tool, devices: &[&Path]) -> Command {
    let mut command = Command::new(require(tool));
    for device in devices {
        let mut option = std::ffi::OsString::from("--device=");
        option.push(PathBuf::from(device));
        command.arg(option);
    }
    command
}

/// Runs a tool; what it writes is its verdict too, because fsck.erofs says that the superblock's checksum is wrong and then
/// ends with 0.
fn run(command: &mut Command) -> Result<String, KitError> {
    let output = command::run(command)?;
    let mut text = String::from_utf8_lossy(&output.stdout).into_owned();
    text.push_str(&String::from_utf8_lossy(&output.stderr));
    let complaints: Vec<&str> = text.lines().filter(|line| complains(line)).collect();
    if complaints.is_empty() {
        return Ok(text);
    }
    Err(KitError::Complaint {
        command: command::line(command),
        output: command::tail(complaints.join("\n").as_bytes()),
    })
}

/// Whether a line tells of an error (erofs-utils' level `E`), or of a checksum that does not match.
fn complains(line: &str) -> bool {
    // fsck.erofs 1.9 takes an empty value for a failure when it extracts, and goes on with the next file; comparing the
    // trees shows what it left out.
    let is_empty_value = line.contains("failed to get xattr value size of");
    line.starts_with("<E>") && !is_empty_value
        || line.contains("chksum doesn't match")
        || line.contains("invalid checksum")
}
