mod failure;
mod hash;
mod inflate;
mod threads;
mod verify;

use std::fmt;
use std::fs::File;
use std::io::{Read, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, sync_channel};

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
use threads::Stage;

pub use threads::StageThreads;
pub use verify::{VerifyJob, VerifyTask};

/// Length of a chunk of uncompressed bytes. File data is written directly from it.
const CHUNK_BYTES: usize = 256 << 10;
/// Chunks that wait for the hashes, and for the archive reader.
const CHUNKS_QUEUED: usize = 6;
/// Pieces of the download that wait to be inflated. The client's have up to some 400 KiB.
const BODY_QUEUED: usize = 6;

/// A layer to convert from a compressed archive.
///
/// ```text
///                                       ┌─ blob ──────────▶ [hash: both digests, partial blob]
///  download ─▶ LayerFeed ─▶ [inflate] ──┤
///                                       └─ uncompressed ──▶ [hash] and [write: archive, image, sidecar] ─▶ ReadLayer, at the archive's end
/// ```
///
/// The three stages run on threads, with bounded queues between them, so that one large layer keeps more than one core busy and
/// none of its work runs on the caller's executor. Inflating takes as long as the rest together, so its thread does nothing
/// else.
#[derive(Debug)]
pub struct LayerJob {
    /// The blob's digest, from the manifest.
    pub blob: Digest,
    /// The blob's length in bytes, from the manifest.
    pub blob_bytes: u64,
    /// The media type of the blob, from the manifest; empty if unknown. It only serves to refuse unsupported formats: the
    /// compression is detected by magic bytes.
    pub media_type: String,
    /// The digest of the uncompressed archive, from the config.
    pub diff_id: Digest,
    /// An empty file for the layer image.
    pub image: File,
    /// An empty file for the sidecar, also open for reading.
    pub sidecar: File,
    /// The partial blob of an earlier attempt, which this attempt continues.
    pub partial: Option<PartialBlobIo>,
    /// Limits on the layer.
    pub limits: LayerLimits,
    /// The budget that the layer shares with the other layers of its image, and with their merge.
    pub budget: ImageBudget,
    /// The memory that all layers of a pull may use for the windows of zstd frames.
    pub windows: WindowBudget,
    /// The threads that all layers of a pull share.
    pub threads: StageThreads,
}

/// The first bytes of a blob, kept between attempts.
pub struct PartialBlobIo {
    /// Reads the existing bytes.
    pub earlier: Box<dyn Read + Send>,
    /// The number of existing bytes. The feed continues after them.
    pub bytes: u64,
    /// Appends new bytes.
    pub more: Box<dyn Write + Send>,
}

impl PartialBlobIo {
    /// Splits the partial blob into its reader and its writer.
    fn split(self) -> (Earlier, Box<dyn Write + Send>) {
        let Self {
            earlier,
            bytes,
            more,
        } = self;
        (Earlier { earlier, bytes }, more)
    }
}

/// The bytes of an earlier attempt.
struct Earlier {
    earlier: Box<dyn Read + Send>,
    bytes: u64,
}

impl fmt::Debug for PartialBlobIo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PartialBlobIo")
            .field("bytes", &self.bytes)
            .finish_non_exhaustive()
    }
}

/// A converted layer, its two files written but not fsynced.
#[derive(Debug)]
pub struct IngestedLayer {
    /// The layer image.
    pub image: ImageSummary,
    /// Number of entries in the archive.
    pub entries: u64,
    /// The blob's compression.
    pub compression: Compression,
    /// The fidelity notes.
    pub notes: Vec<Note>,
}

/// Receives the blob's bytes from the download. Dropping it before [`finish`](Self::finish) cancels the layer.
#[derive(Debug)]
pub struct LayerFeed {
    sender: mpsc::Sender<Feed>,
    is_whole: bool,
    cancelled: Arc<AtomicBool>,
    failure: Failure,
}

/// A layer that is being converted.
#[derive(Debug)]
pub struct LayerTask {
    read: Option<oneshot::Receiver<ReadLayer>>,
    result: Stage<IngestedLayer>,
    processed: Arc<AtomicU64>,
    cancelled: Arc<AtomicBool>,
}

enum Feed {
    Bytes(Bytes),
    End,
}

