use std::fmt;
use std::fs::File;
use std::io::{BufWriter, Read, Write};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, atomic::AtomicU64, atomic::Ordering};
use std::thread::{Builder, JoinHandle};

use bytes::Bytes;
use msb_oci::{Digest, Hasher};
use msb_sidecar::{ImageSummary, Note};
use tokio::sync::{mpsc, oneshot};

use crate::decode::{Chunk, Compression, Decoder, Pool, PushError, WindowBudget};
use crate::ingest::{Targets, ingest};
use crate::{LayerError, LayerLimit, LayerLimits, PartStep};

/// Plain bytes handed on at a time. A file's data is written straight from such a piece.
const CHUNK_BYTES: usize = 256 << 10;
/// Pieces that wait for the hash and for the archive reader, each.
const CHUNKS_QUEUED: usize = 6;
/// Pieces of the download that wait to be inflated.
const BODY_QUEUED: usize = 32;

/// One layer to be made from a compressed archive.
///
/// ```text
///  download ─▶ LayerFeed ─▶ [inflate: part file, blob digest, decompression] ─┬─▶ [hash: diff_id]
///                                                                             └─▶ [write: archive, image, sidecar]
/// ```
///
/// The three stages are threads of their own with bounded queues between them, so that one large layer keeps more than one
/// core busy and nothing of it runs on the caller's executor.
#[derive(Debug)]
pub struct LayerJob {
    /// The blob's digest, from the manifest.
    pub blob: Digest,
    /// The blob's length in bytes, from the manifest.
    pub blob_bytes: u64,
    /// The unpacked archive's digest, from the config.
    pub diff_id: Digest,
    /// Where the layer image goes: an empty file.
    pub image: File,
    /// Where the sidecar goes: an empty file, opened for reading too.
    pub sidecar: File,
    /// What an earlier attempt left of the blob, and where this one leaves what it gets.
    pub part: Option<BlobPart>,
    /// What the layer may claim.
    pub limits: LayerLimits,
    /// What all layers of a pull may take for the windows of zstd frames.
    pub windows: WindowBudget,
}

/// The beginning of a blob, kept over attempts.
pub struct BlobPart {
    /// Gives what is there.
    pub earlier: Box<dyn Read + Send>,
    /// How many bytes that are. The feed goes on with the byte after these.
    pub bytes: u64,
    /// Takes what comes.
    pub more: Box<dyn Write + Send>,
}

impl fmt::Debug for BlobPart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BlobPart")
            .field("bytes", &self.bytes)
            .finish_non_exhaustive()
    }
}

/// A layer that was made, its two files written but not synced.
#[derive(Debug)]
pub struct IngestedLayer {
    /// The layer image.
    pub image: ImageSummary,
    /// Entries of the archive.
    pub entries: u64,
    /// How it was compressed.
    pub compression: Compression,
    /// What is not exact.
    pub notes: Vec<Note>,
}

/// Where the download puts the blob's bytes. Dropping it before [`finish`](Self::finish) cancels the layer.
#[derive(Debug)]
pub struct LayerFeed {
    sender: mpsc::Sender<Feed>,
}

/// The layer on its way.
#[derive(Debug)]
pub struct LayerTask {
    result: oneshot::Receiver<Result<IngestedLayer, LayerError>>,
    processed: Arc<AtomicU64>,
}

enum Feed {
    Bytes(Bytes),
    End,
}

