mod failure;
mod hash;
mod inflate;
mod verify;

use std::fmt;
use std::fs::File;
use std::io::{Read, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, sync_channel};
use std::thread::{Builder, JoinHandle};

use bytes::Bytes;
use msb_budget::{Account, ImageBudget};
use msb_oci::Digest;
use msb_sidecar::{ImageSummary, Note};
use tokio::sync::{mpsc, oneshot};

use crate::decode::{Chunk, Compression, WindowBudget};
use crate::format::check_media_type;
use crate::ingest::{ReadLayer, Targets, Work, ingest};
use crate::stage_time::StageTime;
use crate::{LayerError, LayerLimits};
use failure::{Failure, FailureSignal};
use hash::{Hash, Hashes};
use inflate::{Inflate, Output, Stream};

pub use verify::{VerifyJob, VerifyTask};

/// Plain bytes handed on at a time. A file's data is written straight from such a piece.
const CHUNK_BYTES: usize = 256 << 10;
/// Pieces that wait for the hashes and for the archive reader, each.
const CHUNKS_QUEUED: usize = 6;
/// Pieces of the download that wait to be inflated; the client's are up to some 400 KiB.
const BODY_QUEUED: usize = 6;

/// One layer to be made from a compressed archive.
///
/// ```text
///                                       ┌─ blob ──▶ [hash: both digests, part file]
///  download ─▶ LayerFeed ─▶ [inflate] ──┤
///                                       └─ plain ─▶ [hash] and [write: archive, image, sidecar] ─▶ ReadLayer, at the archive's end
/// ```
///
/// The three stages are threads of their own with bounded queues between them, so that one large layer keeps more than one
/// core busy and nothing of it runs on the caller's executor. Inflating takes as long as all the rest together, so its thread
/// does nothing else.
#[derive(Debug)]
pub struct LayerJob {
    /// The blob's digest, from the manifest.
    pub blob: Digest,
    /// The blob's length in bytes, from the manifest.
    pub blob_bytes: u64,
    /// The media type of the blob, from the manifest; empty if it is not known. It decides nothing but whether the format is
    /// refused: the compression is detected by the magic bytes.
    pub media_type: String,
    /// The digest of the uncompressed archive, from the config.
    pub diff_id: Digest,
    /// Where the layer image goes: an empty file.
    pub image: File,
    /// Where the sidecar goes: an empty file, opened for reading too.
    pub sidecar: File,
    /// What an earlier attempt left of the blob, and where this one leaves what it gets.
    pub part: Option<BlobPart>,
    /// What the layer may claim.
    pub limits: LayerLimits,
    /// The budget that the layer shares with the other layers of its image, and with their merge.
    pub budget: ImageBudget,
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

impl BlobPart {
    /// What is there, and what takes the rest.
    fn split(self) -> (Earlier, Box<dyn Write + Send>) {
        let Self {
            earlier,
            bytes,
            more,
        } = self;
        (Earlier { earlier, bytes }, more)
    }
}

/// What an earlier attempt left of the blob.
struct Earlier {
    earlier: Box<dyn Read + Send>,
    bytes: u64,
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
    is_whole: bool,
    cancelled: Arc<AtomicBool>,
    failure: Failure,
}

/// The layer on its way.
#[derive(Debug)]
pub struct LayerTask {
    read: Option<oneshot::Receiver<ReadLayer>>,
    result: oneshot::Receiver<Result<IngestedLayer, LayerError>>,
    processed: Arc<AtomicU64>,
    cancelled: Arc<AtomicBool>,
}

enum Feed {
    Bytes(Bytes),
    End,
}

impl LayerJob {
    /// Starts the stages.
    ///
    /// # Errors
    /// [`LayerError::Spawn`], and [`LayerError::Format`] for a media type of a format that is not supported.
    pub fn start(self) -> Result<(LayerFeed, LayerTask), LayerError> {
        let Self {
            blob,
            blob_bytes,
            media_type,
            diff_id,
            image,
            sidecar,
            part,
            limits,
            budget,
            windows,
        } = self;
        if let Err(format) = check_media_type(&media_type) {
            return Err(LayerError::Format {
                media_type,
                format: Some(format),
            });
        }
        let (read_sender, read) = oneshot::channel();
        let (result_sender, result) = oneshot::channel();
        let expected = Hashes {
            blob,
            plain: diff_id,
        };
        let Stages {
            feed,
            write_queue,
            inflate,
            hash,
            processed,
            mut failing,
        } = Stages::start(&expected, blob_bytes, part, &budget, &limits, windows)?;
        let cancelled = Arc::clone(&feed.cancelled);
        let work = Work {
            limits,
            account: budget.account(),
            cancelled: Arc::clone(&cancelled),
        };
        // This thread waits for the others and sends the result of all three.
        spawn("layer-write", move || {
            let mut time = StageTime::start("write", &diff_id);
            let next = || match time.input(|| write_queue.recv()) {
                Ok(Plain::Chunk(chunk)) => Ok(Some(chunk)),
                Ok(Plain::End) => {
                    time.end_of_input();
                    Ok(None)
                }
                Err(_) => Err(LayerError::Cancelled),
            };
            // Nobody has to be interested.
            let tell = |read| drop(read_sender.send(read));
            let targets = Targets { image, sidecar };
            let ingested = ingest(next, &media_type, targets, work, diff_id.uuid(), tell);
            let ingested = failing.watch(ingested);
            time.tell();
            drop(write_queue);
            let result = verified(join(inflate), ingested, join(hash), expected);
            let result = result.map(|(compression, ingested)| {
                ingested.account.keep();
                IngestedLayer {
                    image: ingested.image,
                    entries: ingested.entries,
                    compression,
                    notes: ingested.notes,
                }
            });
            // Nobody may be waiting any more: then the pull was given up.
            let _ = result_sender.send(result);
        })?;
        let task = LayerTask {
            read: Some(read),
            result,
            processed,
            cancelled,
        };
        Ok((feed, task))
    }
}

/// The two stages that every layer has, and the queue from which the third one reads.
struct Stages {
    feed: LayerFeed,
    write_queue: Receiver<Plain>,
    inflate: JoinHandle<Result<(Compression, Account), LayerError>>,
    hash: JoinHandle<Result<Hashes, LayerError>>,
    processed: Arc<AtomicU64>,
    /// For the third stage.
    failing: FailureSignal,
}

impl Stages {
    fn start(
        expected: &Hashes,
        blob_bytes: u64,
        part: Option<BlobPart>,
        budget: &ImageBudget,
        limits: &LayerLimits,
        windows: WindowBudget,
    ) -> Result<Self, LayerError> {
        let (feed, body) = mpsc::channel(BODY_QUEUED);
        let (to_hash, hash_queue) = sync_channel(CHUNKS_QUEUED);
        let (to_write, write_queue) = sync_channel(CHUNKS_QUEUED);
        let processed = Arc::new(AtomicU64::new(0));
        let cancelled = Arc::new(AtomicBool::new(false));
        let (earlier, more) = part.map(BlobPart::split).unzip();
        let failing = FailureSignal::default();

        let inflate = Inflate {
            earlier,
            body,
            stream: Stream {
                decoder: inflate::decoder(limits.decode, windows, Arc::clone(&cancelled)),
                blob_bytes,
                taken: 0,
                processed: Arc::clone(&processed),
                output: Output {
                    account: budget.account(),
                    cancelled: Arc::clone(&cancelled),
                    time: StageTime::start("inflate", &expected.plain),
                    plain_limit: limits.plain_bytes,
                    plain_bytes: 0,
                    to_hash,
                    to_write,
                },
            },
        };
        let mut signal = failing.clone();
        let inflate = spawn("layer-inflate", move || signal.watch(inflate.run()))?;
        let hash = Hash {
            time: StageTime::start("hash", &expected.plain),
            queue: hash_queue,
            part: more,
        };
        let algorithms = [expected.blob.algorithm(), expected.plain.algorithm()];
        let mut signal = failing.clone();
        let hash = spawn("layer-hash", move || signal.watch(hash.run(algorithms)))?;
        Ok(Self {
            feed: LayerFeed {
                sender: feed,
                is_whole: false,
                cancelled,
                failure: failing.failure(),
            },
            write_queue,
            inflate,
            hash,
            processed,
            failing,
        })
    }
}

impl LayerFeed {
    /// Hands on the blob's next bytes; waits while the stages are behind. `false`: the layer has failed, and
    /// [`LayerTask::wait`] says why.
    pub async fn send(&self, bytes: Bytes) -> bool {
        self.sender.send(Feed::Bytes(bytes)).await.is_ok()
    }

