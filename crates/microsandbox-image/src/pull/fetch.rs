use futures_util::future::join;
use msb_layer::{IngestedLayer, LayerError, LayerJob, ReadLayer};
use msb_stitch::LayerSender;
use msb_store::{LayerKey, Staged, Step, Store};

use super::blocking::blocking;
use super::download::{BlobStream, Download};
use super::layer::{Claim, LayerSource, ReadyLayer, media_type_note};
use super::partial::SharedPartial;
use super::unpacking::Unpacking;
use super::verify::reporter;
use super::{Pull, layer_error};
use crate::cache::keys::layer_key;
use crate::disk::clone_error;
use crate::{PullError, PullProgress};

/// Shorter blobs are downloaded again instead of resumed. A partial blob costs every pull, for a blob of 5 MB, 3 ms of processor
/// time in 43; a resume spares the few downloads that are interrupted less than a second at 100 Mbit/s.
const MIN_PARTIAL_BYTES: u64 = 8 << 20;

/// The download and conversion of one layer.
#[derive(Debug)]
pub(super) struct Fetch<'a> {
    pull: Pull<'a>,
    index: usize,
    layer: &'a LayerSource,
    key: LayerKey,
    state: LayerSender<'a>,
    claim: Claim<'a>,
    /// The download that starts over. It is kept because it counts how often: a registry whose blob is short would otherwise make
    /// this pull start over forever.
    restarted: Option<BlobStream>,
    /// `false` after a partial blob was wrong, unless the blob is kept, and after one could not be removed.
    uses_partial: bool,
}

enum Attempt {
    Done(ReadyLayer),
    StartOver,
}

/// The files of one attempt.
#[derive(Debug)]
pub(super) struct Files {
    image: Staged,
    sidecar: Staged,
    partial: Option<SharedPartial>,
}

impl Files {
    /// Creates the files of a layer, and opens its partial blob if it is to have one: if it is long, or is kept afterwards. Blocks on
    /// file I/O.
    pub(super) fn open(
        store: &Store,
        layer: &LayerSource,
        uses_partial: bool,
        keep_blob: bool,
    ) -> Result<Self, PullError> {
        let (key, blob) = (layer_key(&layer.diff_id), &layer.blob);
        // At least as much as the blob: a full disk is an error before anything is downloaded.
        store.check_space(blob.bytes)?;
        Ok(Self {
            image: store.stage_layer_image(&key)?,
            sidecar: store.stage_layer_sidecar(&key)?,
            partial: if uses_partial && (keep_blob || blob.bytes >= MIN_PARTIAL_BYTES) {
                SharedPartial::open(store, &blob.digest, blob.bytes)
            } else {
                None
            },
        })
    }

    fn sidecar_bytes(&self) -> Result<u64, PullError> {
        let path = self.sidecar.path();
        let metadata = self.sidecar.file().metadata();
        Ok(metadata
            .map_err(|source| msb_store::Error::from_io(Step::Stat, path, source))?
            .len())
    }
}

impl<'a> Fetch<'a> {
    pub(super) fn new(
        pull: Pull<'a>,
        index: usize,
        layer: &'a LayerSource,
        claim: Claim<'a>,
        state: LayerSender<'a>,
    ) -> Self {
        Self {
            pull,
            index,
            layer,
            key: layer_key(&layer.diff_id),
            state,
            claim,
            restarted: None,
            uses_partial: pull.source.is_interruptible() || pull.keep_blobs,
        }
    }

    /// Downloads, converts, verifies and publishes the layer.
    pub(super) async fn run(mut self, mut files: Files) -> Result<ReadyLayer, PullError> {
        loop {
            match self.attempt(files).await? {
                Attempt::Done(ready) => return Ok(ready),
                // Its bytes were wrong, or the registry cannot resume; they were discarded.
                Attempt::StartOver => self.state.started_over(),
            }
            files = self.open().await?;
        }
    }

