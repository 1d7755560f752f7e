use std::io::{BufWriter, Write};
use std::sync::mpsc::Receiver;

use bytes::Bytes;
use msb_oci::{Algorithm, Digest, Hasher};

use super::CHUNK_BYTES;
use crate::decode::Chunk;
use crate::stage_time::StageTime;
use crate::{LayerError, PartStep};

/// The stage that takes both digests, and keeps the blob for a later attempt.
pub(super) struct Hash {
    pub(super) time: StageTime,
    pub(super) queue: Receiver<Piece>,
    pub(super) part: Option<Box<dyn Write + Send>>,
}

/// What this stage gets.
#[derive(Debug)]
pub(super) enum Piece {
    /// Of the blob, from the part file.
    Earlier(Bytes),
    /// Of the blob, as it comes.
    Blob(Bytes),
    /// Of the unpacked archive.
    Plain(Chunk),
    /// The blob is whole.
    End,
}

/// Both digests of a layer.
#[derive(Debug)]
pub(super) struct Hashes {
    pub(super) blob: Digest,
    pub(super) plain: Digest,
}

impl Hash {
    pub(super) fn run(mut self, [blob, plain]: [Algorithm; 2]) -> Result<Hashes, LayerError> {
        let (mut blob, mut plain) = (Hasher::new(blob), Hasher::new(plain));
        // What is buffered is written on every way out of here, so that the next attempt has it.
        let part = self.part.take();
        let mut part = part.map(|part| BufWriter::with_capacity(CHUNK_BYTES, part));
        loop {
            match self.time.input(|| self.queue.recv()) {
                Ok(Piece::Earlier(bytes)) => blob.update(&bytes),
                Ok(Piece::Blob(bytes)) => {
                    blob.update(&bytes);
                    if let Some(part) = &mut part {
                        let kept = self.time.part(|| part.write_all(&bytes));
                        kept.map_err(|source| LayerError::Part {
                            step: PartStep::Write,
                            source,
                        })?;
                    }
                }
                Ok(Piece::Plain(chunk)) => plain.update(&chunk),
                Ok(Piece::End) => {
                    self.time.tell();
                    return Ok(Hashes {
                        blob: blob.finish(),
                        plain: plain.finish(),
                    });
                }
                Err(_) => return Err(LayerError::Cancelled),
            }
        }
    }
}
