use std::io::{self, Write};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use msb_layer::PartialBlobIo;
use msb_oci::Digest;
use msb_store::{PartialBlob, Store};

use crate::PullError;

/// The partial blob of a download, shared between the pipeline that appends to it and the pull that discards it.
///
/// It only makes a later resume possible, so no failure of it ever fails the pull: it is logged, and the download continues
/// without a partial blob.
#[derive(Clone, Debug)]
pub(super) struct SharedPartial(Arc<Mutex<Option<PartialBlob>>>);

impl SharedPartial {
    /// Opens the partial blob. Returns `None` if another pull has it open, or it cannot be opened.
    pub(super) fn open(store: &Store, digest: &Digest, blob_bytes: u64) -> Option<Self> {
        match store.open_partial_blob(digest, blob_bytes) {
            Ok(partial) => partial.map(|partial| Self(Arc::new(Mutex::new(Some(partial))))),
            Err(error) => {
                tracing::warn!(%digest, %error, "the partial blob cannot be opened; the download cannot be resumed later");
                None
            }
        }
    }

    /// Returns the partial blob as the pipeline takes it; `None` if it cannot be read, and then it is discarded.
    pub(super) fn to_layer_io(&self) -> Option<PartialBlobIo> {
        let state = self.lock();
        let partial = state.as_ref()?;
        match partial.reader() {
            Ok(reader) => Some(PartialBlobIo {
                earlier: Box::new(reader),
                bytes: partial.len_bytes(),
                more: Box::new(self.clone()),
            }),
            Err(error) => {
                tracing::warn!(%error, "the partial blob cannot be read; the download starts over");
                drop(state);
                self.discard();
                None
            }
        }
    }

    /// Removes the partial blob. Returns `false` if it is still there.
    pub(super) fn discard(&self) -> bool {
        let Some(partial) = self.lock().take() else {
            return true;
        };
        match partial.discard() {
            Ok(()) => true,
            Err(error) => {
                tracing::warn!(%error, "the partial blob cannot be removed");
                false
            }
        }
    }

    /// Publishes the whole, verified blob, unless it could not be written.
    pub(super) fn keep(&self) -> Result<(), PullError> {
        if let Some(partial) = self.lock().take() {
            partial.keep()?;
        }
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, Option<PartialBlob>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Write for SharedPartial {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let appended = match self.lock().as_mut() {
            Some(partial) => partial.append(bytes),
            None => Ok(()),
        };
        if let Err(error) = appended {
            tracing::warn!(%error, "the partial blob cannot be written; the download cannot be resumed later");
            // Its space may be what the layer image lacks.
            self.discard();
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_partial_blob_that_cannot_be_opened_is_done_without() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        let digest = Digest::sha256_of(b"blob");
        // A file lies where the directory would have to be.
        std::fs::write(folder.path().join("parts"), b"").unwrap();
        assert!(SharedPartial::open(&store, &digest, 100).is_none());
    }

    #[test]
    fn a_partial_blob_that_cannot_be_written_is_discarded_and_the_download_continues() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        let digest = Digest::sha256_of(b"blob");
        let mut partial = SharedPartial::open(&store, &digest, 10).unwrap();
        partial.write_all(b"12345").unwrap();
        // More than the blob has is one of the errors of appending.
        partial.write_all(b"1234567890").unwrap();
        assert!(partial.to_layer_io().is_none());
        partial.write_all(b"more").unwrap();
        let again = SharedPartial::open(&store, &digest, 10).unwrap();
        assert_eq!(again.to_layer_io().unwrap().bytes, 0);
    }
}
