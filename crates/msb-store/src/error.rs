//! What can go wrong, with the path and the step of each.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use escape_text::escape;
use rustix::io::Errno;

use crate::{Lack, Step};

/// `Result` with this crate's [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why an operation on the store failed.
///
/// `Display` is one line that names the step and the path; the cause is in [`source`](std::error::Error::source) alone.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A file system operation failed for a reason that has no variant of its own.
    #[error("cannot {step} {}", Shown(path))]
    Io {
        /// The step that failed.
        step: Step,
        /// The file or directory.
        path: PathBuf,
        /// The system's error.
        #[source]
        source: io::Error,
    },

    /// The file system, or the user's quota on it, is full.
    #[error("no space left to {step} {}{}", Shown(path), Space(*needed_bytes, *available_bytes))]
    Full {
        /// The step that failed.
        step: Step,
        /// The file or directory.
        path: PathBuf,
        /// How many bytes the operation needed, where the caller knows.
        needed_bytes: Option<u64>,
        /// How many bytes the file system has left for this user, where it reports that.
        available_bytes: Option<u64>,
        /// The system's error; absent when the space was checked beforehand.
        #[source]
        source: Option<io::Error>,
    },

    /// The directory was laid out by a later version of this software.
    #[error(
        "{} has layout {found}, and this version knows layouts up to {supported}",
        Shown(path)
    )]
    NewerLayout {
        /// The marker file.
        path: PathBuf,
        /// The layout that it names.
        found: u32,
        /// The newest that this version can use.
        supported: u32,
    },

    /// The cache directory does not exist.
    #[error("there is no cache at {}", Shown(path))]
    NoCache {
        /// The directory.
        path: PathBuf,
    },

    /// The directory holds other files, and is not a cache.
    #[error("{} is not a cache directory", Shown(path))]
    NotACache {
        /// The directory.
        path: PathBuf,
    },

    /// Something that should be a directory of the cache is a symbolic link or a file.
    #[error(
        "{} is not a directory; only the root of a cache may be a symbolic link",
        Shown(path)
    )]
    NotADirectory {
        /// The path.
        path: PathBuf,
    },

    /// A file is larger than anything that is read whole may be.
    #[error("{} is larger than {limit_bytes} bytes", Shown(path))]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// The limit that it passes.
        limit_bytes: u64,
    },

    /// Something that should be a regular file is a directory, a link or a device.
    #[error("{} is not a regular file", Shown(path))]
    NotAFile {
        /// The path.
        path: PathBuf,
    },

    /// An image record cannot be decoded.
    #[error("cannot decode image record {}", Shown(path))]
    RecordDecode {
        /// The record.
        path: PathBuf,
        /// Where and why decoding stopped.
        #[source]
        source: DecodeError,
    },

    /// An image record does not have the checksum that its last line states.
    #[error("checksum mismatch of image record {}", Shown(path))]
    RecordChecksum {
        /// The record.
        path: PathBuf,
    },

    /// An image record's value cannot be encoded.
    #[error("cannot encode image record {}", Shown(path))]
    RecordEncode {
        /// The record.
        path: PathBuf,
        /// Which part of the value has no JSON form.
        #[source]
        source: serde_json::Error,
    },

    /// An image record is in a format of a later version.
    #[error(
        "image record {} has format {found}, and this version knows formats up to {supported}",
        Shown(path)
    )]
    NewerRecord {
        /// The record.
        path: PathBuf,
        /// The format that it names.
        found: u32,
        /// The newest that this version can read.
        supported: u32,
    },

    /// An image record lies under the name of another image.
    #[error(
        "image record {} belongs to {actual}, expected {expected}",
        Shown(path)
    )]
    RecordMismatch {
        /// The record.
        path: PathBuf,
        /// The image that was asked for.
        expected: Box<crate::ImageKey>,
        /// The image that the record is of.
        actual: Box<crate::ImageKey>,
    },

    /// An image record lies under a file name that its image does not have.
    #[error(
        "image record {} belongs to {actual}, which has another file name",
        Shown(path)
    )]
    RecordMisplaced {
        /// The record.
        path: PathBuf,
        /// The image that the record is of.
        actual: Box<crate::ImageKey>,
    },

    /// A pin is damaged. It may hold anything, so nothing is removed before it is.
    #[error("pin {} is damaged", Shown(path))]
    BadPin {
        /// The pin.
        path: PathBuf,
    },

    /// The name of a pin is taken by another image.
    #[error("pin {} is of {actual}", Shown(path))]
    PinTaken {
        /// The pin.
        path: PathBuf,
        /// The image that it pins.
        actual: Box<crate::ImageKey>,
    },

    /// The note of the layers that a lease keeps is missing or unreadable.
    #[error("cannot parse {}, which names the layers of a lease", Shown(path))]
    BadLease {
        /// The note.
        path: PathBuf,
    },

    /// An artifact that a record would name is not in the store; another process removed it, or it was never published.
    #[error(
        "{} is not in the store, and an image record would name it",
        Shown(path)
    )]
    Vanished {
        /// The missing file.
        path: PathBuf,
    },

    /// Bytes do not have the digest under which they were to be stored.
    #[error(
        "digest mismatch of the blob for {}: expected {expected}, found {actual}",
        Shown(path)
    )]
    DigestMismatch {
        /// Where the blob would have gone.
        path: PathBuf,
        /// The digest that was asked for.
        expected: Box<msb_oci::Digest>,
        /// The digest of the bytes.
        actual: Box<msb_oci::Digest>,
    },

    /// More bytes were appended to a partial blob than its blob has.
    #[error(
        "partial blob {} would grow to {actual_bytes} bytes, expected at most {expected_bytes}",
        Shown(path)
    )]
    PartialBlobOverflow {
        /// The partial blob.
        path: PathBuf,
        /// The blob's declared size.
        expected_bytes: u64,
        /// The size that the partial blob would have.
        actual_bytes: u64,
    },

    /// The cache is opened for reading alone, as every cache of [`StoreOptions::cache_from`](crate::StoreOptions::cache_from) is.
    #[error("{} is only read", Shown(path))]
    ReadOnly {
        /// Its root.
        path: PathBuf,
    },

    /// The file system cannot hold a cache.
    #[error("the file system of {} lacks {}", Shown(path), lack.text())]
    UnfitFileSystem {
        /// The cache, or a file in it.
        path: PathBuf,
        /// What it lacks.
        lack: Lack,
    },

    /// Another process has held a lock that is only ever held for a moment.
    #[error(
        "timeout after {waited_seconds} s of waiting for {}, which another process holds",
        Shown(path)
    )]
    Busy {
        /// The lock file.
        path: PathBuf,
        /// How long it was waited for.
        waited_seconds: u64,
    },
}

