//! Writes the disk or the files of an image to a file outside of the cache, or to a stream.
//!
//! ```text
//!   extents ──────────────▶ raw     fsmeta and the layers end to end: what a guest sees
//!   merged tree ─┬────────▶ tar     PAX, sorted, with xattrs and hard links
//!                └────────▶ erofs   one image without further devices, chunks or inline file data
//!
//!   new_file   a file that gets its name when it is complete
//!   sink       a file or a stream that takes holes
//! ```

mod erofs;
mod error;
mod new_file;
mod pax;
mod raw;
mod sink;
mod tar;

pub use error::ExportError;
pub(crate) use new_file::NewFile;
pub use new_file::NewFileError;
pub(crate) use pax::{BLOCK_BYTES, Member};
pub(crate) use sink::{Sink, WriteError};

use std::fmt;
use std::io::Write;
use std::path::Path;

use crate::PullResult;

/// The form in which an image is exported.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum ExportFormat {
    /// The disk as one file: fsmeta and the layer images in order. Shares blocks with the cache where the file system can, and
    /// is sparse elsewhere.
    #[default]
    Raw,
    /// The merged tree as a tar archive in PAX format, with xattrs and hard links. Equal trees give equal bytes.
    Tar,
    /// The merged tree as one EROFS image that old kernels and gVisor mount: files are contiguous and not inline, and there
    /// are no further devices. Holes are written as zeros.
    Erofs,
}

/// Options of [`PullResult::export`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ExportOptions {
    /// The form of the output.
    pub format: ExportFormat,
    /// Replace an existing file.
    pub force: bool,
}

impl ExportOptions {
    /// Sets [`format`](Self::format).
    #[must_use]
    pub fn with_format(mut self, format: ExportFormat) -> Self {
        self.format = format;
        self
    }

    /// Sets [`force`](Self::force).
    #[must_use]
    pub fn with_force(mut self, force: bool) -> Self {
        self.force = force;
        self
    }
}

impl fmt::Display for ExportFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Raw => "raw",
            Self::Tar => "tar",
            Self::Erofs => "erofs",
        })
    }
}

impl PullResult {
    /// Writes the image to the new file `path` and returns its length in bytes. Blocks on file I/O.
    ///
    /// The file gets its name when all of it is on stable storage: a failure, a crash or a full disk leaves nothing under that name.
    ///
    /// # Errors
    /// See [`ExportError`]; [`NewFileError::Exists`] for an existing file without [`ExportOptions::force`].
    pub fn export(
        &self,
        path: impl AsRef<Path>,
        options: &ExportOptions,
    ) -> Result<u64, ExportError> {
        let path = path.as_ref();
        let new = NewFile::create(path, options.force)?;
        let bytes = match options.format {
            ExportFormat::Raw => raw::to_file(&self.extents, new.file(), path)?,
            ExportFormat::Tar => {
                let mut sink = Sink::file(new.file(), path);
                tar::write(&self.open_tree()?, &mut sink)?;
                sink.finish()?
            }
            ExportFormat::Erofs => erofs::write(&self.open_tree()?, new.file())?,
        };
        new.publish()?;
        Ok(bytes)
    }

    /// Writes the image to a stream and returns the number of bytes. Blocks on file I/O.
    ///
    /// # Errors
    /// See [`ExportError`]; [`ExportError::NoStream`] for a format that is not written from front to back.
    pub fn export_to(
        &self,
        output: &mut dyn Write,
        format: ExportFormat,
    ) -> Result<u64, ExportError> {
        let mut sink = Sink::stream(output);
        match format {
            ExportFormat::Raw => raw::to_sink(&self.extents, &mut sink)?,
            ExportFormat::Tar => tar::write(&self.open_tree()?, &mut sink)?,
            ExportFormat::Erofs => return Err(ExportError::NoStream { format }),
        }
        Ok(sink.finish()?)
    }
}
