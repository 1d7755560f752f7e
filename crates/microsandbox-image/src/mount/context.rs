use std::ffi::CString;
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use escape_text::escape;
use rustix::fs::CWD;
use rustix::io::Errno;
use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, MoveMountFlags, fsconfig_create, fsconfig_set_flag,
    fsconfig_set_string, fsmount, fsopen, move_mount,
};

use super::MountError;

/// The longest text of an option: fsconfig(2) copies 256 bytes, with the NUL.
const MAX_VALUE_BYTES: usize = 255;

/// A file system that is being configured, through fsopen(2) and fsconfig(2): options are passed one by one, so that their number is
/// not limited.
pub(super) struct Context {
    fd: OwnedFd,
    target: PathBuf,
}

impl Context {
    /// Opens a file system by the name of its type; it will be mounted on `target`.
    pub(super) fn new(file_system: &str, target: &Path) -> Result<Self, MountError> {
        let fd = fsopen(file_system, FsOpenFlags::FSOPEN_CLOEXEC)
            .map_err(|error| MountError::refused(target, "opening the file system", "", error))?;
        Ok(Self {
            fd,
            target: target.to_path_buf(),
        })
    }

    /// Sets an option to a path.
    pub(super) fn set_path(&self, key: &str, path: &Path) -> Result<(), MountError> {
        let bytes = path.as_os_str().len();
        if bytes > MAX_VALUE_BYTES {
            return Err(MountError::PathTooLong {
                path: path.to_path_buf(),
                bytes,
                limit: MAX_VALUE_BYTES,
            });
        }
        let value = CString::new(path.as_os_str().as_bytes());
        let set = value
            .map_err(|_| Errno::INVAL)
            .and_then(|value| fsconfig_set_string(self.fd.as_fd(), key, &*value));
        set.map_err(|error| self.refused("setting an option of the mount", error))
    }

    /// Sets an option to a text.
    pub(super) fn set_text(&self, key: &str, text: &str) -> Result<(), MountError> {
        self.set_path(key, Path::new(text))
    }

    /// Sets an option without a value.
    pub(super) fn set_flag(&self, key: &str) -> Result<(), MountError> {
        fsconfig_set_flag(self.fd.as_fd(), key)
            .map_err(|error| self.refused("setting an option of the mount", error))
    }

    /// Mounts the file system on the target.
    pub(super) fn mount(self, attributes: MountAttrFlags) -> Result<(), MountError> {
        fsconfig_create(self.fd.as_fd())
            .map_err(|error| self.refused("reading the file system", error))?;
        let mount = fsmount(self.fd.as_fd(), FsMountFlags::FSMOUNT_CLOEXEC, attributes)
            .map_err(|error| self.refused("creating the mount", error))?;
        let flags = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH;
        move_mount(mount.as_fd(), "", CWD, &self.target, flags)
            .map_err(|error| self.refused("attaching the mount", error))
    }

    fn refused(&self, step: &'static str, error: Errno) -> MountError {
        MountError::refused(&self.target, step, &self.messages(), error)
    }

    /// Returns what the kernel reported in the context: each read returns one message.
    fn messages(&self) -> String {
        const MOST: usize = 8;
        let mut text = String::new();
        let mut message = [0; 512];
        for _ in 0..MOST {
            let Ok(length @ 1..) = rustix::io::read(self.fd.as_fd(), &mut message) else {
                break;
            };
            let line = message[..length].trim_ascii();
            text.push_str(&format!(" ({})", escape(line)));
        }
        text
    }
}
