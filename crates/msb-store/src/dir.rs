//! An open directory of the store. All work on its files is relative to the descriptor and never follows a link.

use std::fs::File;
use std::io::{self, Read as _};
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::{AtFlags, Mode, OFlags};
use rustix::io::Errno;

use crate::crash;
use crate::error::{At as _, Error, Result};
use crate::permissions::{Modes, is_ours, is_own};
use crate::step::Step;
use crate::sys::{self, Entry};

/// An open directory below the root, or the root. Clones share the descriptor.
#[derive(Debug, Clone)]
pub(crate) struct Dir {
    fd: Arc<OwnedFd>,
    /// For error messages alone.
    path: Arc<Path>,
    /// Whether every change is refused.
    is_read_only: bool,
}

/// What lies at a name that was opened.
enum Opened {
    Absent,
    NotAFile,
    File(File, Entry),
}

const OPEN: OFlags = OFlags::NOFOLLOW
    .union(OFlags::NONBLOCK)
    .union(OFlags::CLOEXEC)
    .union(OFlags::NOCTTY);

impl Dir {
    pub(crate) fn new(fd: OwnedFd, path: PathBuf) -> Self {
        Self {
            fd: Arc::new(fd),
            path: path.into(),
            is_read_only: false,
        }
    }

    /// Returns the directory, in which and below which every change is refused if `is_read_only`.
    pub(crate) fn read_only(self, is_read_only: bool) -> Self {
        Self {
            is_read_only,
            ..self
        }
    }

