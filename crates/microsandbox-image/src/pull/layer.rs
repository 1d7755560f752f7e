use msb_budget::ImageBudget;
use msb_layer::{IngestedLayer, LayerError, LayerJob};
use msb_oci::{Digest, Reference};
use msb_registry::{BlobEvent, BlobRequest, BlobStream};
use msb_sidecar::{Note, Sidecar};
use msb_store::{LayerKey, LayerLengths, LockOn, Staged, Step, Store, publish_all};
use tokio::sync::{Semaphore, SemaphorePermit};

use super::Pull;
use super::blocking::blocking;
use super::layer_error;
use super::part::SharedPart;
use super::state::LayerReporter;
use crate::disk::clone_error;
use crate::document::Blob;
use crate::progress::Progress;
use crate::record::layer_key;
use crate::registry::Inner;
use crate::{PullError, PullProgress};

/// Blobs shorter than this are fetched again rather than kept for a resume. Writing a part file costs every pull, of a blob of
/// 5 MB 3 ms of processor time in 43; a resume spares the few that break off less than a second at 100 Mbit/s.
const MIN_PART_BYTES: u64 = 8 << 20;

/// A layer as manifest and config name it.
#[derive(Clone, Debug)]
pub(super) struct LayerSource {
    pub(super) blob: Blob,
    pub(super) diff_id: Digest,
}

/// A layer that is in the cache.
#[derive(Clone, Debug)]
pub(super) struct ReadyLayer {
    pub(super) image_bytes: u64,
    pub(super) sidecar_bytes: u64,
    pub(super) notes: Vec<Note>,
    pub(super) was_cached: bool,
}

/// Sees to it that the layer is in the cache.
///
/// The lock comes before the permit: whoever holds a permit waits for nobody, so two pulls with opposite orders of layers
/// cannot stop each other.
pub(super) async fn fetch_layer(
    pull: Pull<'_>,
    index: usize,
    layer: &LayerSource,
    anew: bool,
    state: &LayerReporter,
) -> Result<ReadyLayer, PullError> {
    let Pull {
        registry,
        reference,
        progress,
        budget,
        ..
    } = pull;
    let store = registry.cache.store();
    let key = layer_key(&layer.diff_id);
    let on_wait = || progress.send(PullProgress::LayerWaiting { layer: index });
    let _lock = store.lock(LockOn::Layer(&layer.diff_id), on_wait).await?;
    if !anew {
        let (store, key) = (store.clone(), key.clone());
        if let Some(ready) = blocking(move || find(&store, &key)).await? {
            progress.send(PullProgress::LayerCached {
                layer: index,
                diff_id: layer.diff_id.clone(),
                total_bytes: layer.blob.bytes,
            });
            state.cached(ready.image_bytes);
            return Ok(ready);
        }
    }
    let permit = permit(&registry.pipelines).await?;
    let mut fetch = Fetch {
        registry,
        reference,
        index,
        layer,
        key,
        state,
        progress,
        budget,
        permit: Some(permit),
        restarted: None,
    };
    loop {
        match fetch.attempt().await? {
            Attempt::Done(ready) => {
                state.cached(ready.image_bytes);
                return Ok(ready);
            }
            // Its bytes were wrong, or the registry cannot go on in the middle; they are gone now.
            Attempt::StartOver => state.started_over(),
        }
    }
}

async fn permit(permits: &Semaphore) -> Result<SemaphorePermit<'_>, PullError> {
    // Closed only with the registry itself.
    let permit = permits.acquire().await;
    permit.map_err(|_| PullError::Cancelled)
}

