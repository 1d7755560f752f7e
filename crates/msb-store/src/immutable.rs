//! The immutable flag of ext4, XFS, btrfs and others: not even the superuser writes to such a file.

use std::fs::File;

/// Sets the flag where the file system has it and this process may (`CAP_LINUX_IMMUTABLE`); logs otherwise.
pub(crate) fn set(file: &File, path: &std::path::Path) {
    if let Err(error) = change(file, true) {
        tracing::warn!(path = %crate::error::Shown(path), %error, "the immutable flag cannot be set");
    }
}

/// Clears the flag; `false` if it was not set or cannot be cleared.
pub(crate) fn clear(file: &File) -> bool {
    change(file, false).unwrap_or(false)
}

/// Returns whether the flag changed.
#[cfg(target_os = "linux")]
fn change(file: &File, is_set: bool) -> std::io::Result<bool> {
    use rustix::fs::{IFlags, ioctl_getflags, ioctl_setflags};

    let flags = ioctl_getflags(file)?;
    if flags.contains(IFlags::IMMUTABLE) == is_set {
        return Ok(false);
    }
    let mut changed = flags;
    changed.set(IFlags::IMMUTABLE, is_set);
    ioctl_setflags(file, changed)?;
    Ok(true)
}

#[cfg(not(target_os = "linux"))]
fn change(_: &File, _: bool) -> std::io::Result<bool> {
    Err(std::io::ErrorKind::Unsupported.into())
}
