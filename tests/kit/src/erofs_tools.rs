//! `fsck.erofs`, `dump.erofs` and `mkfs.erofs`. A nonzero exit status is a failure, and so is any error in the output.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use crate::{
    KitError, command,
    oracle::{Tool, require},
};

/// Checks an image, with its extra devices in the order of its device table. Returns the output of the tool.
///
/// # Errors
///
/// Any problem that the tool reports.
pub fn fsck(image: &Path, devices: &[&Path]) -> Result<String, KitError> {
    run(with_devices(Tool::FsckErofs, devices).arg(image))
}

/// Checks an image and extracts it to `into`, which reads every byte of it. As root it restores owners, times and
/// attributes.
///
/// # Errors
///
/// Any problem that the tool reports.
pub fn extract(image: &Path, devices: &[&Path], into: &Path) -> Result<String, KitError> {
    let mut option = std::ffi::OsString::from("--extract=");
    option.push(into);
    run(with_devices(Tool::FsckErofs, devices)
        .arg(option)
        .args(["--force", "--preserve", "--xattrs"])
        .arg(image))
}

/// Returns the fields of the superblock, line by line, as `dump.erofs -s` prints them.
///
/// # Errors
///
/// When the tool refuses the image.
pub fn superblock(image: &Path) -> Result<String, KitError> {
    run(Command::new(require(Tool::DumpErofs)).arg("-s").arg(image))
}

/// Returns the inode and extents of one path, as `dump.erofs --path=.. -e` prints them.
///
/// # Errors
///
/// When the tool does not find it.
pub fn inode(image: &Path, devices: &[&Path], path: &str) -> Result<String, KitError> {
    run(with_devices(Tool::DumpErofs, devices)
        .arg(format!("--path={path}"))
        .arg("-e")
        .arg(image))
}

/// Builds an image of a directory or (`--tar=f`) of an archive, with `options` before the two paths.
///
/// # Errors
///
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

/// Runs a tool and checks its output too: fsck.erofs reports a wrong superblock checksum and then exits with 0.
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

/// Returns whether a line reports an error (level `E` of erofs-utils) or a wrong checksum.
fn complains(line: &str) -> bool {
    // fsck.erofs 1.9 takes an empty value for a failure when it extracts, and continues with the next file; comparing
    // the trees shows the attributes it omitted.
    let is_empty_value = line.contains("failed to get xattr value size of");
    line.starts_with("<E>") && !is_empty_value
        || line.contains("chksum doesn't match")
        || line.contains("invalid checksum")
}