/// The layer, if both of its files are in the cache and the image is as long as the sidecar says.
fn find(store: &Store, key: &LayerKey) -> Result<Option<ReadyLayer>, PullError> {
    let Some(file) = store.open_layer_sidecar(key)? else {
        return Ok(None);
    };
    let read =
        Sidecar::open(file).and_then(|sidecar| Ok((sidecar.image().bytes, sidecar.notes()?)));
    match read {
        Ok((image_bytes, notes)) => {
            let lengths = store.layer_lengths(key)?;
            let whole = lengths.filter(|lengths| lengths.image_bytes == image_bytes);
            Ok(whole.map(|LayerLengths { sidecar_bytes, .. }| ReadyLayer {
                image_bytes,
                sidecar_bytes,
                notes,
                was_cached: true,
            }))
        }
        Err(error) if error.is_corrupt() => {
            tracing::warn!(diff_id = %key.diff_id, %error, "a cached sidecar is damaged; the layer is made anew");
            Ok(None)
        }
        Err(source) => Err(PullError::Sidecar {
            path: store.layer_sidecar_path(key),
            source,
        }),
    }
}

/// One layer's download and ingest.
struct Fetch<'a> {
    registry: &'a Inner,
    reference: &'a Reference,
    index: usize,
    layer: &'a LayerSource,
    key: LayerKey,
    state: &'a LayerReporter,
    progress: &'a Progress,
    budget: &'a ImageBudget,
    /// To run a pipeline.
    permit: Option<SemaphorePermit<'a>>,
    /// The download that starts over. It is kept because it counts how often: a registry whose blob is short would have us
    /// start over for ever.
    restarted: Option<BlobStream>,
}

enum Attempt {
    Done(ReadyLayer),
    StartOver,
}

/// The files of one attempt.
struct Files {
    image: Staged,
    sidecar: Staged,
    part: Option<SharedPart>,
}

impl Files {
    fn sidecar_bytes(&self) -> Result<u64, PullError> {
        let path = self.sidecar.path();
        let metadata = self.sidecar.file().metadata();
        Ok(metadata
            .map_err(|source| msb_store::Error::from_io(Step::Stat, path, source))?
            .len())
    }
}

/// How the download ended.
enum Download {
    /// All bytes were handed on, or the stages wanted no more.
    Over,
    /// The bytes so far are void.
    Restarted,
}

