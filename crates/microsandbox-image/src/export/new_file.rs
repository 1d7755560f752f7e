use std::fs::{File, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

/// A file that gets its name when it is complete and on stable storage.
///
/// On Linux it has no name before, where the file system can do that, so that it disappears even with a process that is killed.
/// Elsewhere it has a temporary name beside the final one, which is removed when this is dropped.
#[derive(Debug)]
pub(crate) struct NewFile {
    backing: Backing,
    path: PathBuf,
    replaces: bool,
}

#[derive(Debug)]
enum Backing {
    #[cfg(target_os = "linux")]
    Unnamed(File),
    Named(NamedTempFile),
}

/// Reports why a new file was not created.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NewFileError {
    /// There is a file of that name.
    #[error("{}: it exists", path.display())]
    Exists {
        /// The path.
        path: PathBuf,
    },
    /// There is something of that name that is not a regular file, and is never replaced.
    #[error("{}: it is not a regular file", path.display())]
    NotRegular {
        /// The path.
        path: PathBuf,
    },
    /// The operating system refused a step.
    #[error("{}: {step}", path.display())]
    Io {
        /// The path.
        path: PathBuf,
        /// The step.
        step: &'static str,
        /// The cause.
        source: io::Error,
    },
}

impl NewFileError {
    /// Returns whether the disk, or the quota on it, is full.
    #[must_use]
    pub fn is_full(&self) -> bool {
        let Self::Io { source, .. } = self else {
            return false;
        };
        matches!(
            source.kind(),
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded
        )
    }
}

