//! Whether a file system can hold a cache: by its type, and by a probe of its locks.
//!
//! | file system | concern | result |
//! |---|---|---|
//! | FAT, exFAT | no permissions | refused |
//! | any whose locks fail or do not exclude | two writers of one file | refused |
//! | NFS, SMB, 9p, FUSE, Ceph, AFS | locks and fsync depend on server and mount options | warning |
//! | overlay with the option `volatile` | fsync does nothing | warning |
//! | tmpfs, ramfs | nothing survives a restart, nor does anything claim to | none |

use std::fs::File;

use fs4::{FileExt, TryLockError};

use crate::dir::Dir;
use crate::error::{Error, Result, Shown};
use crate::lack::Lack;
use crate::permissions::Modes;
use crate::step::Step;
use crate::temporary::create_locked;

/// A type of file system that is of concern.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Concern {
    Lacks(Lack),
    /// A program or another machine keeps the files.
    Served(&'static str),
    Overlay,
}

/// Checks that the file system of a cache's root can hold it, as far as its type shows. Logs a warning for one that may not.
///
/// # Errors
/// [`Error::UnfitFileSystem`].
pub(crate) fn check_type(root: &Dir) -> Result<()> {
    let path = root.path();
    match kind(root).and_then(concern) {
        None => {}
        Some(Concern::Lacks(lack)) => {
            return Err(Error::UnfitFileSystem {
                path: path.to_owned(),
                lack,
            });
        }
        Some(Concern::Served(name)) => tracing::warn!(
            path = %Shown(path),
            file_system = name,
            "locks and fsync of this file system depend on its server and its mount options; a power loss or a second host may damage the cache"
        ),
        Some(Concern::Overlay) if is_volatile(root) => tracing::warn!(
            path = %Shown(path),
            "the overlay is mounted with the option volatile, so that fsync does nothing; a power loss may damage the cache"
        ),
        Some(Concern::Overlay) => {}
    }
    Ok(())
}

/// Checks that a lock of one open file excludes another one. Called before a cache gets its marker.
///
/// # Errors
/// [`Error::UnfitFileSystem`].
pub(crate) fn probe_locks(root: &Dir, modes: &Modes) -> Result<()> {
    probe_with(root, modes, FileExt::try_lock)
}

fn probe_with(
    root: &Dir,
    modes: &Modes,
    try_lock: fn(&File) -> Result<(), TryLockError>,
) -> Result<()> {
    let Some((name, _locked)) = create_locked(root, "layout", modes.private_file)? else {
        return Ok(());
    };
    let tried = root.open_existing(&name).and_then(|other| {
        other.map_or(Ok(true), |other| match try_lock(&other) {
            Ok(()) => Ok(false),
            Err(TryLockError::WouldBlock) => Ok(true),
            Err(TryLockError::Error(e)) => Err(root.error(Step::Lock, &name, e)),
        })
    });
    root.remove_file(&name)?;
    if tried? {
        return Ok(());
    }
    Err(Error::UnfitFileSystem {
        path: root.path().to_owned(),
        lack: Lack::Locks,
    })
}

/// Returns the magic number of the file system's type; `None` where the system has none.
#[cfg(target_os = "linux")]
fn kind(root: &Dir) -> Option<u32> {
    let stat = rustix::fs::fstatfs(root).ok()?;
    // The kernel's numbers have 32 bits; the field's type differs between architectures.
    u32::try_from(u64::try_from(stat.f_type).ok()? & u64::from(u32::MAX)).ok()
}

#[cfg(not(target_os = "linux"))]
fn kind(_: &Dir) -> Option<u32> {
    None
}

/// Returns the concern about a type, by the numbers of the kernel's `magic.h`.
fn concern(kind: u32) -> Option<Concern> {
    Some(match kind {
        0x4d44 | 0x2011_bab0 => Concern::Lacks(Lack::Permissions),
        0x6969 => Concern::Served("NFS"),
        0x517b | 0xfe53_4d42 | 0xff53_4d42 => Concern::Served("SMB"),
        0x0102_1997 => Concern::Served("9p"),
        0x6573_5546 => Concern::Served("FUSE"),
        0x00c3_6400 => Concern::Served("Ceph"),
        0x5346_414f | 0x6b41_4653 => Concern::Served("AFS"),
        0x794c_7630 => Concern::Overlay,
        _ => return None,
    })
}

/// Returns whether the mount of a directory has the option `volatile`.
#[cfg(target_os = "linux")]
fn is_volatile(root: &Dir) -> bool {
    let device = rustix::fs::fstat(root).map(|stat| stat.st_dev);
    let table = std::fs::read_to_string("/proc/self/mountinfo");
    let (Ok(device), Ok(table)) = (device, table) else {
        return false;
    };
    let device = format!(
        "{}:{}",
        rustix::fs::major(device),
        rustix::fs::minor(device)
    );
    table.lines().any(|line| has_volatile(line, &device))
}

#[cfg(not(target_os = "linux"))]
fn is_volatile(_: &Dir) -> bool {
    false
}

/// Parses a line of `mountinfo`: `36 35 0:50 /root /point options optional... - type source super-options`.
#[cfg(target_os = "linux")]
fn has_volatile(line: &str, device: &str) -> bool {
    let Some((mount, file_system)) = line.split_once(" - ") else {
        return false;
    };
    let options = file_system.split(' ').nth(2).unwrap_or_default();
    mount.split(' ').nth(2) == Some(device)
        && file_system.starts_with("overlay ")
        && options.split(',').any(|option| option == "volatile")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn locks_that_fail_or_do_not_exclude_are_refused() {
        let temp = tempfile::tempdir().unwrap();
        let root = crate::sys::open_root(temp.path()).unwrap();
        let root = Dir::new(root, temp.path().to_owned());
        let probe = |try_lock| probe_with(&root, &Modes::PRIVATE, try_lock);
        probe(FileExt::try_lock).unwrap();
        let unsupported: fn(&File) -> Result<(), TryLockError> =
            |_| Err(TryLockError::Error(rustix::io::Errno::NOLCK.into()));
        for try_lock in [(|_: &File| Ok(())) as fn(&File) -> _, unsupported] {
            let error = probe(try_lock).unwrap_err();
            let Error::UnfitFileSystem {
                lack: Lack::Locks, ..
            } = error
            else {
                panic!("{error:?}");
            };
            assert!(error.to_string().contains("locks"), "{error}");
        }
        assert_eq!(root.list().unwrap(), Vec::<String>::new());
    }

    #[test]
    fn types_are_told_apart_by_their_numbers() {
        assert_eq!(concern(0x6969), Some(Concern::Served("NFS")));
        assert_eq!(concern(0x4d44), Some(Concern::Lacks(Lack::Permissions)));
        // ext4, XFS, btrfs, tmpfs.
        for good in [0xef53, 0x5846_5342, 0x9123_683e, 0x0102_1994] {
            assert_eq!(concern(good), None);
        }
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_volatile_overlay_is_known_by_its_mount() {
        let line =
            "36 35 0:50 / /merged rw,relatime shared:1 - overlay overlay rw,lowerdir=/a,volatile";
        assert!(has_volatile(line, "0:50"));
        assert!(!has_volatile(line, "0:51"));
        assert!(!has_volatile(
            &line.replace(",volatile", ",upperdir=/volatile"),
            "0:50"
        ));
        assert!(!has_volatile("36 35 0:50", "0:50"));
    }
}
