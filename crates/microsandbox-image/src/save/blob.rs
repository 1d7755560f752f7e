use std::fs::File;
use std::io::{self, Read as _};
use std::path::PathBuf;

use msb_layer::LayerLimits;
use msb_layer::decode::{Decoder, Limits, Pool, PushError};
use msb_oci::{Digest, Hasher};
use msb_store::Store;

use super::SaveError;

/// The number of bytes that are read, and decompressed, at once.
const BUFFER_BYTES: usize = 256 << 10;

/// The kept blob of a layer.
#[derive(Clone, Debug)]
pub(super) struct LayerBlob {
    pub(super) path: PathBuf,
    pub(super) digest: Digest,
    pub(super) diff_id: Digest,
    /// Its length.
    pub(super) bytes: u64,
}

impl LayerBlob {
    /// Passes the bytes of the blob to `out`, and verifies length and digest.
    pub(super) fn read(
        &self,
        store: &Store,
        mut out: impl FnMut(&[u8]) -> Result<(), SaveError>,
    ) -> Result<(), SaveError> {
        let mut hasher = Hasher::new(self.digest.algorithm());
        self.pieces(store, |piece| {
            hasher.update(piece);
            out(piece)
        })?;
        self.verify(self.digest, hasher)
    }

    /// Passes the uncompressed bytes to `out`, verifies them against the diff_id, and returns their number.
    pub(super) fn decompress(
        &self,
        store: &Store,
        mut out: impl FnMut(&[u8]) -> Result<(), SaveError>,
    ) -> Result<u64, SaveError> {
        let limit = LayerLimits::default().uncompressed_bytes;
        let mut hasher = Hasher::new(self.diff_id.algorithm());
        let mut bytes = 0_u64;
        let mut write = |chunk: &[u8]| {
            bytes = bytes.saturating_add(chunk.len() as u64);
            if bytes > limit {
                return Err(self.length(limit, bytes));
            }
            hasher.update(chunk);
            out(chunk)
        };
        let failed = |error| match error {
            PushError::Output(error) => error,
            PushError::Decode(source) => SaveError::Decode {
                path: self.path.clone(),
                source,
            },
        };
        let mut decoder = Decoder::new(Pool::new(BUFFER_BYTES, 2), Limits::default());
        self.pieces(store, |piece| {
            let pushed = decoder.push(piece, &mut |chunk| write(&chunk));
            pushed.map_err(failed)
        })?;
        decoder.finish(&mut |chunk| write(&chunk)).map_err(failed)?;
        self.verify(self.diff_id, hasher)?;
        Ok(bytes)
    }

    /// Returns the error for bytes that are more or fewer than expected.
    pub(super) fn length(&self, expected: u64, actual: u64) -> SaveError {
        SaveError::BlobLength {
            path: self.path.clone(),
            expected,
            actual,
        }
    }

    /// Passes exactly as many bytes as the blob has.
    fn pieces(
        &self,
        store: &Store,
        mut out: impl FnMut(&[u8]) -> Result<(), SaveError>,
    ) -> Result<(), SaveError> {
        let failed = |source| SaveError::ReadBlob {
            path: self.path.clone(),
            source,
        };
        let opened = store.open_layer_blob(&self.digest);
        let opened = opened.map_err(|error| SaveError::Cache(error.into()))?;
        let mut file: File = opened.ok_or_else(|| failed(io::ErrorKind::NotFound.into()))?;
        let mut buffer = vec![0; BUFFER_BYTES];
        let mut bytes = 0_u64;
        loop {
            let read = match file.read(&mut buffer) {
                Ok(0) => break,
                Ok(read) => read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(source) => return Err(failed(source)),
            };
            bytes = bytes.saturating_add(read as u64);
            if bytes > self.bytes {
                break;
            }
            out(&buffer[..read])?;
        }
        if bytes == self.bytes {
            Ok(())
        } else {
            Err(self.length(self.bytes, bytes))
        }
    }

    fn verify(&self, expected: Digest, hasher: Hasher) -> Result<(), SaveError> {
        let actual = hasher.finish();
        if actual == expected {
            return Ok(());
        }
        Err(SaveError::Blob {
            path: self.path.clone(),
            expected,
            actual,
        })
    }
}