    /// Checks that changes are not refused.
    fn check_writable(&self) -> Result<()> {
        if self.is_read_only {
            return Err(Error::ReadOnly {
                path: self.path.to_path_buf(),
            });
        }
        Ok(())
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn path_of(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// Opens a regular file for reading; `None` for anything else, and for nothing.
    pub(crate) fn open_file(&self, name: &str) -> Result<Option<File>> {
        Ok(match self.opened(name)? {
            Opened::File(file, _) => Some(file),
            Opened::Absent | Opened::NotAFile => None,
        })
    }

    fn opened(&self, name: &str) -> Result<Opened> {
        let file = match self.open_at(name, OFlags::RDONLY, Mode::empty()) {
            Ok(file) => file,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Opened::Absent),
            Err(e) if sys::is_no_file(&e) => return Ok(Opened::NotAFile),
            Err(e) => return Err(self.error(Step::Open, name, e)),
        };
        let entry = Entry::of(&file).map_err(|e| self.error(Step::Stat, name, e))?;
        Ok(if entry.is_file() {
            Opened::File(file, entry)
        } else {
            Opened::NotAFile
        })
    }

    /// Opens an existing file for locking. Some network file systems lock only what is open for writing; a read-only artifact of
    /// another user can only be opened for reading.
    pub(crate) fn open_existing(&self, name: &str) -> Result<Option<File>> {
        let file = match self.open_at(name, OFlags::RDWR, Mode::empty()) {
            Ok(file) => file,
            Err(e) if e.kind() == io::ErrorKind::NotFound || sys::is_no_file(&e) => {
                return Ok(None);
            }
            Err(e) if e.kind() == io::ErrorKind::PermissionDenied => {
                return self.open_file(name);
            }
            Err(e) => return Err(self.error(Step::Open, name, e)),
        };
        let entry = Entry::of(&file).map_err(|e| self.error(Step::Stat, name, e))?;
        Ok(entry.is_file().then_some(file))
    }

    /// Opens a file for reading and writing, creating it if necessary. The caller checks it with [`Self::own_file`] before it writes.
    ///
    /// A link, a directory or anything else that cannot be opened as a file is replaced.
    pub(crate) fn open_or_create(&self, name: &str, modes: &Modes) -> Result<File> {
        self.check_writable()?;
        // More rounds than any race lasts that is not an attack.
        for _ in 0..16 {
            let flags = OFlags::RDWR | OFlags::CREATE;
            match self.open_at(name, flags, modes.private_file) {
                Err(e) if sys::is_no_file(&e) => self.remove_foreign(name)?,
                opened => return opened.map_err(|e| self.error(Step::Open, name, e)),
            }
        }
        Err(Error::NotAFile {
            path: self.path_of(name),
        })
    }

    /// Returns what a file of [`Self::open_or_create`] is, with the permissions of a file that is not published; `None` if it is not this cache's.
    ///
    /// The file must be regular, have one link and belong to this user; anything else is unlinked, so that nothing outside the store is
    /// ever written through it. A file that has lost its name since it was opened is left alone.
    pub(crate) fn own_file(&self, name: &str, file: &File, modes: &Modes) -> Result<Option<Entry>> {
        let entry = Entry::of(file).map_err(|e| self.error(Step::Stat, name, e))?;
        if entry.link_count == 0 {
            return Ok(None);
        }
        if !entry.is_file() || entry.link_count != 1 || !is_ours(&entry, modes) {
            self.remove_foreign(name)?;
            return Ok(None);
        }
        if entry.mode != modes.private_file && is_own(&entry) {
            set_mode(file, modes.private_file)
                .map_err(|e| self.error(Step::SetPermissions, name, e))?;
        }
        Ok(Some(entry))
    }

    fn remove_foreign(&self, name: &str) -> Result<()> {
        let path = self.path_of(name);
        tracing::warn!(path = %crate::error::Shown(&path), "not a file of this cache: replaced");
        self.remove_file(name)?;
        Ok(())
    }

    /// Creates a file, open for reading and writing. The umask may take permissions away; see [`Self::set_exact_mode`].
    pub(crate) fn create_new(&self, name: &str, mode: Mode) -> io::Result<File> {
        if self.is_read_only {
            return Err(io::ErrorKind::ReadOnlyFilesystem.into());
        }
        crash::around("create", &self.path, &[name], || {
            self.open_at(name, OFlags::RDWR | OFlags::CREATE | OFlags::EXCL, mode)
        })
    }

    /// Sets the permissions of a new file where the umask took some of them away; `false` if the file has lost its name since it was created.
    pub(crate) fn set_exact_mode(&self, name: &str, file: &File, mode: Mode) -> Result<bool> {
        let entry = Entry::of(file).map_err(|e| self.error(Step::Stat, name, e))?;
        if entry.link_count == 0 {
            return Ok(false);
        }
        if entry.mode != mode {
            set_mode(file, mode).map_err(|e| self.error(Step::SetPermissions, name, e))?;
        }
        Ok(true)
    }

    /// Reads a regular file of at most `limit_bytes`; `None` if there is nothing.
    ///
    /// # Errors
    /// [`Error::NotAFile`], [`Error::TooLarge`].
    pub(crate) fn read_capped(&self, name: &str, limit_bytes: u64) -> Result<Option<Vec<u8>>> {
        let read = self.read_with_entry(name, limit_bytes)?;
        Ok(read.map(|(bytes, _)| bytes))
    }

    /// Reads a regular file as [`Self::read_capped`] does, and returns what it is.
    pub(crate) fn read_with_entry(
        &self,
        name: &str,
        limit_bytes: u64,
    ) -> Result<Option<(Vec<u8>, Entry)>> {
        let (file, entry) = match self.opened(name)? {
            Opened::File(file, entry) => (file, entry),
            Opened::Absent => return Ok(None),
            Opened::NotAFile => {
                return Err(Error::NotAFile {
                    path: self.path_of(name),
                });
            }
        };
        let too_large = || Error::TooLarge {
            path: self.path_of(name),
            limit_bytes,
        };
        if entry.bytes > limit_bytes {
            return Err(too_large());
        }
        let mut bytes = Vec::with_capacity(usize::try_from(entry.bytes).unwrap_or(0));
        // One byte past the limit shows a file that grew meanwhile.
        file.take(limit_bytes.saturating_add(1))
            .read_to_end(&mut bytes)
            .map_err(|e| self.error(Step::Read, name, e))?;
        if u64::try_from(bytes.len()).is_ok_and(|len| len <= limit_bytes) {
            Ok(Some((bytes, entry)))
        } else {
            Err(too_large())
        }
    }

    /// Returns what lies at the name itself; `None` if nothing does.
    pub(crate) fn stat(&self, name: &str) -> Result<Option<Entry>> {
        match Entry::at(self.fd.as_fd(), name) {
            Ok(entry) => Ok(Some(entry)),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(e) => Err(self.error(Step::Stat, name, e)),
        }
    }

    /// Returns the length of a regular file; `None` for anything else.
    pub(crate) fn file_bytes(&self, name: &str) -> Result<Option<u64>> {
        let entry = self.stat(name)?.filter(Entry::is_file);
        Ok(entry.map(|entry| entry.bytes))
    }

    /// Returns whether the name still means the open file, so that a lock on the file is a lock on the name.
    pub(crate) fn names_same_file(&self, name: &str, file: &File) -> Result<bool> {
        let open = Entry::of(file).map_err(|e| self.error(Step::Stat, name, e))?;
        Ok(self.stat(name)?.is_some_and(|named| named.is_same(&open)))
    }

    /// Removes a file, an immutable one too; `false` if there was none. A directory is left alone.
    pub(crate) fn remove_file(&self, name: &str) -> Result<bool> {
        self.check_writable()?;
        let unlink = || {
            crash::around("unlink", &self.path, &[name], || {
                rustix::fs::unlinkat(&self.fd, name, AtFlags::empty())
            })
        };
        let mut removed = unlink();
        if removed == Err(Errno::PERM) && self.is_made_mutable(name) {
            removed = unlink();
        }
        match removed {
            Ok(()) => Ok(true),
            Err(Errno::NOENT) => Ok(false),
            Err(e) => Err(self.error(Step::Remove, name, e.into())),
        }
    }

    /// Removes a directory; `false` if there is none or it is not empty.
    pub(crate) fn remove_empty_dir(&self, name: &str) -> Result<bool> {
        self.check_writable()?;
        let removed = crash::around("rmdir", &self.path, &[name], || {
            rustix::fs::unlinkat(&self.fd, name, AtFlags::REMOVEDIR)
        });
        match removed {
            Ok(()) => Ok(true),
            Err(Errno::NOENT | Errno::NOTEMPTY | Errno::EXIST | Errno::NOTDIR) => Ok(false),
            Err(e) => Err(self.error(Step::Remove, name, e.into())),
        }
    }

    /// Renames a file within this directory atomically, replacing a file with the new name.
    pub(crate) fn rename(&self, from: &str, to: &str) -> Result<()> {
        self.check_writable()?;
        #[cfg(test)]
        crate::order::note("name", &self.path_of(to));
        let rename = || {
            crash::around("rename", &self.path, &[from, to], || {
                rustix::fs::renameat(&self.fd, from, &self.fd, to)
            })
        };
        let mut renamed = rename();
        if renamed == Err(Errno::PERM) && self.is_made_mutable(to) {
            renamed = rename();
        }
        renamed.map_err(|e| self.error(Step::Rename, to, e.into()))
    }

    /// Renames a file of this directory into another one, replacing a file with the new name.
    pub(crate) fn rename_into(&self, from: &str, into: &Self, to: &str) -> Result<()> {
        self.check_writable()?;
        #[cfg(test)]
        crate::order::note("name", &into.path_of(to));
        let renamed = rustix::fs::renameat(&self.fd, from, &into.fd, to);
        renamed.map_err(|e| into.error(Step::Rename, to, e.into()))
    }

    /// Sets a file's modification time to now; `false` if it is gone, belongs to another user or cannot be changed.
    pub(crate) fn touch(&self, name: &str) -> Result<bool> {
        self.check_writable()?;
        let now = rustix::fs::Timespec {
            tv_sec: 0,
            tv_nsec: rustix::fs::UTIME_NOW,
        };
        let times = rustix::fs::Timestamps {
            last_access: now,
            last_modification: now,
        };
        let touched = crash::around("touch", &self.path, &[name], || {
            rustix::fs::utimensat(&self.fd, name, &times, AtFlags::SYMLINK_NOFOLLOW)
        });
        match touched {
            Ok(()) => Ok(true),
            Err(Errno::NOENT | Errno::PERM | Errno::ACCESS | Errno::ROFS) => Ok(false),
            Err(e) => Err(self.error(Step::Touch, name, e.into())),
        }
    }

    /// Returns the names in the directory, sorted; those that are not UTF-8 are not the store's, and are left out.
    pub(crate) fn list(&self) -> Result<Vec<String>> {
        self.list_up_to(usize::MAX)
    }

    /// Returns at most `max_names` of the names, sorted.
    pub(crate) fn list_up_to(&self, max_names: usize) -> Result<Vec<String>> {
        let failed = |e: Errno| Error::from_io(Step::List, &self.path, e.into());
        let mut names = Vec::new();
        for entry in rustix::fs::Dir::read_from(&self.fd).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            match entry.file_name().to_str() {
                Ok("." | "..") | Err(_) => {}
                Ok(name) => names.push(name.to_owned()),
            }
            if names.len() >= max_names {
                break;
            }
        }
        names.sort();
        Ok(names)
    }