impl Fetch<'_> {
    async fn attempt(&mut self) -> Result<Attempt, PullError> {
        let blob = &self.layer.blob;
        let files = self.open().await?;
        let resumed_bytes = files.part.as_ref().map_or(0, SharedPart::len_bytes);
        self.progress.send(PullProgress::LayerStarted {
            layer: self.index,
            digest: blob.digest.clone(),
            total_bytes: blob.bytes,
            resumed_bytes,
        });
        let part = files
            .part
            .as_ref()
            .map(SharedPart::to_blob_part)
            .transpose()?;
        let job = LayerJob {
            blob: blob.digest.clone(),
            blob_bytes: blob.bytes,
            media_type: blob.media_type.clone(),
            diff_id: self.layer.diff_id.clone(),
            image: files.image.try_clone_file()?,
            sidecar: files.sidecar.try_clone_file()?,
            part,
            limits: self.registry.layer_limits,
            budget: self.budget.clone(),
            windows: self.registry.windows.clone(),
        };
        let (feed, mut task) = job.start().map_err(|error| self.error(error))?;
        let downloaded = self.download(feed, resumed_bytes).await;
        if let Some(read) = task.read().await {
            self.state.read(read);
        }
        let ingested = task.wait().await;
        match (downloaded, ingested) {
            (Ok(Download::Over), Ok(ingested)) => {
                self.publish(files, ingested).await.map(Attempt::Done)
            }
            (Ok(Download::Restarted), _) => {
                discard(files.part).await?;
                Ok(Attempt::StartOver)
            }
            // The stages end as cancelled when the download fails; what failed first is the download.
            (Err(error), Err(LayerError::Cancelled) | Ok(_)) => Err(error),
            (_, Err(error)) => {
                if error.may_be_the_parts_fault() {
                    discard(files.part).await?;
                    if resumed_bytes > 0 {
                        tracing::warn!(digest = %blob.digest, %error, "a resumed download is wrong; it starts over");
                        return Ok(Attempt::StartOver);
                    }
                }
                Err(self.write_error(&files.image, error))
            }
        }
    }

    async fn open(&self) -> Result<Files, PullError> {
        let (store, key) = (self.registry.cache.store().clone(), self.key.clone());
        let (digest, bytes) = (self.layer.blob.digest.clone(), self.layer.blob.bytes);
        blocking(move || {
            // At least as much as the blob: a disk that is full already says so before anything is fetched.
            store.check_space(bytes)?;
            Ok(Files {
                image: store.stage_layer_image(&key)?,
                sidecar: store.stage_layer_sidecar(&key)?,
                // `None` while a pull of another layer with the same blob has it: then this one does without.
                part: if bytes >= MIN_PART_BYTES {
                    SharedPart::open(&store, &digest, bytes)?
                } else {
                    None
                },
            })
        })
        .await
    }

    /// Hands the blob's bytes on as they come.
    async fn download(
        &mut self,
        feed: msb_layer::LayerFeed,
        resumed_bytes: u64,
    ) -> Result<Download, PullError> {
        let blob = &self.layer.blob;
        let mut stream = match self.restarted.take() {
            Some(stream) if stream.position() == resumed_bytes => stream,
            _ => {
                let request = BlobRequest::new(blob.digest.clone(), blob.bytes)
                    .from_offset(resumed_bytes)
                    .with_urls(blob.urls.clone());
                let observer = self.progress.observer(Some(self.index));
                let client = self.registry.client.with_observer(observer);
                client.blob(self.reference, request)
            }
        };
        while let Some(event) = stream.next_event().await? {
            match event {
                BlobEvent::Restarted => {
                    self.restarted = Some(stream);
                    return Ok(Download::Restarted);
                }
                BlobEvent::Data(bytes) => {
                    if !feed.send(bytes).await {
                        return Ok(Download::Over);
                    }
                    self.progress
                        .downloaded(self.index, stream.position(), blob.bytes);
                }
            }
        }
        feed.finish().await;
        self.progress
            .send(PullProgress::LayerDownloaded { layer: self.index });
        Ok(Download::Over)
    }

    async fn publish(
        &mut self,
        files: Files,
        ingested: IngestedLayer,
    ) -> Result<ReadyLayer, PullError> {
        // The disk's time is another layer's to use the processors in. No more than some layers wait for the disk, because each
        // of them has files open.
        let _permit = permit(&self.registry.publishers).await?;
        self.permit = None;
        let image_bytes = ingested.image.bytes;
        let mut notes = ingested.notes;
        let (media_type, compression) = (&self.layer.blob.media_type, ingested.compression);
        if !compression.is_announced_by(media_type) {
            notes.push(Note::MediaType {
                media_type: media_type.clone(),
                compression: compression.to_string(),
            });
        }
        let sidecar_bytes = blocking(move || {
            let sidecar_bytes = files.sidecar_bytes()?;
            // The sidecar's name comes last: where it is, the layer is.
            publish_all([files.image.sync()?, files.sidecar.sync()?])?;
            if let Some(part) = files.part {
                part.discard()?;
            }
            Ok(sidecar_bytes)
        })
        .await?;
        self.progress.send(PullProgress::LayerMaterialized {
            layer: self.index,
            diff_id: self.layer.diff_id.clone(),
            image_bytes,
        });
        Ok(ReadyLayer {
            image_bytes,
            sidecar_bytes,
            notes,
            was_cached: false,
        })
    }

    fn error(&self, error: LayerError) -> PullError {
        layer_error(self.reference, self.layer, error)
    }

    /// A full disk as such, everything else as the layer's error.
    fn write_error(&self, image: &Staged, error: LayerError) -> PullError {
        match error.write_error() {
            Some(source) => image
                .write_error(clone_error(source), Some(self.layer.blob.bytes))
                .into(),
            None => self.error(error),
        }
    }
}

async fn discard(part: Option<SharedPart>) -> Result<(), PullError> {
    match part {
        Some(part) => blocking(move || part.discard()).await,
        None => Ok(()),
    }
}
