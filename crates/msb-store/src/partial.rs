//! The compressed blob so far, for going on with a pull that was cut off.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use fs4::FileExt;
use msb_oci::Digest;

use crate::error::{At as _, Error, Result};
use crate::step::Step;
use crate::{Store, dirs, lock, platform};

/// The first bytes of a compressed blob, as an earlier pull received them; locked while it is open.
///
/// A part is a hint and nothing more. It is never synced, so after a crash its bytes may be wrong: whoever goes on
/// from it hashes all of it again, and discards it when the digest does not come out.
#[derive(Debug)]
pub struct PartialBlob {
    file: File,
    path: PathBuf,
    /// `len_bytes <= expected_bytes`, always.
    len_bytes: u64,
    expected_bytes: u64,
}

impl Store {
    /// Opens the part of a blob, empty if there was none; `None` while another pull has it open.
    ///
    /// A part longer than the blob's declared size, `expected_bytes`, is of another blob or damaged, and is emptied.
    pub fn open_partial_blob(
        &self,
        digest: &Digest,
        expected_bytes: u64,
    ) -> Result<Option<PartialBlob>> {
        let path = self.partial_blob_path(digest);
        let Some(file) = lock::try_with(&path, &mut None, FileExt::try_lock)? else {
            return Ok(None);
        };
        let len_bytes = file.metadata().at(Step::Stat, &path)?.len();
        let mut part = PartialBlob {
            file,
            path,
            len_bytes,
            expected_bytes,
        };
        if part.len_bytes > expected_bytes {
            part.truncate(0)?;
        }
        Ok(Some(part))
    }
}

impl PartialBlob {
    /// How many bytes there are; at most the blob's declared size.
    pub fn len_bytes(&self) -> u64 {
        self.len_bytes
    }

    /// Reads the bytes that are there now, from the first on, on its own handle and at its own position.
    pub fn reader(&self) -> Result<PartialBlobReader> {
        let file = self.file.try_clone().at(Step::Open, &self.path)?;
        Ok(PartialBlobReader {
            file,
            at_bytes: 0,
            end_bytes: self.len_bytes,
        })
    }

    /// Adds the next bytes of the blob.
    ///
    /// # Errors
    /// [`Error::PartialBlobOverflow`] when the blob would become longer than it was declared, and nothing is written. After
    /// [`Error::Full`] the part still ends where it did, and can be discarded to make room.
    pub fn append(&mut self, bytes: &[u8]) -> Result<()> {
        let actual_bytes = self
            .len_bytes
            .saturating_add(u64::try_from(bytes.len()).unwrap_or(u64::MAX));
        if actual_bytes > self.expected_bytes {
            return Err(Error::PartialBlobOverflow {
                path: self.path.clone(),
                expected_bytes: self.expected_bytes,
                actual_bytes,
            });
        }
        // Positioned writes: what a failed one left beyond the end is written over or cut off, never counted.
        if let Err(source) = platform::write_all_at(&self.file, bytes, self.len_bytes) {
            let error = Error::from_io(Step::Write, &self.path, source)
                .with_needed_bytes(self.expected_bytes);
            self.truncate(self.len_bytes)?;
            return Err(error);
        }
        self.len_bytes = actual_bytes;
        Ok(())
    }

    /// Keeps the first `len_bytes` only; to start over, 0. A longer part than there is cannot be asked for.
    pub fn truncate(&mut self, len_bytes: u64) -> Result<()> {
        let len_bytes = len_bytes.min(self.len_bytes);
        self.file
            .set_len(len_bytes)
            .at(Step::Truncate, &self.path)?;
        self.len_bytes = len_bytes;
        Ok(())
    }

    /// Removes the part: the layer is published, or the bytes were wrong.
    pub fn discard(self) -> Result<()> {
        dirs::remove_file(&self.path).map(drop)
    }

    /// The part's path.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for PartialBlob {
    fn drop(&mut self) {
        if let Err(error) = FileExt::unlock(&self.file) {
            tracing::debug!(%error, "unlocking failed; closing releases the lock");
        }
    }
}

/// Reads the bytes that a [`PartialBlob`] had when this was made.
#[derive(Debug)]
pub struct PartialBlobReader {
    file: File,
    /// `at_bytes <= end_bytes`.
    at_bytes: u64,
    end_bytes: u64,
}

impl Read for PartialBlobReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = usize::try_from(self.end_bytes - self.at_bytes).unwrap_or(usize::MAX);
        let wanted = left.min(buffer.len());
        let read = platform::read_at(&self.file, &mut buffer[..wanted], self.at_bytes)?;
        if read == 0 && wanted > 0 {
            // Someone cut the part while it was read; going on from its former end would leave a hole.
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.at_bytes +=
            u64::try_from(read).expect("a usize fits in 64 bits on every system that Rust has");
        Ok(read)
    }
}