    /// Opens a directory of this one; `None` if there is none.
    ///
    /// # Errors
    /// [`Error::NotADirectory`] for a link or a file under its name or one above it.
    pub(crate) fn open_dir(&self, below: &str) -> Result<Option<Self>> {
        let path = self.path.join(below);
        #[cfg(test)]
        crate::order::note("open", &path);
        match sys::open_dir_beneath(self.fd.as_fd(), below) {
            Ok(fd) => Ok(Some(Self::new(fd, path).read_only(self.is_read_only))),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(e) if sys::is_no_directory(&e) => Err(Error::NotADirectory { path }),
            Err(e) => Err(Error::from_io(Step::Open, &path, e)),
        }
    }

    /// Opens a directory of this one, creating every level of it that is missing.
    pub(crate) fn make_dir(&self, below: &str, modes: &Modes) -> Result<Self> {
        if let Some(dir) = self.open_dir(below)? {
            return Ok(dir);
        }
        let mut made: Option<Self> = None;
        for name in below.split('/') {
            let dir = made.as_ref().unwrap_or(self).make_level(name, modes)?;
            made = Some(dir);
        }
        made.ok_or_else(|| Error::NotADirectory {
            path: self.path.to_path_buf(),
        })
    }

    fn make_level(&self, name: &str, modes: &Modes) -> Result<Self> {
        self.check_writable()?;
        let path = self.path_of(name);
        let made = crash::around("mkdir", &self.path, &[name], || {
            rustix::fs::mkdirat(&self.fd, name, modes.dir)
        });
        let is_new = match made {
            Ok(()) => true,
            Err(Errno::EXIST) => false,
            Err(e) => return Err(Error::from_io(Step::CreateDir, &path, e.into())),
        };
        let fd = match sys::open_level(self.fd.as_fd(), name) {
            Err(e) if sys::is_no_directory(&e) => return Err(Error::NotADirectory { path }),
            opened => opened.at(Step::Open, &path)?,
        };
        if is_new {
            // The umask may have taken bits away, and mkdir may not set the set-group-ID bit.
            rustix::fs::fchmod(&fd, modes.dir)
                .map_err(io::Error::from)
                .at(Step::CreateDir, &path)?;
        }
        Ok(Self::new(fd, path))
    }