    /// Waits until a stage has failed, so that a download that brings no bytes can end. [`LayerTask::wait`] returns why.
    pub async fn failed(&self) {
        self.failure.wait().await;
    }

    /// Says that these were all.
    pub async fn finish(mut self) {
        // A failure is the task's to tell.
        let _ = self.sender.send(Feed::End).await;
        self.is_whole = true;
    }
}

impl Drop for LayerFeed {
    fn drop(&mut self) {
        if !self.is_whole {
            self.cancelled.store(true, Ordering::Relaxed);
        }
    }
}

impl Drop for LayerTask {
    fn drop(&mut self) {
        self.cancelled.store(true, Ordering::Relaxed);
    }
}

impl LayerTask {
    /// How many of the blob's bytes the stages have taken so far.
    #[must_use]
    pub fn processed(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.processed)
    }

    /// Waits for the end of the archive, long before that of the layer. `None` for a layer that is too large to be merged beside
    /// it, for one that failed, and the second time.
    pub async fn read(&mut self) -> Option<ReadLayer> {
        self.read.take()?.await.ok()
    }

    /// Waits for the end of all stages. Both digests have been verified when this is `Ok`.
    ///
    /// # Errors
    /// See [`LayerError`].
    pub async fn wait(mut self) -> Result<IngestedLayer, LayerError> {
        (&mut self.result)
            .await
            .unwrap_or(Err(LayerError::Panicked))
    }
}

/// What the archive reader gets.
#[derive(Debug)]
enum Plain {
    Chunk(Chunk),
    End,
}

/// Combines the results of the stages, and verifies both digests. `write` is the third stage's.
fn verified<T>(
    inflated: Result<(Compression, Account), LayerError>,
    written: Result<T, LayerError>,
    hashed: Result<Hashes, LayerError>,
    expected: Hashes,
) -> Result<(Compression, T), LayerError> {
    // First of all, because any other error would only follow from wrong bytes.
    if let Ok(actual) = &hashed
        && actual.blob != expected.blob
    {
        return Err(LayerError::BlobDigest {
            expected: expected.blob,
            actual: actual.blob,
        });
    }
    match (inflated, written, hashed) {
        (Ok(_), Ok(_), Ok(actual)) if actual.plain != expected.plain => Err(LayerError::DiffId {
            expected: expected.plain,
            actual: actual.plain,
        }),
        (Ok((compression, uncompressed)), Ok(written), Ok(_)) => {
            // What a layer that failed has used is returned.
            uncompressed.keep();
            Ok((compression, written))
        }
        (inflate, write, hash) => Err(cause([inflate.err(), write.err(), hash.err()])),
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