impl NewFile {
    /// Creates a file for `path`, which may exist only if it is to be replaced.
    pub(crate) fn create(path: &Path, replaces: bool) -> Result<Self, NewFileError> {
        let new = |backing| Self {
            backing,
            path: path.to_path_buf(),
            replaces,
        };
        match path.symlink_metadata() {
            Ok(found) if replaces && found.is_file() => {}
            Ok(_) if !replaces => return Err(NewFileError::Exists { path: path.into() }),
            Ok(_) => return Err(NewFileError::NotRegular { path: path.into() }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(source) => return Err(failed(path, "looking it up", source)),
        }
        let folder = folder(path);
        #[cfg(target_os = "linux")]
        if let Some(file) = unnamed(folder).map_err(|e| failed(path, "creating it", e))? {
            return Ok(new(Backing::Unnamed(file)));
        }
        temporary()
            .permissions(Permissions::from_mode(0o666))
            .tempfile_in(folder)
            .map(|file| new(Backing::Named(file)))
            .map_err(|source| failed(path, "creating it", source))
    }

    /// Returns the file, which is open for reading and writing.
    pub(crate) fn file(&self) -> &File {
        match &self.backing {
            #[cfg(target_os = "linux")]
            Backing::Unnamed(file) => file,
            Backing::Named(file) => file.as_file(),
        }
    }

    /// Sets the length of the file, in bytes.
    pub(crate) fn set_len(&self, bytes: u64) -> Result<(), NewFileError> {
        let set = self.file().set_len(bytes);
        set.map_err(|source| failed(&self.path, "setting its length", source))
    }

    /// Returns a path by which another process of this user opens the file before it has its name.
    pub(crate) fn path_now(&self) -> PathBuf {
        match &self.backing {
            #[cfg(target_os = "linux")]
            Backing::Unnamed(file) => {
                use std::os::fd::AsRawFd as _;
                format!("/proc/{}/fd/{}", std::process::id(), file.as_raw_fd()).into()
            }
            Backing::Named(file) => file.path().to_path_buf(),
        }
    }

    /// Persists the file, then its name.
    pub(crate) fn publish(self) -> Result<(), NewFileError> {
        let Self {
            backing,
            path,
            replaces,
        } = self;
        let sync_error = |source| failed(&path, "writing it to stable storage", source);
        let name_error = |source: io::Error| {
            if source.kind() == io::ErrorKind::AlreadyExists {
                NewFileError::Exists { path: path.clone() }
            } else {
                failed(&path, "naming it", source)
            }
        };
        match backing {
            #[cfg(target_os = "linux")]
            Backing::Unnamed(file) => {
                file.sync_all().map_err(sync_error)?;
                if replaces {
                    let linked = temporary().make_in(folder(&path), |name| link(&file, name));
                    let linked = linked.map_err(name_error)?.into_temp_path();
                    linked.persist(&path).map_err(|e| name_error(e.error))?;
                } else {
                    link(&file, &path).map_err(name_error)?;
                }
            }
            Backing::Named(file) => {
                file.as_file().sync_all().map_err(sync_error)?;
                let named = if replaces {
                    file.persist(&path)
                } else {
                    file.persist_noclobber(&path)
                };
                named.map_err(|error| name_error(error.error))?;
            }
        }
        let synced = File::open(folder(&path)).and_then(|folder| folder.sync_all());
        synced.map_err(sync_error)
    }
}

fn temporary() -> tempfile::Builder<'static, 'static> {
    let mut builder = tempfile::Builder::new();
    builder.prefix(".msb-image-").suffix(".tmp");
    builder
}

fn folder(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}

/// Creates a file without a name; `None` where that is not possible, or such a file could get no name later.
#[cfg(target_os = "linux")]
fn unnamed(folder: &Path) -> io::Result<Option<File>> {
    use rustix::fs::{Mode, OFlags};
    use rustix::io::Errno;

    if !Path::new("/proc/self/fd").exists() {
        return Ok(None);
    }
    let flags = OFlags::TMPFILE | OFlags::RDWR | OFlags::CLOEXEC;
    match rustix::fs::open(folder, flags, Mode::from_raw_mode(0o666)) {
        Ok(file) => Ok(Some(file.into())),
        Err(Errno::OPNOTSUPP | Errno::ISDIR | Errno::INVAL) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Links a file without a name, as open(2) describes under `O_TMPFILE`.
#[cfg(target_os = "linux")]
fn link(file: &File, path: &Path) -> io::Result<()> {
    use rustix::fs::{AtFlags, CWD};
    use std::os::fd::AsRawFd as _;

    let unnamed = format!("/proc/self/fd/{}", file.as_raw_fd());
    rustix::fs::linkat(CWD, unnamed, CWD, path, AtFlags::SYMLINK_FOLLOW)?;
    Ok(())
}

fn failed(path: &Path, step: &'static str, source: io::Error) -> NewFileError {
    NewFileError::Io {
        path: path.to_path_buf(),
        step,
        source,
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        let names = std::fs::read_dir(folder).unwrap();
        let names = names.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let mut names: Vec<_> = names.collect();
        names.sort();
        names
    }

    type Create = fn(&Path, bool) -> NewFile;

    /// Both ways of having a file without its name.
    const WAYS: [Create; 2] = [
        |path, replaces| NewFile::create(path, replaces).unwrap(),
        |path, replaces| NewFile {
            backing: Backing::Named(temporary().tempfile_in(folder(path)).unwrap()),
            path: path.to_path_buf(),
            replaces,
        },
    ];

    #[test]
    fn a_file_gets_its_name_when_it_is_complete() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("new");
        for create in WAYS {
            let new = create(&path, false);
            new.file().write_all(b"x").unwrap();
            assert!(!path.exists());
            // A killed process leaves what is there now: nothing, or a temporary file.
            let temporary = names(folder.path());
            match &new.backing {
                #[cfg(target_os = "linux")]
                Backing::Unnamed(_) => assert!(temporary.is_empty(), "{temporary:?}"),
                Backing::Named(_) => assert!(temporary[0].starts_with(".msb-image-")),
            }
            drop(new);
            assert!(names(folder.path()).is_empty());
        }
        for create in WAYS {
            let new = create(&path, false);
            new.file().write_all(b"y").unwrap();
            new.publish().unwrap();
            assert_eq!(std::fs::read(&path).unwrap(), b"y");
            assert_eq!(names(folder.path()), ["new"]);
            std::fs::remove_file(&path).unwrap();
        }
    }

    #[test]
    fn an_existing_file_is_replaced_only_on_request() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("old");
        // It may appear after the look.
        for create in WAYS {
            let new = create(&path, false);
            std::fs::write(&path, b"old").unwrap();
            let error = new.publish().unwrap_err();
            assert!(matches!(error, NewFileError::Exists { .. }), "{error}");
            std::fs::remove_file(&path).unwrap();
        }
        std::fs::write(&path, b"old").unwrap();
        let error = NewFile::create(&path, false).unwrap_err();
        assert!(matches!(error, NewFileError::Exists { .. }), "{error}");
        for create in WAYS {
            let new = create(&path, true);
            new.publish().unwrap();
            assert_eq!(std::fs::read(&path).unwrap(), b"");
            assert_eq!(names(folder.path()), ["old"]);
        }
        for other in [folder.path(), Path::new("/dev/null")] {
            let error = NewFile::create(other, true).unwrap_err();
            assert!(matches!(error, NewFileError::NotRegular { .. }), "{error}");
        }
    }
}
