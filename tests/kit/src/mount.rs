//! Mounts of EROFS images and of overlays over them, through the new mount system calls.
//!
//! `fsopen` and `fsconfig` pass options one by one, so hundreds of `device=` options fit; mount(2) is limited to 4096
//! bytes of options. EROFS images are mounted as files (since Linux 6.12); on an older kernel each has a loop device.

use std::{
    ffi::CString,
    fs,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    os::unix::ffi::OsStrExt,
    path::{Path, PathBuf},
    process::Command,
};

use rustix::{
    fs::CWD,
    io::Errno,
    mount::{
        FsMountFlags, FsOpenFlags, MountAttrFlags, MoveMountFlags, UnmountFlags, fsconfig_create,
        fsconfig_set_flag, fsconfig_set_string, fsmount, fsopen, move_mount, unmount,
    },
};
use tempfile::TempDir;

use crate::{KitError, command};

/// A file system mounted in a directory of its own. Unmounted when dropped, also by a panic. Needs root.
#[derive(Debug)]
pub struct KernelMount {
    point: TempDir,
    loops: Vec<PathBuf>,
    /// An empty lower directory, for an overlay of a single layer.
    _empty: Option<TempDir>,
}

impl KernelMount {
    /// Mounts an EROFS image read-only, with its extra devices in the order of its device table (none for a flat disk).
    ///
    /// # Errors
    ///
    /// When the kernel refuses the image, with its log messages.
    pub fn erofs(image: &Path, devices: &[&Path]) -> Result<KernelMount, KitError> {
        let mut mounted = KernelMount {
            point: point()?,
            loops: Vec::new(),
            _empty: None,
        };
        let sources: Vec<PathBuf> = std::iter::once(&image)
            .chain(devices)
            .map(|path| path.to_path_buf())
            .collect();
        match mounted.erofs_of(&sources) {
            // A kernel that cannot mount files needs a block device.
            Err(KitError::Mount { source, .. })
                if source.raw_os_error() == Some(Errno::NOTBLK.raw_os_error()) =>
            {
                let loops = sources
                    .iter()
                    .map(|path| mounted.attach(path))
                    .collect::<Result<Vec<_>, _>>()?;
                mounted.erofs_of(&loops)?;
            }
            other => other?,
        }
        Ok(mounted)
    }

    /// Mounts an overlay of `lowers`, bottom to top as in an image, without an upper directory.
    ///
    /// # Errors
    ///
    /// When the kernel refuses it, with its log messages.
    pub fn overlay(lowers: &[&Path]) -> Result<KernelMount, KitError> {
        let mut lowers: Vec<&Path> = lowers.to_vec();
        // The kernel needs two lower directories if there is no upper one.
        let empty = if lowers.len() == 1 {
            Some(point()?)
        } else {
            None
        };
        if let Some(empty) = &empty {
            lowers.insert(0, empty.path());
        }
        let what = format!("an overlay of {} directories", lowers.len());
        let point = point()?;
        let context = open("overlay", &what)?;
        for lower in lowers.iter().rev() {
            set(&context, "lowerdir+", lower, &what)?;
        }
        finish(&context, point.path(), &what)?;
        Ok(KernelMount {
            point,
            loops: Vec::new(),
            _empty: empty,
        })
    }

    /// Returns the mount point.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.point.path()
    }

    fn erofs_of(&self, sources: &[PathBuf]) -> Result<(), KitError> {
        let (image, devices) = sources
            .split_first()
            .expect("the image itself is the first source");
        let what = image.display().to_string();
        let context = open("erofs", &what)?;
        set(&context, "source", image, &what)?;
        for device in devices {
            set(&context, "device", device, &what)?;
        }
        finish(&context, self.point.path(), &what)
    }

    fn attach(&mut self, file: &Path) -> Result<PathBuf, KitError> {
        let output = command::run(
            Command::new("losetup")
                .args(["--find", "--show", "--read-only"])
                .arg(file),
        )?;
        let device = PathBuf::from(String::from_utf8_lossy(&output.stdout).trim());
        self.loops.push(device.clone());
        Ok(device)
    }
}

impl Drop for KernelMount {
    fn drop(&mut self) {
        // Lazy after a panic: the unwinding test may have a file of the tree open.
        let flags = if std::thread::panicking() {
            UnmountFlags::DETACH
        } else {
            UnmountFlags::empty()
        };
        if unmount(self.point.path(), flags).is_err() {
            let _ = unmount(self.point.path(), UnmountFlags::DETACH);
        }
        for device in &self.loops {
            let _ = Command::new("losetup").arg("--detach").arg(device).output();
        }
    }
}

fn point() -> Result<TempDir, KitError> {
    tempfile::Builder::new()
        .prefix("msb-mount-")
        .tempdir()
        .map_err(KitError::io("create a folder in", std::env::temp_dir()))
}

fn open(kind: &str, what: &str) -> Result<OwnedFd, KitError> {
    fsopen(kind, FsOpenFlags::FSOPEN_CLOEXEC)
        .map_err(|source| refused("open the file system", what, None, source))
}

fn set(context: &OwnedFd, key: &str, value: &Path, what: &str) -> Result<(), KitError> {
    let value = fs::canonicalize(value).map_err(KitError::io("find", value))?;
    let value =
        CString::new(value.as_os_str().as_bytes()).expect("a path of the file system has no NUL");
    fsconfig_set_string(context.as_fd(), key, &value)
        .map_err(|source| refused("set an option", what, Some(context.as_fd()), source))
}

fn finish(context: &OwnedFd, point: &Path, what: &str) -> Result<(), KitError> {
    let refuse = |step| move |source| refused(step, what, Some(context.as_fd()), source);
    fsconfig_set_flag(context.as_fd(), "ro").map_err(refuse("set read-only"))?;
    fsconfig_create(context.as_fd()).map_err(refuse("create the superblock"))?;
    let mount = fsmount(
        context.as_fd(),
        FsMountFlags::FSMOUNT_CLOEXEC,
        MountAttrFlags::MOUNT_ATTR_RDONLY,
    )
    .map_err(refuse("make the mount"))?;
    move_mount(
        mount.as_fd(),
        "",
        CWD,
        point,
        MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH,
    )
    .map_err(refuse("attach the mount"))
}

fn refused(
    step: &'static str,
    what: &str,
    context: Option<BorrowedFd<'_>>,
    source: Errno,
) -> KitError {
    let mut log = String::new();
    // Each read returns one message of the context, until there are no more.
    let mut message = [0; 512];
    while let Some(length) =
        context.and_then(|context| rustix::io::read(context, &mut message).ok())
    {
        log.push_str(" (");
        log.push_str(String::from_utf8_lossy(&message[..length]).trim());
        log.push(')');
    }
    KitError::Mount {
        step,
        what: what.to_owned(),
        log,
        source: source.into(),
    }
}
