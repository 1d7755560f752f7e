use std::io::{self, Write};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use msb_layer::BlobPart;
use msb_oci::Digest;
use msb_store::{PartialBlob, Store};

use crate::PullError;

/// What was kept of a blob: the pipeline adds to it, and the pull throws it away in the end.
#[derive(Clone, Debug)]
pub(super) struct SharedPart(Arc<Mutex<Option<PartialBlob>>>);

impl SharedPart {
    /// `None` while another pull has it.
    pub(super) fn open(
        store: &Store,
        digest: &Digest,
        blob_bytes: u64,
    ) -> Result<Option<Self>, PullError> {
        let part = store.open_partial_blob(digest, blob_bytes)?;
        Ok(part.map(|part| Self(Arc::new(Mutex::new(Some(part))))))
    }

    pub(super) fn len_bytes(&self) -> u64 {
        self.lock().as_ref().map_or(0, PartialBlob::len_bytes)
    }

    /// The part as the pipeline takes it.
    pub(super) fn to_blob_part(&self) -> Result<BlobPart, PullError> {
        let state = self.lock();
        let part = state.as_ref().ok_or(PullError::Cancelled)?;
        Ok(BlobPart {
            earlier: Box::new(part.reader()?),
            bytes: part.len_bytes(),
            more: Box::new(self.clone()),
        })
    }

    pub(super) fn discard(&self) -> Result<(), PullError> {
        match self.lock().take() {
            Some(part) => Ok(part.discard()?),
            None => Ok(()),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Option<PartialBlob>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Write for SharedPart {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut state = self.lock();
        // Thrown away already: nobody will go on from it.
        let Some(part) = state.as_mut() else {
            return Ok(bytes.len());
        };
        part.append(bytes).map_err(|error| {
            let kind = if error.is_full() {
                io::ErrorKind::StorageFull
            } else {
                io::ErrorKind::Other
            };
            io::Error::new(kind, error)
        })?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
