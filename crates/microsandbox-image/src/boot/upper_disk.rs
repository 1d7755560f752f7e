use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use escape_text::escape;

use crate::export::{NewFile, NewFileError};

/// The smallest disk, in bytes: it has a journal.
const MIN_BYTES: u64 = 16 << 20;

/// The largest disk, in bytes: the longest file of ext4 and XFS with blocks of 4 KiB.
const MAX_BYTES: u64 = 16 << 40;

const BLOCK_BYTES: u64 = 4096;

/// Directories of programs for the system's administrator, which the search path of other users lacks.
const FOLDERS: [&str; 5] = [
    "/usr/sbin",
    "/sbin",
    "/usr/local/sbin",
    "/opt/homebrew/opt/e2fsprogs/sbin",
    "/usr/local/opt/e2fsprogs/sbin",
];

/// Creates an empty ext4 disk for what a guest writes over the disk of an image.
///
/// ```no_run
/// use microsandbox_image::{UpperDisk, UpperDiskError};
///
/// # fn example() -> Result<(), UpperDiskError> {
/// let bytes = UpperDisk::new(64 << 30).create("vm1.upper")?;
/// # let _ = bytes;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UpperDisk {
    bytes: u64,
    force: bool,
}

/// Reports why a disk was not created.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum UpperDiskError {
    /// The size is too small for a journal, or larger than a file can be.
    #[error("a disk of {bytes} bytes cannot be created: it takes {minimum} to {maximum}")]
    Size {
        /// The size in bytes.
        bytes: u64,
        /// The smallest size in bytes.
        minimum: u64,
        /// The largest size in bytes.
        maximum: u64,
    },
    /// The file cannot be created.
    #[error(transparent)]
    File(#[from] NewFileError),
    /// `mke2fs`, which writes the file system, is not installed.
    #[error("mke2fs is not installed; it is part of e2fsprogs")]
    NoMke2fs,
    /// `mke2fs` cannot be started.
    #[error("{}: starting it", program.display())]
    Start {
        /// The program.
        program: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// `mke2fs` failed.
    #[error("{}: mke2fs failed: {message}", path.display())]
    Mke2fs {
        /// The file.
        path: PathBuf,
        /// The last line that the program printed, escaped.
        message: String,
    },
}

impl UpperDisk {
    /// Describes a disk of this many bytes, rounded up to whole blocks of 4 KiB.
    #[must_use]
    pub const fn new(bytes: u64) -> Self {
        Self {
            bytes,
            force: false,
        }
    }

    /// Replaces an existing file.
    #[must_use]
    pub const fn force(mut self, force: bool) -> Self {
        self.force = force;
        self
    }

    /// Creates the disk and returns its length in bytes. The file is sparse: some megabytes of it are written. It gets its name when
    /// it is complete. Runs `mke2fs`, and blocks on it.
    ///
    /// # Errors
    /// See [`UpperDiskError`].
    pub fn create(self, path: impl AsRef<Path>) -> Result<u64, UpperDiskError> {
        let path = path.as_ref();
        if !(MIN_BYTES..=MAX_BYTES).contains(&self.bytes) {
            return Err(UpperDiskError::Size {
                bytes: self.bytes,
                minimum: MIN_BYTES,
                maximum: MAX_BYTES,
            });
        }
        let bytes = self.bytes.next_multiple_of(BLOCK_BYTES);
        let program = mke2fs().ok_or(UpperDiskError::NoMke2fs)?;
        let new = NewFile::create(path, self.force)?;
        new.set_len(bytes)?;
        // Since 1.47: nothing has to be zeroed later by the guest, because a sparse file is zeros.
        let mut output = run(&program, &new, "assume_storage_prezeroed=1")?;
        if !output.status.success() {
            output = run(&program, &new, "lazy_itable_init=1,lazy_journal_init=1")?;
        }
        if !output.status.success() {
            let last = output
                .stderr
                .trim_ascii_end()
                .rsplit(|b| *b == b'\n')
                .next();
            return Err(UpperDiskError::Mke2fs {
                path: path.to_path_buf(),
                message: escape(last.unwrap_or_default()).to_string(),
            });
        }
        new.publish()?;
        Ok(bytes)
    }
}

fn run(program: &Path, file: &NewFile, options: &str) -> Result<Output, UpperDiskError> {
    let mut command = Command::new(program);
    // The configuration of the system decides nothing that is stated here.
    command.env_remove("MKE2FS_CONFIG").env("LC_ALL", "C");
    command.args(["-q", "-F", "-t", "ext4", "-b", "4096", "-m", "0"]);
    command.args(["-E", &format!("{options},nodiscard,root_owner=0:0")]);
    command.arg(file.path_now()).stdin(Stdio::null());
    command.output().map_err(|source| UpperDiskError::Start {
        program: program.to_path_buf(),
        source,
    })
}

/// Returns the path of `mke2fs`.
fn mke2fs() -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&path).filter(|folder| folder.is_absolute());
    let folders = folders.chain(FOLDERS.map(PathBuf::from));
    folders
        .map(|folder| folder.join("mke2fs"))
        .find(|program| program.is_file())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_size_without_room_for_a_journal_and_one_beyond_files_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        for bytes in [0, MIN_BYTES - 1, MAX_BYTES + 1, u64::MAX] {
            let error = UpperDisk::new(bytes).create(folder.path().join("x"));
            let error = error.unwrap_err();
            assert!(matches!(error, UpperDiskError::Size { .. }), "{error}");
        }
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    }
}