impl Error {
    /// Returns whether the file system or the quota is full; see [`Error::Full`] for the numbers.
    #[must_use]
    pub fn is_full(&self) -> bool {
        matches!(self, Self::Full { .. })
    }

    /// Returns whether a file of the store is damaged: removing it, or pulling again, helps.
    #[must_use]
    pub fn is_corrupt(&self) -> bool {
        matches!(
            self,
            Self::TooLarge { .. }
                | Self::NotAFile { .. }
                | Self::RecordDecode { .. }
                | Self::RecordChecksum { .. }
                | Self::RecordMismatch { .. }
                | Self::RecordMisplaced { .. }
                | Self::BadLease { .. }
                | Self::BadPin { .. }
                | Self::DigestMismatch { .. }
        )
    }

    /// Returns whether an image record is damaged. It might refer to anything, so it is not removed without being asked.
    #[must_use]
    pub fn is_damaged_record(&self) -> bool {
        matches!(
            self,
            Self::RecordDecode { .. }
                | Self::RecordChecksum { .. }
                | Self::RecordMismatch { .. }
                | Self::RecordMisplaced { .. }
        )
    }

    /// Returns whether there is no cache: the directory is missing, or has another purpose.
    #[must_use]
    pub fn is_no_cache(&self) -> bool {
        matches!(self, Self::NoCache { .. } | Self::NotACache { .. })
    }

    /// Returns whether an artifact went away between being seen and being recorded: do that part of the work again.
    #[must_use]
    pub fn is_vanished(&self) -> bool {
        matches!(self, Self::Vanished { .. })
    }

    /// Returns whether a later version of this software wrote it: only an upgrade helps, and nothing may be removed on its account.
    #[must_use]
    pub fn is_newer(&self) -> bool {
        matches!(self, Self::NewerLayout { .. } | Self::NewerRecord { .. })
    }

