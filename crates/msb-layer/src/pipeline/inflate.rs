use std::io::Read as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::SyncSender;

use bytes::Bytes;
use msb_budget::{Account, ImageLimit};
use tokio::sync::mpsc;

use super::hash::Piece;
use super::{CHUNK_BYTES, CHUNKS_QUEUED, Earlier, Feed, Uncompressed};
use crate::decode::{
    Chunk, Compression, DecodeError, Decoder, Limits, Pool, PushError, WindowBudget,
};
use crate::stage_time::StageTime;
use crate::{LayerError, LayerLimit, PartialBlobStep};

/// The stage that decompresses, and counts its input and output.
pub(super) struct Inflate {
    pub(super) earlier: Option<Earlier>,
    pub(super) body: mpsc::Receiver<Feed>,
    pub(super) stream: Stream,
}

/// The blob as it passes through.
pub(super) struct Stream {
    pub(super) decoder: Decoder,
    pub(super) blob_bytes: u64,
    pub(super) taken: u64,
    pub(super) processed: Arc<AtomicU64>,
    pub(super) output: Output,
}

/// The stages behind this one.
pub(super) struct Output {
    pub(super) account: Account,
    /// Set when the pull ends, whatever the later stages do.
    pub(super) cancelled: Arc<AtomicBool>,
    pub(super) time: StageTime,
    pub(super) uncompressed_limit: u64,
    pub(super) uncompressed_bytes: u64,
    pub(super) to_hash: SyncSender<Piece>,
    pub(super) to_write: SyncSender<Uncompressed>,
}

/// Creates a decoder whose pool has as many chunks as the queues hold.
pub(super) fn decoder(
    limits: Limits,
    windows: WindowBudget,
    cancelled: Arc<AtomicBool>,
) -> Decoder {
    let pool = Pool::new(CHUNK_BYTES, 2 * CHUNKS_QUEUED);
    Decoder::new(pool, limits).with_windows(windows, cancelled)
}

impl Inflate {
    pub(super) fn run(self) -> Result<(Compression, Account), LayerError> {
        let Self {
            earlier,
            mut body,
            mut stream,
        } = self;
        if let Some(earlier) = earlier {
            replay(earlier, &mut stream)?;
        }
        loop {
            match stream.output.time.input(|| body.blocking_recv()) {
                None => return Err(LayerError::Cancelled),
                Some(Feed::End) => return stream.finish(),
                Some(Feed::Bytes(bytes)) => stream.push(&bytes.clone(), Piece::Blob(bytes))?,
            }
        }
    }
}

/// Processes the partial blob of an earlier attempt.
fn replay(mut partial: Earlier, stream: &mut Stream) -> Result<(), LayerError> {
    let mut left = partial.bytes;
    while left > 0 {
        let mut buffer = vec![0; usize::try_from(left).unwrap_or(usize::MAX).min(CHUNK_BYTES)];
        partial
            .earlier
            .read_exact(&mut buffer)
            .map_err(|source| LayerError::PartialBlob {
                step: PartialBlobStep::Read,
                source,
            })?;
        left -= buffer.len() as u64;
        let bytes = Bytes::from(buffer);
        stream.push(&bytes.clone(), Piece::Earlier(bytes))?;
    }
    Ok(())
}

impl Stream {
    /// Decodes the blob's next bytes. `piece` contains the same bytes for the hash.
    fn push(&mut self, bytes: &[u8], piece: Piece) -> Result<(), LayerError> {
        self.taken += bytes.len() as u64;
        if self.taken > self.blob_bytes {
            return Err(LayerError::BlobTooLong {
                expected: self.blob_bytes,
            });
        }
        let output = &mut self.output;
        output.hash(piece)?;
        self.decoder
            .push(bytes, &mut |chunk| output.uncompressed(chunk))
            .map_err(decode_error)?;
        self.processed.store(self.taken, Ordering::Relaxed);
        Ok(())
    }

    fn finish(self) -> Result<(Compression, Account), LayerError> {
        let Self {
            decoder,
            blob_bytes,
            taken,
            mut output,
            ..
        } = self;
        if taken < blob_bytes {
            return Err(LayerError::BlobTooShort {
                expected: blob_bytes,
                actual: taken,
            });
        }
        let compression = decoder.compression().unwrap_or(Compression::None);
        let decoded = decoder.finish(&mut |chunk| output.uncompressed(chunk));
        // Sent even if the decoder failed: the digest shows whether wrong bytes are the cause.
        output.hash(Piece::End)?;
        decoded.map_err(decode_error)?;
        output.write(Uncompressed::End)?;
        output.time.report();
        Ok((compression, output.account))
    }
}

impl Output {
    fn uncompressed(&mut self, chunk: Chunk) -> Result<(), LayerError> {
        if self.cancelled.load(Ordering::Relaxed) {
            return Err(LayerError::Cancelled);
        }
        self.uncompressed_bytes += chunk.len() as u64;
        if self.uncompressed_bytes > self.uncompressed_limit {
            return Err(LayerError::Limit {
                limit: LayerLimit::UncompressedBytes,
                allowed: self.uncompressed_limit,
                actual: self.uncompressed_bytes,
            });
        }
        self.account
            .set(ImageLimit::UncompressedBytes, self.uncompressed_bytes)?;
        self.hash(Piece::Uncompressed(chunk.clone()))?;
        self.write(Uncompressed::Chunk(chunk))
    }

    fn hash(&mut self, piece: Piece) -> Result<(), LayerError> {
        let sent = self.time.output(|| self.to_hash.send(piece));
        sent.map_err(|_| LayerError::Cancelled)
    }

    fn write(&mut self, piece: Uncompressed) -> Result<(), LayerError> {
        let sent = self.time.output(|| self.to_write.send(piece));
        sent.map_err(|_| LayerError::Cancelled)
    }
}

fn decode_error(error: PushError<LayerError>) -> LayerError {
    match error {
        PushError::Decode(DecodeError::Cancelled) => LayerError::Cancelled,
        PushError::Decode(source) => LayerError::Decode { source },
        PushError::Output(error) => error,
    }
}
