//! Which folders tools are run from: those that no other user can write to.

use std::ffi::OsStr;
use std::fs::Metadata;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use crate::KitError;

/// Bits of a mode: write for the group and for all others, and the sticky bit, with which only owners remove files.
const GROUP_WRITE: u32 = 0o020;
const OTHERS_WRITE: u32 = 0o002;
const STICKY: u32 = 0o1000;

/// Checks that no user but root and this one can put a file at `path`, an existing folder, or replace a folder above it.
///
/// # Errors
/// [`KitError::Untrusted`] names the folder that others can write to.
pub(crate) fn check(path: &Path) -> Result<(), KitError> {
    let path = path
        .canonicalize()
        .map_err(KitError::io("find the real path of", path))?;
    for (place, folder) in path.ancestors().enumerate() {
        let metadata = folder.metadata().map_err(KitError::io("look at", folder))?;
        if let Some(problem) = problem(&metadata, place == 0) {
            return Err(KitError::Untrusted {
                folder: folder.to_owned(),
                problem,
            });
        }
    }
    Ok(())
}

fn problem(metadata: &Metadata, is_last: bool) -> Option<&'static str> {
    let (user, group) = (
        rustix::process::geteuid().as_raw(),
        rustix::process::getegid().as_raw(),
    );
    // In a sticky folder above, others can add files, but not replace the next folder of the path.
    let can_replace = is_last || metadata.mode() & STICKY == 0;
    if metadata.uid() != 0 && metadata.uid() != user {
        Some("belongs to another user")
    } else if metadata.mode() & OTHERS_WRITE != 0 && can_replace {
        Some("can be written to by everybody")
    } else if metadata.mode() & GROUP_WRITE != 0
        && metadata.gid() != 0
        && metadata.gid() != group
        && can_replace
    {
        Some("can be written to by another group")
    } else {
        None
    }
}

/// Returns the folders of `PATH` and the system's `sbin` folders that [`check`] accepts.
pub(crate) fn folders() -> Vec<PathBuf> {
    trusted_of(&std::env::var_os("PATH").unwrap_or_default())
}

/// As [`folders`], with the value of `PATH`.
fn trusted_of(path: &OsStr) -> Vec<PathBuf> {
    std::env::split_paths(path)
        .chain(["/usr/local/sbin", "/usr/sbin", "/sbin", "/usr/bin", "/bin"].map(PathBuf::from))
        .filter(|folder| folder.is_absolute() && check(folder).is_ok())
        .collect()
}

/// Returns the path of a system program, such as the package manager.
///
/// # Errors
/// [`KitError::Missing`].
pub fn program(name: &'static str) -> Result<PathBuf, KitError> {
    folders()
        .into_iter()
        .map(|folder| folder.join(name))
        .find(|path| path.is_file())
        .ok_or(KitError::Missing {
            tool: name,
            package: name,
        })
}

#[cfg(test)]
mod tests {
    use std::fs::{self, Permissions};
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    use super::*;

    #[test]
    fn a_folder_that_others_can_write_to_is_not_trusted() {
        let temp = tempfile::tempdir().unwrap();
        let (outer, inner) = (temp.path().join("outer"), temp.path().join("outer/inner"));
        fs::create_dir_all(&inner).unwrap();
        let set =
            |path: &Path, mode| fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
        set(&outer, 0o755);
        set(&inner, 0o755);
        check(&inner).unwrap();
        let link = temp.path().join("link");
        symlink(&inner, &link).unwrap();
        check(&link).unwrap();
        // Itself, and one above it, through a link too.
        for (folder, mode) in [(&inner, 0o777), (&outer, 0o757), (&inner, 0o1777)] {
            set(folder, mode);
            for path in [&inner, &link] {
                let error = check(path).unwrap_err().to_string();
                assert!(error.contains("can be written to by everybody"), "{error}");
            }
            set(folder, 0o755);
        }
        // As the system's folder for temporary files, where the folder itself is private.
        set(&outer, 0o1777);
        check(&inner).unwrap();
    }

    #[test]
    fn a_tool_in_a_folder_of_everybody_is_not_found() {
        let temp = tempfile::tempdir().unwrap();
        let folder = |name: &str, mode| {
            let folder = temp.path().join(name);
            fs::create_dir(&folder).unwrap();
            fs::set_permissions(&folder, Permissions::from_mode(mode)).unwrap();
            folder
        };
        let (ours, everybodys) = (folder("ours", 0o755), folder("everybodys", 0o777));
        let path = std::env::join_paths([&everybodys, &ours, Path::new("relative")]).unwrap();
        let folders = trusted_of(&path);
        assert_eq!(folders.first(), Some(&ours));
        assert!(!folders.contains(&everybodys));
        assert!(program("sh").unwrap().is_absolute());
    }
}
