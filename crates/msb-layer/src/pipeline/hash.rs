use std::io::{self, BufWriter, Write};
use std::sync::mpsc::Receiver;

use bytes::Bytes;
use msb_oci::{Algorithm, Digest, Hasher};

use super::CHUNK_BYTES;
use crate::decode::Chunk;
use crate::stage_time::StageTime;
use crate::{LayerError, PartialBlobStep};

/// The stage that computes both digests and writes the partial blob.
pub(super) struct Hash {
    pub(super) time: StageTime,
    pub(super) queue: Receiver<Piece>,
    pub(super) partial: Option<Box<dyn Write + Send>>,
}

/// Input of this stage.
#[derive(Debug)]
pub(super) enum Piece {
    /// Bytes of the blob, from the partial blob.
    Earlier(Bytes),
    /// Bytes of the blob, from the download.
    Blob(Bytes),
    /// Uncompressed bytes.
    Uncompressed(Chunk),
    /// The end of the blob.
    End,
}

/// Both digests of a layer.
#[derive(Debug)]
pub(super) struct Hashes {
    pub(super) blob: Digest,
    pub(super) diff_id: Digest,
}

impl Hash {
    pub(super) fn run(mut self, [blob, diff_id]: [Algorithm; 2]) -> Result<Hashes, LayerError> {
        let (mut blob, mut diff_id) = (Hasher::new(blob), Hasher::new(diff_id));
        // Flushed on every way out of here, so that the next attempt can resume.
        let partial = self.partial.take();
        let mut partial = partial.map(|partial| BufWriter::with_capacity(CHUNK_BYTES, partial));
        loop {
            match self.time.input(|| self.queue.recv()) {
                Ok(Piece::Earlier(bytes)) => blob.update(&bytes),
                Ok(Piece::Blob(bytes)) => {
                    blob.update(&bytes);
                    if let Some(partial) = &mut partial {
                        let kept = self.time.partial_blob(|| partial.write_all(&bytes));
                        kept.map_err(write_error)?;
                    }
                }
                Ok(Piece::Uncompressed(chunk)) => diff_id.update(&chunk),
                Ok(Piece::End) => {
                    if let Some(partial) = &mut partial {
                        let kept = self.time.partial_blob(|| partial.flush());
                        kept.map_err(write_error)?;
                    }
                    self.time.report();
                    return Ok(Hashes {
                        blob: blob.finish(),
                        diff_id: diff_id.finish(),
                    });
                }
                Err(_) => return Err(LayerError::Cancelled),
            }
        }
    }
}

fn write_error(source: io::Error) -> LayerError {
    LayerError::PartialBlob {
        step: PartialBlobStep::Write,
        source,
    }
}