    /// Writes the directory's names to stable storage.
    pub(crate) fn sync(&self) -> Result<()> {
        #[cfg(test)]
        crate::order::note("sync", &self.path);
        crash::around("syncdir", &self.path, &[], || {
            sys::sync_dir(self.fd.as_fd()).at(Step::SyncDir, &self.path)
        })
    }

    /// Returns what the directory itself is.
    pub(crate) fn entry(&self) -> Result<Entry> {
        Entry::of(&self.fd).at(Step::Stat, &self.path)
    }

    /// Sets the directory's own permissions.
    pub(crate) fn set_mode(&self, mode: Mode) -> Result<()> {
        self.check_writable()?;
        rustix::fs::fchmod(&self.fd, mode)
            .map_err(io::Error::from)
            .at(Step::SetPermissions, &self.path)
    }

    /// Clears a file's immutable flag; `false` if it has none or it cannot be cleared.
    fn is_made_mutable(&self, name: &str) -> bool {
        let file = self.open_file(name).ok().flatten();
        file.is_some_and(|file| crate::immutable::clear(&file))
    }

    pub(crate) fn error(&self, step: Step, name: &str, source: io::Error) -> Error {
        Error::from_io(step, &self.path_of(name), source)
    }

    fn open_at(&self, name: &str, flags: OFlags, mode: Mode) -> io::Result<File> {
        debug_assert!(!name.contains('/'), "a name is not a path");
        Ok(rustix::fs::openat(&self.fd, name, flags | OPEN, mode)?.into())
    }
}

fn set_mode(file: &File, mode: Mode) -> io::Result<()> {
    Ok(rustix::fs::fchmod(file, mode)?)
}

impl AsFd for Dir {
    fn as_fd(&self) -> std::os::fd::BorrowedFd<'_> {
        self.fd.as_fd()
    }
}