    async fn attempt(&mut self, mut files: Files) -> Result<Attempt, PullError> {
        let Pull {
            engine, progress, ..
        } = self.pull;
        let blob = &self.layer.blob;
        let partial = files.partial.as_ref().and_then(SharedPartial::to_layer_io);
        let resumed_bytes = partial.as_ref().map_or(0, |partial| partial.bytes);
        progress.send(PullProgress::LayerStarted {
            layer: self.index,
            digest: blob.digest,
            total_bytes: blob.bytes,
            resumed_bytes,
        });
        let job = LayerJob {
            blob: blob.digest,
            blob_bytes: blob.bytes,
            media_type: blob.media_type.clone(),
            diff_id: self.layer.diff_id,
            image: files.image.try_clone_file()?,
            sidecar: files.sidecar.try_clone_file()?,
            partial,
            budget: self.pull.budget.clone(),
            limits: engine.layer_limits,
            windows: engine.windows.clone(),
            threads: engine.threads.clone(),
        };
        let (feed, mut task) = job.start().map_err(|error| self.error(error))?;
        let reporter = reporter(self.pull, self.layer, &self.claim, task.processed());
        let unpacking = Unpacking {
            progress,
            layer: self.index,
            unpacked: task.processed(),
            total_bytes: blob.bytes,
        };
        let work = async {
            let downloaded = self.download(feed, resumed_bytes).await;
            let read = task.read().await;
            let (ended, ()) = join(task.wait(), report(self.state, read)).await;
            match (downloaded, ended) {
                (Ok(Download::Over), Ok(ingested)) => {
                    self.publish(files, ingested).await.map(Attempt::Done)
                }
                (Ok(Download::Restarted), _) => {
                    self.uses_partial &= discard(files.partial).await;
                    Ok(Attempt::StartOver)
                }
                // The stages end as cancelled when the download fails.
                (Err(error), Err(LayerError::Cancelled) | Ok(_)) => Err(error),
                (_, Err(error)) => {
                    if error.may_stem_from_partial_blob() {
                        let is_gone = discard(files.partial.take()).await;
                        // A blob that is kept needs another partial blob, which begins empty.
                        let uses_partial = is_gone && self.pull.keep_blobs;
                        if resumed_bytes > 0 {
                            tracing::warn!(digest = %blob.digest, %error, "a resumed download is wrong; it starts over");
                            self.uses_partial = uses_partial;
                            return Ok(Attempt::StartOver);
                        }
                        if self.pull.source.reject(blob) {
                            tracing::warn!(digest = %blob.digest, %error, "the bytes are wrong; trying the next host");
                            self.uses_partial = uses_partial;
                            return Ok(Attempt::StartOver);
                        }
                    }
                    let full = self.write_error(&files.image, error);
                    if full.is_full() {
                        // Other pulls can use its space.
                        discard(files.partial.take()).await;
                    }
                    Err(full)
                }
            }
        };
        unpacking.during(reporter.during(work)).await
    }

    // `&mut`, because a held stream is not `Sync`, so that a shared borrow would not be `Send`.
    async fn open(&mut self) -> Result<Files, PullError> {
        let (store, layer) = (self.pull.engine.cache.store().clone(), self.layer.clone());
        let (uses_partial, keep_blob) = (self.uses_partial, self.pull.keep_blobs);
        blocking(move || Files::open(&store.session(), &layer, uses_partial, keep_blob)).await
    }

    async fn download(
        &mut self,
        feed: msb_layer::LayerFeed,
        resumed_bytes: u64,
    ) -> Result<Download, PullError> {
        let progress = self.pull.progress;
        let blob = &self.layer.blob;
        let mut stream = match self.restarted.take() {
            Some(stream) if stream.position() == resumed_bytes => stream,
            _ => BlobStream::open(self.pull, self.index, blob, resumed_bytes),
        };
        let ended = stream.send_to(feed, progress).await?;
        if matches!(ended, Download::Restarted) {
            self.restarted = Some(stream);
        }
        Ok(ended)
    }

    async fn publish(
        &mut self,
        files: Files,
        ingested: IngestedLayer,
    ) -> Result<ReadyLayer, PullError> {
        // While this layer waits for the disk, another one can use the processors.
        self.claim.pipeline = None;
        let image_bytes = ingested.image.bytes;
        let mut notes = ingested.notes;
        notes.extend(media_type_note(
            &self.layer.blob.media_type,
            ingested.compression,
        ));
        let (store, key) = (self.pull.engine.cache.store().clone(), self.key.clone());
        let (digest, keep_blob) = (self.layer.blob.digest, self.pull.keep_blobs);
        let sidecar_bytes = blocking(move || {
            let sidecar_bytes = files.sidecar_bytes()?;
            // The sidecar's name comes last: its presence is the layer's.
            store.publish_layer(&key, &digest, files.image.sync()?, files.sidecar.sync()?)?;
            match files.partial {
                Some(partial) if keep_blob => partial.keep()?,
                Some(partial) => drop(partial.discard()),
                None => {}
            }
            Ok(sidecar_bytes)
        })
        .await?;
        self.pull.progress.send(PullProgress::LayerMaterialized {
            layer: self.index,
            diff_id: self.layer.diff_id,
            bytes: image_bytes,
        });
        Ok(ReadyLayer {
            image_bytes,
            sidecar_bytes,
            notes,
            was_cached: false,
            is_claimed: false,
        })
    }

    fn error(&self, error: LayerError) -> PullError {
        layer_error(self.pull.reference, self.layer, error)
    }

    /// Returns a full disk as such, and every other error as the layer's.
    fn write_error(&self, image: &Staged, error: LayerError) -> PullError {
        match error.write_error() {
            Some(source) => image
                .write_error(clone_error(source), Some(self.layer.blob.bytes))
                .into(),
            None => self.error(error),
        }
    }
}

/// Reports to the merge that a layer was read, and the length of its image as soon as that is known.
async fn report(state: LayerSender<'_>, read: Option<ReadLayer>) {
    let Some(ReadLayer {
        changes,
        mut image_bytes,
    }) = read
    else {
        return;
    };
    state.read(changes);
    if let Ok(bytes) = image_bytes.wait_for(Option::is_some).await
        && let Some(bytes) = *bytes
    {
        state.planned(bytes);
    }
}

/// Removes a partial blob. Returns `false` if it is still there.
async fn discard(partial: Option<SharedPartial>) -> bool {
    match partial {
        Some(partial) => blocking(move || Ok(partial.discard()))
            .await
            .unwrap_or(false),
        None => true,
    }
}