impl LayerJob {
    /// Starts the threads.
    ///
    /// # Errors
    /// [`LayerError::Spawn`], and [`LayerError::Format`] for a media type of an unsupported format.
    pub fn start(self) -> Result<(LayerFeed, LayerTask), LayerError> {
        let Self {
            blob,
            blob_bytes,
            media_type,
            diff_id,
            image,
            sidecar,
            partial,
            limits,
            budget,
            windows,
            threads,
        } = self;
        if let Err(format) = check_media_type(&media_type) {
            return Err(LayerError::Format {
                media_type,
                format: Some(format),
            });
        }
        let (read_sender, read) = oneshot::channel();
        let expected = Hashes { blob, diff_id };
        let Stages {
            feed,
            write_queue,
            inflate,
            hash,
            processed,
            mut failing,
        } = Stages::start(
            &threads, &expected, blob_bytes, partial, &budget, &limits, windows,
        )?;
        let cancelled = Arc::clone(&feed.cancelled);
        let work = Work {
            limits,
            account: budget.account(),
            cancelled: Arc::clone(&cancelled),
        };
        // This stage joins the others and returns the result of all three.
        let result = threads.start(move || {
            let mut time = StageTime::start("write", &diff_id);
            let next = || match time.input(|| write_queue.recv()) {
                Ok(Uncompressed::Chunk(chunk)) => Ok(Some(chunk)),
                Ok(Uncompressed::End) => {
                    time.end_of_input();
                    Ok(None)
                }
                Err(_) => Err(LayerError::Cancelled),
            };
            // The receiver is gone if the caller does not merge the layer early.
            let notify = |read| drop(read_sender.send(read));
            let targets = Targets { image, sidecar };
            let ingested = ingest(next, &media_type, targets, work, diff_id.uuid(), notify);
            let ingested = failing.watch(ingested);
            time.report();
            drop(write_queue);
            let result = verified(inflate.join(), ingested, hash.join(), expected);
            result.map(|(compression, ingested)| {
                ingested.account.keep();
                IngestedLayer {
                    image: ingested.image,
                    entries: ingested.entries,
                    compression,
                    notes: ingested.notes,
                }
            })
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

/// The two stages of every layer, and the queue that feeds the third one.
struct Stages {
    feed: LayerFeed,
    write_queue: Receiver<Uncompressed>,
    inflate: Stage<(Compression, Account)>,
    hash: Stage<Hashes>,
    processed: Arc<AtomicU64>,
    /// For the third stage.
    failing: FailureSignal,
}

impl Stages {
    fn start(
        threads: &StageThreads,
        expected: &Hashes,
        blob_bytes: u64,
        partial: Option<PartialBlobIo>,
        budget: &ImageBudget,
        limits: &LayerLimits,
        windows: WindowBudget,
    ) -> Result<Self, LayerError> {
        let (feed, body) = mpsc::channel(BODY_QUEUED);
        let (to_hash, hash_queue) = sync_channel(CHUNKS_QUEUED);
        let (to_write, write_queue) = sync_channel(CHUNKS_QUEUED);
        let processed = Arc::new(AtomicU64::new(0));
        let cancelled = Arc::new(AtomicBool::new(false));
        let (earlier, more) = partial.map(PartialBlobIo::split).unzip();
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
                    time: StageTime::start("inflate", &expected.diff_id),
                    uncompressed_limit: limits.uncompressed_bytes,
                    uncompressed_bytes: 0,
                    to_hash,
                    to_write,
                },
            },
        };
        let mut signal = failing.clone();
        let inflate = threads.start(move || signal.watch(inflate.run()))?;
        let hash = Hash {
            time: StageTime::start("hash", &expected.diff_id),
            queue: hash_queue,
            partial: more,
        };
        let algorithms = [expected.blob.algorithm(), expected.diff_id.algorithm()];
        let mut signal = failing.clone();
        let hash = threads.start(move || signal.watch(hash.run(algorithms)))?;
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
    /// Sends the blob's next bytes, waiting while the stages are behind. Returns `false` if the layer has failed;
    /// [`LayerTask::wait`] returns the cause.
    pub async fn send(&self, bytes: Bytes) -> bool {
        self.sender.send(Feed::Bytes(bytes)).await.is_ok()
    }

    /// Waits until a stage has failed, so that a stalled download can end. [`LayerTask::wait`] returns the cause.
    pub async fn failed(&self) {
        self.failure.wait().await;
    }

    /// Marks the end of the blob.
    pub async fn finish(mut self) {
        // If the layer has failed, the task returns the error.
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
    /// Returns the counter of the blob's bytes that the stages have processed so far.
    #[must_use]
    pub fn processed(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.processed)
    }

    /// Waits for the end of the archive, long before that of the layer. Returns `None` if the layer failed or is too large to be
    /// merged early, and on a second call.
    pub async fn read(&mut self) -> Option<ReadLayer> {
        self.read.take()?.await.ok()
    }

    /// Waits for the end of all stages. Both digests are verified if this returns `Ok`.
    ///
    /// # Errors
    /// See [`LayerError`].
    pub async fn wait(mut self) -> Result<IngestedLayer, LayerError> {
        self.result.wait().await
    }
}

/// Input of the archive reader.
#[derive(Debug)]
enum Uncompressed {
    Chunk(Chunk),
    End,
}

/// Combines the results of the stages and verifies both digests. `write` is the result of the third stage.
fn verified<T>(
    inflated: Result<(Compression, Account), LayerError>,
    written: Result<T, LayerError>,
    hashed: Result<Hashes, LayerError>,
    expected: Hashes,
) -> Result<(Compression, T), LayerError> {
    // Checked first, because wrong bytes may cause any of the other errors.
    if let Ok(actual) = &hashed
        && actual.blob != expected.blob
    {
        return Err(LayerError::BlobDigest {
            expected: expected.blob,
            actual: actual.blob,
        });
    }
    match (inflated, written, hashed) {
        (Ok(_), Ok(_), Ok(actual)) if actual.diff_id != expected.diff_id => {
            Err(LayerError::DiffId {
                expected: expected.diff_id,
                actual: actual.diff_id,
            })
        }
        (Ok((compression, uncompressed)), Ok(written), Ok(_)) => {
            // An error above returns the account's charges.
            uncompressed.keep();
            Ok((compression, written))
        }
        (inflate, write, hash) => Err(cause([inflate.err(), write.err(), hash.err()])),
    }
}

/// Returns the cause of a failure: the first error that is not the cancellation that another stage's failure causes.
fn cause(errors: [Option<LayerError>; 3]) -> LayerError {
    let mut errors = errors.into_iter().flatten();
    errors
        .find(|error| !matches!(error, LayerError::Cancelled))
        .unwrap_or(LayerError::Cancelled)
}
