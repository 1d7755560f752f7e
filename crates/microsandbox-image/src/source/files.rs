//! The files of a layout or of an archive, opened by name.

mod directory;
mod spool;
mod tar_index;

pub(super) use spool::CopyOptions;

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;

use msb_layer::decode::Compression;
use msb_layer::tar::EntryName;

use super::error::ArchiveError;
use directory::Directory;
use tar_index::TarIndex;

/// The files of one input. Every method blocks on file I/O.
#[derive(Debug)]
pub(super) struct Files {
    /// The path of the input, escaped.
    archive: String,
    place: Place,
}

#[derive(Debug)]
enum Place {
    Directory(Directory),
    Tar(TarIndex),
}

/// The bytes of one file: `bytes` of `file` from `offset` on.
#[derive(Clone, Debug)]
pub(super) struct Extent {
    pub(super) file: Arc<File>,
    pub(super) offset: u64,
    pub(super) bytes: u64,
}

impl Files {
    /// Opens a directory, or an archive that may be compressed. A compressed one is copied to a temporary file.
    pub(super) fn open(path: &Path, copy: &CopyOptions) -> Result<Self, ArchiveError> {
        let archive = escape_text::escape_path(path).to_string();
        let error = |source| ArchiveError::Open {
            archive: archive.clone(),
            source,
        };
        if path.is_dir() {
            let place = Place::Directory(Directory::open(path).map_err(error)?);
            return Ok(Self { archive, place });
        }
        let mut file = File::open(path).map_err(error)?;
        let is_regular = file.metadata().map_err(error)?.is_file();
        let mut start = [0; Compression::MAGIC_BYTES];
        if is_regular {
            let known = read_at_most(&file, &mut start).map_err(error)?;
            if Compression::detect(&start[..known]) == Compression::None {
                let place = Place::Tar(TarIndex::read(&archive, file)?);
                return Ok(Self { archive, place });
            }
        }
        Self::copy(archive, &mut file, copy)
    }

    /// Copies an archive, which may be compressed, to a temporary file.
    pub(super) fn copy(
        archive: String,
        input: &mut dyn Read,
        copy: &CopyOptions,
    ) -> Result<Self, ArchiveError> {
        let place = Place::Tar(spool::copy(&archive, input, copy)?);
        Ok(Self { archive, place })
    }

    /// Returns the name of the input for errors.
    pub(super) fn archive(&self) -> &str {
        &self.archive
    }

    /// Returns the file of this name; `None` if there is none. The name comes from outside.
    pub(super) fn find(&self, name: &[u8]) -> Result<Option<Extent>, ArchiveError> {
        match &self.place {
            Place::Directory(directory) => directory.find(&self.archive, name),
            Place::Tar(index) => index.find(&self.archive, name),
        }
    }

    /// Returns the file of this name.
    pub(super) fn get(&self, name: &[u8]) -> Result<Extent, ArchiveError> {
        let found = self.find(name)?;
        found.ok_or_else(|| ArchiveError::Missing {
            archive: self.archive.clone(),
            member: EntryName::new(name),
        })
    }

    /// Reads a small file; `None` if there is none.
    pub(super) fn document(
        &self,
        name: &[u8],
        limit: u64,
    ) -> Result<Option<Vec<u8>>, ArchiveError> {
        let Some(extent) = self.find(name)? else {
            return Ok(None);
        };
        let member = || EntryName::new(name);
        if extent.bytes > limit {
            return Err(ArchiveError::DocumentTooLong {
                archive: self.archive.clone(),
                member: member(),
                actual: extent.bytes,
                limit,
            });
        }
        // OK because the limits of documents are a few megabytes.
        let mut bytes = vec![0; usize::try_from(extent.bytes).unwrap_or(0)];
        let read = extent.file.read_exact_at(&mut bytes, extent.offset);
        read.map_err(|source| ArchiveError::ReadMember {
            archive: self.archive.clone(),
            member: member(),
            source,
        })?;
        Ok(Some(bytes))
    }
}

/// Reads the beginning of a file without moving its position.
fn read_at_most(file: &File, bytes: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while filled < bytes.len() {
        match file.read_at(&mut bytes[filled..], filled as u64) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}
