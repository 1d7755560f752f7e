//! The bytes of a compressed blob that have arrived so far, for resuming an interrupted download.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use fs4::FileExt;
use msb_oci::Digest;

use crate::Store;
use crate::artifact::{LAYER_BLOB, PARTIAL_BLOB, Place};
use crate::error::{At as _, Error, Result};
use crate::lock::{Request, unlock};
use crate::step::Step;
use crate::sys;

/// The first bytes of a compressed blob, as an earlier pull received them; locked while it is open.
///
/// A partial blob is only a hint. It is never synced, so after a crash its bytes may be wrong: a download that resumes from it
/// hashes all of it again, and discards it when the digest does not match.
#[derive(Debug)]
pub struct PartialBlob {
    store: Store,
    digest: Digest,
    file: File,
    place: Place,
    path: PathBuf,
    /// `len_bytes <= expected_bytes`, always.
    len_bytes: u64,
    expected_bytes: u64,
}

impl Store {
    /// Opens the partial blob of a blob, empty if there was none; `None` while another pull has it open.
    ///
    /// A partial blob longer than `expected_bytes`, the blob's declared size, is of another blob or damaged, and is emptied. What is
    /// no file of this cache (a link, a hard link to another file, a fifo) is replaced.
    pub fn open_partial_blob(
        &self,
        digest: &Digest,
        expected_bytes: u64,
    ) -> Result<Option<PartialBlob>> {
        let place = PARTIAL_BLOB.place(digest, 0);
        let mut request = Request::new(self, place.clone());
        let Some(file) = request.try_with(FileExt::try_lock)? else {
            return Ok(None);
        };
        let len_bytes = file.metadata().at(Step::Stat, &request.path)?.len();
        let mut partial = PartialBlob {
            store: self.clone(),
            digest: *digest,
            file,
            place,
            path: request.path,
            len_bytes,
            expected_bytes,
        };
        if partial.len_bytes > expected_bytes {
            partial.truncate(0)?;
        }
        Ok(Some(partial))
    }
}

impl PartialBlob {
    /// Returns how many bytes there are; at most the blob's declared size.
    #[must_use]
    pub fn len_bytes(&self) -> u64 {
        self.len_bytes
    }

    /// Returns a reader of the bytes that are there now, from the first on, with its own handle and position.
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
    /// [`Error::Full`] the partial blob still ends where it did, and can be discarded to make room.
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
        // Positioned writes: what a failed one left beyond the end is overwritten or cut off, never counted.
        if let Err(source) = self.file.write_all_at(bytes, self.len_bytes) {
            let error = Error::from_io(Step::Write, &self.path, source)
                .with_needed_bytes(self.expected_bytes);
            self.truncate(self.len_bytes)?;
            return Err(error);
        }
        self.len_bytes = actual_bytes;
        Ok(())
    }

    /// Keeps the first `len_bytes` only; 0 to start over. It never becomes longer.
    pub fn truncate(&mut self, len_bytes: u64) -> Result<()> {
        let len_bytes = len_bytes.min(self.len_bytes);
        self.file
            .set_len(len_bytes)
            .at(Step::Truncate, &self.path)?;
        self.len_bytes = len_bytes;
        Ok(())
    }

    /// Removes the partial blob: the layer is published, or the bytes were wrong.
    pub fn discard(self) -> Result<()> {
        if let Some(dir) = self.store.dir(&self.place.dir)? {
            dir.remove_file(&self.place.name)?;
        }
        Ok(())
    }

    /// Publishes the blob among the kept blobs of layers instead of removing it. The caller has verified its bytes. Returns `false`, and
    /// leaves the partial blob as it is, if bytes are missing.
    ///
    /// The file is synced and gets another name; nothing is copied.
    pub fn keep(self) -> Result<bool> {
        let on_disk = self.file.metadata().at(Step::Stat, &self.path)?.len();
        if self.len_bytes != self.expected_bytes || on_disk != self.expected_bytes {
            return Ok(false);
        }
        let session = self.store.session();
        let target = LAYER_BLOB.place(&self.digest, 0);
        let (into, modes) = session.make_dir(&target.dir)?;
        rustix::fs::fchmod(&self.file, modes.artifact)
            .map_err(io::Error::from)
            .at(Step::SetPermissions, &self.path)?;
        #[cfg(test)]
        crate::order::note("sync", &self.path);
        sys::sync_file(&self.file).at(Step::Sync, &self.path)?;
        match session.dir(&self.place.dir)? {
            Some(dir) => dir.rename_into(&self.place.name, &into, &target.name)?,
            None => return Ok(false),
        }
        Ok(true)
    }

    /// Returns its path.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for PartialBlob {
    fn drop(&mut self) {
        unlock(&self.file);
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
        let read = self.file.read_at(&mut buffer[..wanted], self.at_bytes)?;
        if read == 0 && wanted > 0 {
            // Truncated while it was read; resuming from its former end would leave a hole.
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.at_bytes +=
            u64::try_from(read).expect("a usize fits in 64 bits on every system that Rust has");
        Ok(read)
    }
}