    /// Returns whether the same operation may succeed later without any repair.
    #[must_use]
    pub fn is_temporary(&self) -> bool {
        matches!(
            self,
            Self::Busy { .. } | Self::Vanished { .. } | Self::Full { .. }
        )
    }

    /// Returns the path that the operation was about.
    #[must_use]
    pub fn path(&self) -> &Path {
        match self {
            Self::Io { path, .. }
            | Self::Full { path, .. }
            | Self::NewerLayout { path, .. }
            | Self::NoCache { path }
            | Self::ReadOnly { path }
            | Self::UnfitFileSystem { path, .. }
            | Self::NotACache { path }
            | Self::NotADirectory { path }
            | Self::TooLarge { path, .. }
            | Self::NotAFile { path }
            | Self::RecordDecode { path, .. }
            | Self::RecordChecksum { path }
            | Self::RecordEncode { path, .. }
            | Self::NewerRecord { path, .. }
            | Self::RecordMismatch { path, .. }
            | Self::RecordMisplaced { path, .. }
            | Self::BadLease { path }
            | Self::BadPin { path }
            | Self::PinTaken { path, .. }
            | Self::Vanished { path }
            | Self::DigestMismatch { path, .. }
            | Self::PartialBlobOverflow { path, .. }
            | Self::Busy { path, .. } => path,
        }
    }

    /// Adds how many bytes the failed operation needed; changes [`Error::Full`] alone, and only where nothing is known yet.
    #[must_use]
    pub fn with_needed_bytes(mut self, bytes: u64) -> Self {
        if let Self::Full { needed_bytes, .. } = &mut self {
            needed_bytes.get_or_insert(bytes);
        }
        self
    }

    /// Wraps the system's error of `step` on `path`; a full file system becomes [`Error::Full`], and one
    /// without locks [`Error::UnfitFileSystem`].
    #[must_use]
    pub fn from_io(step: Step, path: &Path, source: io::Error) -> Self {
        let path = path.to_owned();
        if step == Step::Lock && has_no_locks(&source) {
            let lack = Lack::Locks;
            return Self::UnfitFileSystem { path, lack };
        }
        if !is_full(&source) {
            return Self::Io { step, path, source };
        }
        // The file itself may be gone or not yet there; its directory answers as well.
        let available_bytes = fs4::available_space(&path).ok().or_else(|| {
            path.parent()
                .and_then(|parent| fs4::available_space(parent).ok())
        });
        Self::Full {
            step,
            path,
            needed_bytes: None,
            available_bytes,
            source: Some(source),
        }
    }
}

/// Checks for the errors of a file system that has no locks, or was mounted without them.
fn has_no_locks(source: &io::Error) -> bool {
    let no_locks = [Errno::NOLCK, Errno::OPNOTSUPP, Errno::NOSYS];
    Errno::from_io_error(source).is_some_and(|error| no_locks.contains(&error))
}

/// Checks for ENOSPC and EDQUOT.
fn is_full(source: &io::Error) -> bool {
    matches!(
        source.kind(),
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded
    )
}

/// Why a record cannot be decoded. The message may quote the record, so it is printed escaped.
#[derive(Debug)]
pub struct DecodeError(serde_json::Error);

impl From<serde_json::Error> for DecodeError {
    fn from(error: serde_json::Error) -> Self {
        Self(error)
    }
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        escape(&self.0.to_string()).fmt(f)
    }
}

impl std::error::Error for DecodeError {}

/// Adds the step and the path to a bare `io::Result`.
pub(crate) trait At<T> {
    fn at(self, step: Step, path: &Path) -> Result<T>;
}

impl<T> At<T> for io::Result<T> {
    fn at(self, step: Step, path: &Path) -> Result<T> {
        self.map_err(|source| Error::from_io(step, path, source))
    }
}

/// Prints a path on one line, escaped.
pub(crate) struct Shown<'a>(pub(crate) &'a Path);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        escape(self.0.as_os_str().as_encoded_bytes()).fmt(f)
    }
}

/// The amounts of a full file system, as far as they are known.
struct Space(Option<u64>, Option<u64>);

impl fmt::Display for Space {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.0, self.1) {
            (Some(needed), Some(available)) => {
                write!(f, ": {needed} bytes needed, {available} available")
            }
            (Some(needed), None) => write!(f, ": {needed} bytes needed"),
            (None, Some(available)) => write!(f, ": {available} bytes available"),
            (None, None) => Ok(()),
        }
    }
}