impl LayerJob {
    /// Starts the stages.
    ///
    /// # Errors
    /// [`LayerError::Spawn`].
    pub fn start(self) -> Result<(LayerFeed, LayerTask), LayerError> {
        let Self {
            blob,
            blob_bytes,
            diff_id,
            image,
            sidecar,
            part,
            limits,
            windows,
        } = self;
        let (feed, body) = mpsc::channel(BODY_QUEUED);
        let (to_hash, hash_queue) = sync_channel(CHUNKS_QUEUED);
        let (to_write, write_queue) = sync_channel(CHUNKS_QUEUED);
        let (result_sender, result) = oneshot::channel();
        let processed = Arc::new(AtomicU64::new(0));

        let inflate = Inflate {
            blob,
            blob_bytes,
            part,
            body,
            plain_limit: limits.plain_bytes,
            processed: Arc::clone(&processed),
            outputs: [to_hash, to_write],
        };
        let uuid = uuid_of(&diff_id);
        let inflate_limits = limits.decode;
        let inflate = spawn("layer-inflate", move || {
            inflate.run(inflate_limits, windows)
        })?;
        let hasher = Hasher::new(diff_id.algorithm());
        let hash = spawn("layer-hash", move || hash_chunks(hasher, &hash_queue))?;
        // Nobody waits for this one: it waits for the others, and says how all of them ended.
        spawn("layer-write", move || {
            let next = || match write_queue.recv() {
                Ok(Piece::Chunk(chunk)) => Ok(Some(chunk)),
                Ok(Piece::End) => Ok(None),
                Err(_) => Err(LayerError::Cancelled),
            };
            let ingested = ingest(next, Targets { image, sidecar }, &limits, uuid);
            drop(write_queue);
            let (compression, actual) = (join(inflate), join(hash));
            let result = match (compression, ingested, actual) {
                (Ok(compression), Ok(ingested), Ok(actual)) if actual == diff_id => {
                    Ok(IngestedLayer {
                        image: ingested.image,
                        entries: ingested.entries,
                        compression,
                        notes: ingested.notes,
                    })
                }
                (Ok(_), Ok(_), Ok(actual)) => Err(LayerError::DiffId {
                    expected: diff_id,
                    actual,
                }),
                (inflate, write, hash) => Err(cause([inflate.err(), write.err(), hash.err()])),
            };
            // Nobody may be waiting any more: then the pull was given up.
            let _ = result_sender.send(result);
        })?;
        Ok((LayerFeed { sender: feed }, LayerTask { result, processed }))
    }
}

impl LayerFeed {
    /// Hands on the blob's next bytes; waits while the stages are behind. `false`: the layer has failed, and
    /// [`LayerTask::wait`] says why.
    pub async fn send(&self, bytes: Bytes) -> bool {
        self.sender.send(Feed::Bytes(bytes)).await.is_ok()
    }

    /// Says that these were all.
    pub async fn finish(self) {
        // A failure is the task's to tell.
        let _ = self.sender.send(Feed::End).await;
    }
}

impl LayerTask {
    /// How many of the blob's bytes the stages have taken so far.
    #[must_use]
    pub fn processed(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.processed)
    }

    /// Waits for the end of all stages. Both digests have been verified when this is `Ok`.
    ///
    /// # Errors
    /// See [`LayerError`].
    pub async fn wait(self) -> Result<IngestedLayer, LayerError> {
        self.result.await.unwrap_or(Err(LayerError::Panicked))
    }
}

#[derive(Debug)]
enum Piece {
    Chunk(Chunk),
    End,
}

struct Inflate {
    blob: Digest,
    blob_bytes: u64,
    part: Option<BlobPart>,
    body: mpsc::Receiver<Feed>,
    plain_limit: u64,
    processed: Arc<AtomicU64>,
    outputs: [SyncSender<Piece>; 2],
}

impl Inflate {
    fn run(
        mut self,
        limits: crate::decode::Limits,
        windows: WindowBudget,
    ) -> Result<Compression, LayerError> {
        let mut stream = Stream {
            hasher: Hasher::new(self.blob.algorithm()),
            decoder: Decoder::new(Pool::new(CHUNK_BYTES, 2 * CHUNKS_QUEUED), limits)
                .with_windows(windows),
            taken: 0,
            blob_bytes: self.blob_bytes,
            plain_bytes: 0,
            plain_limit: self.plain_limit,
            outputs: &self.outputs,
            processed: &self.processed,
        };
        let mut keep = None;
        if let Some(mut part) = self.part {
            replay(&mut part, &mut stream)?;
            // What is buffered is written on every way out of here, so that the next attempt has it.
            keep = Some(BufWriter::with_capacity(CHUNK_BYTES, part.more));
        }
        loop {
            match self.body.blocking_recv() {
                None => return Err(LayerError::Cancelled),
                Some(Feed::End) => break,
                Some(Feed::Bytes(bytes)) => {
                    stream.push(&bytes)?;
                    if let Some(keep) = &mut keep {
                        keep.write_all(&bytes).map_err(|source| LayerError::Part {
                            step: PartStep::Write,
                            source,
                        })?;
                    }
                }
            }
        }
        stream.finish(&self.blob)
    }
}

/// Takes what an earlier attempt left.
fn replay(part: &mut BlobPart, stream: &mut Stream<'_>) -> Result<(), LayerError> {
    let failed = |source| LayerError::Part {
        step: PartStep::Read,
        source,
    };
    let mut buffer = vec![0; CHUNK_BYTES];
    let mut left = part.bytes;
    while left > 0 {
        let len = usize::try_from(left)
            .unwrap_or(usize::MAX)
            .min(buffer.len());
        part.earlier
            .read_exact(&mut buffer[..len])
            .map_err(failed)?;
        stream.push(&buffer[..len])?;
        left -= len as u64;
    }
    Ok(())
}

