use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, CWD, Gid, Mode, Timespec, Timestamps, UTIME_OMIT, Uid};

use super::{MountError, absolute};

/// The directories of an overlay.
pub(super) struct Upper {
    pub(super) upper: PathBuf,
    pub(super) work: PathBuf,
}

/// Creates the directories of an overlay in `folder`, unless they exist. The root of an overlay is its upper directory, so a new one
/// gets mode, owner and time of the image's root, which is mounted on `root`.
pub(super) fn prepare(folder: &Path, root: &Path) -> Result<Upper, MountError> {
    let failed = |path: &Path, step, source| MountError::Upper {
        path: path.to_path_buf(),
        step,
        source,
    };
    fs::create_dir_all(folder).map_err(|error| failed(folder, "creating it", error))?;
    let folder = absolute(folder)?;
    let (upper, work) = (folder.join("upper"), folder.join("work"));
    match fs::create_dir(&work) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        Err(error) => return Err(failed(&work, "creating it", error)),
    }
    match fs::create_dir(&upper) {
        Ok(()) => {
            let copied = copy_attributes(root, &upper);
            if let Err(error) = copied {
                // Otherwise the next mount takes it for one that was used before.
                let _ = fs::remove_dir(&upper);
                return Err(failed(&upper, "copying mode, owner and time to it", error));
            }
        }
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        Err(error) => return Err(failed(&upper, "creating it", error)),
    }
    Ok(Upper { upper, work })
}

fn copy_attributes(from: &Path, to: &Path) -> io::Result<()> {
    let metadata = fs::metadata(from)?;
    let (uid, gid) = (Uid::from_raw(metadata.uid()), Gid::from_raw(metadata.gid()));
    rustix::fs::chownat(CWD, to, Some(uid), Some(gid), AtFlags::SYMLINK_NOFOLLOW)?;
    // After the owner, whose change clears setuid and setgid.
    rustix::fs::chmod(to, Mode::from_raw_mode(metadata.mode() & 0o7777))?;
    let times = Timestamps {
        last_access: Timespec {
            tv_sec: 0,
            tv_nsec: UTIME_OMIT,
        },
        last_modification: Timespec {
            tv_sec: metadata.mtime(),
            tv_nsec: metadata.mtime_nsec(),
        },
    };
    rustix::fs::utimensat(CWD, to, &times, AtFlags::SYMLINK_NOFOLLOW)?;
    Ok(())
}
