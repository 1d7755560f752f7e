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
    create_dir(&work).map_err(|error| failed(&work, "creating it", error))?;
    if !upper.exists() {
        // A process that is killed leaves a directory that no mount takes for one with the attributes of the root.
        let new = folder.join("upper.new");
        create_dir(&new).map_err(|error| failed(&new, "creating it", error))?;
        let copied = copy_attributes(root, &new);
        copied.map_err(|error| failed(&new, "copying mode, owner and time to it", error))?;
        fs::rename(&new, &upper).map_err(|error| failed(&upper, "creating it", error))?;
    }
    Ok(Upper { upper, work })
}

/// Creates a directory, unless it exists.
fn create_dir(path: &Path) -> io::Result<()> {
    match fs::create_dir(path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        created => created,
    }
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

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn the_directory_of_a_killed_process_gets_the_attributes_of_the_root() {
        let temp = tempfile::tempdir().unwrap();
        let (root, folder) = (temp.path().join("root"), temp.path().join("changes"));
        for path in [&root, &folder.join("upper.new")] {
            fs::create_dir_all(path).unwrap();
        }
        fs::set_permissions(&root, fs::Permissions::from_mode(0o2710)).unwrap();
        let upper = prepare(&folder, &root).unwrap().upper;
        let mode = || fs::metadata(&upper).unwrap().mode() & 0o7777;
        assert_eq!(mode(), 0o2710);
        assert!(!folder.join("upper.new").exists());
        // A directory that was used before keeps its own.
        fs::set_permissions(&upper, fs::Permissions::from_mode(0o700)).unwrap();
        prepare(&folder, &root).unwrap();
        assert_eq!(mode(), 0o700);
    }
}