/// The blob as it goes by.
struct Stream<'a> {
    hasher: Hasher,
    decoder: Decoder,
    taken: u64,
    blob_bytes: u64,
    plain_bytes: u64,
    plain_limit: u64,
    outputs: &'a [SyncSender<Piece>; 2],
    processed: &'a AtomicU64,
}

impl Stream<'_> {
    fn push(&mut self, bytes: &[u8]) -> Result<(), LayerError> {
        self.taken += bytes.len() as u64;
        if self.taken > self.blob_bytes {
            return Err(LayerError::BlobTooLong {
                expected: self.blob_bytes,
            });
        }
        self.hasher.update(bytes);
        let (outputs, plain_limit, plain_bytes) =
            (self.outputs, self.plain_limit, &mut self.plain_bytes);
        self.decoder
            .push(bytes, &mut |chunk| {
                send(outputs, chunk, plain_bytes, plain_limit)
            })
            .map_err(decode_error)?;
        self.processed.store(self.taken, Ordering::Relaxed);
        Ok(())
    }

    fn finish(self, blob: &Digest) -> Result<Compression, LayerError> {
        if self.taken < self.blob_bytes {
            return Err(LayerError::BlobTooShort {
                expected: self.blob_bytes,
                actual: self.taken,
            });
        }
        // Before the decoder's own end, whose complaint would only follow from wrong bytes.
        let actual = self.hasher.finish();
        if actual != *blob {
            return Err(LayerError::BlobDigest {
                expected: blob.clone(),
                actual,
            });
        }
        let compression = self.decoder.compression().unwrap_or(Compression::None);
        let (outputs, plain_limit, mut plain_bytes) =
            (self.outputs, self.plain_limit, self.plain_bytes);
        self.decoder
            .finish(&mut |chunk| send(outputs, chunk, &mut plain_bytes, plain_limit))
            .map_err(decode_error)?;
        for output in outputs {
            output.send(Piece::End).map_err(|_| LayerError::Cancelled)?;
        }
        Ok(compression)
    }
}

fn send(
    outputs: &[SyncSender<Piece>; 2],
    chunk: Chunk,
    plain_bytes: &mut u64,
    plain_limit: u64,
) -> Result<(), LayerError> {
    *plain_bytes += chunk.len() as u64;
    if *plain_bytes > plain_limit {
        let limit = LayerLimit::PlainBytes;
        return Err(LayerError::Limit {
            limit,
            allowed: plain_limit,
            actual: *plain_bytes,
        });
    }
    for output in outputs {
        output
            .send(Piece::Chunk(chunk.clone()))
            .map_err(|_| LayerError::Cancelled)?;
    }
    Ok(())
}

fn hash_chunks(mut hasher: Hasher, queue: &Receiver<Piece>) -> Result<Digest, LayerError> {
    loop {
        match queue.recv() {
            Ok(Piece::Chunk(chunk)) => hasher.update(&chunk),
            Ok(Piece::End) => return Ok(hasher.finish()),
            Err(_) => return Err(LayerError::Cancelled),
        }
    }
}

fn spawn<T: Send + 'static>(
    name: &str,
    stage: impl FnOnce() -> T + Send + 'static,
) -> Result<JoinHandle<T>, LayerError> {
    Builder::new()
        .name(name.into())
        .spawn(stage)
        .map_err(|source| LayerError::Spawn { source })
}

fn join<T>(stage: JoinHandle<Result<T, LayerError>>) -> Result<T, LayerError> {
    stage.join().unwrap_or(Err(LayerError::Panicked))
}

/// A failed stage makes the others end as cancelled; the cause is the first that says more than that.
fn cause(errors: [Option<LayerError>; 3]) -> LayerError {
    let mut errors = errors.into_iter().flatten();
    errors
        .find(|error| !matches!(error, LayerError::Cancelled))
        .unwrap_or(LayerError::Cancelled)
}

fn decode_error(error: PushError<LayerError>) -> LayerError {
    match error {
        PushError::Decode(source) => LayerError::Decode { source },
        PushError::Output(error) => error,
    }
}

/// An image's identity is its layer's: the first 16 bytes of the diff_id.
fn uuid_of(diff_id: &Digest) -> [u8; 16] {
    let mut uuid = [0; 16];
    for (byte, hex) in uuid.iter_mut().zip(diff_id.hex().as_bytes().chunks(2)) {
        let digits = std::str::from_utf8(hex).unwrap_or("0");
        *byte = u8::from_str_radix(digits, 16).unwrap_or(0);
    }
    uuid
}
