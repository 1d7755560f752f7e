use std::io;
use std::sync::Arc;

use msb_oci::Digest;
use msb_sidecar::Note;
use msb_store::{DiskKey, FileChecksum, LayerKey, Lock, RECORD_LIMIT_BYTES, Store};

use super::ahead::{AheadDisk, MergeTask, only_local_work};
use super::blocking::blocking;
use super::holder::origin_name;
use super::layer::ReadyLayer;
use super::layers::ReadyLayers;
use super::waiting::{Artifact, Waited, Waiting};
use super::{Pull, notes};
use crate::cache::keys::image_key;
use crate::cache::lookup;
use crate::cache::record::{ImageRecord, LayerRecord};
use crate::disk::hash_tree::{self, TreeError};
use crate::disk::{BuildError, ImageLayout, build};
use crate::{CacheError, ManifestProblem, PullError, PullProgress};

/// How [`finish`] ended.
pub(super) enum Finished {
    Done {
        record: Box<ImageRecord>,
        disk_was_cached: bool,
    },
    /// This layer has to be rebuilt.
    DamagedLayer(LayerKey),
    /// The merged metadata has to be rebuilt.
    DamagedFsmeta,
}

/// A disk that is published.
struct Disk {
    fsmeta: FileChecksum,
    was_cached: bool,
}

/// Builds the disk from the layers, unless it is cached, and publishes the image's record. `merge` has done most of that work.
pub(super) async fn finish(
    pull: Pull<'_>,
    ready: ReadyLayers,
    merge: Option<MergeTask>,
    rebuild: bool,
) -> Result<Finished, PullError> {
    let ReadyLayers { layers, notes } = ready;
    let is_claimed = layers.iter().any(|layer| layer.is_claimed);
    let image_bytes = layers.iter().map(|layer| layer.image_bytes);
    let image_bytes = pull.disk.layers().distinct(image_bytes);
    let layout = pull.disk.layout(image_bytes);
    let layout = layout.map_err(|source| PullError::Stitch {
        reference: Box::new(pull.reference.clone()),
        source,
    })?;
    let sealed_layout = pull.verity.then(|| layout.clone());
    let disk = match publish_disk(pull, layout, merge, rebuild, is_claimed).await {
        Ok(disk) => disk,
        Err(DiskFailure::DamagedLayer(layer)) => return Ok(Finished::DamagedLayer(layer)),
        Err(DiskFailure::Pull(error)) => return Err(*error),
    };
    let verity_root = match sealed_layout {
        Some(layout) => match seal(pull, layout, disk.fsmeta).await? {
            Ok(root) => Some(root),
            Err(damaged) => return Ok(damaged),
        },
        None => None,
    };
    // Those of the image are few.
    let notes = pull.resolved.notes.iter().cloned().chain(notes).collect();
    let record = Box::new(record(pull, &layers, notes, disk.fsmeta, verity_root));
    let key = image_key(pull.reference, &pull.engine.platform);
    let store = pull.engine.cache.store().clone();
    let keep_blobs = pull.keep_blobs;
    blocking(move || {
        let mut references = record.references();
        if !keep_blobs {
            // Those of an earlier pull may be there.
            references.layer_blobs.clear();
        }
        store.write_image(&key, &*record, &references)?;
        Ok(Finished::Done {
            record,
            disk_was_cached: disk.was_cached,
        })
    })
    .await
}

/// Adds the hash tree to a published disk, and returns its root hash, or what has to be rebuilt.
async fn seal(
    pull: Pull<'_>,
    layout: ImageLayout,
    fsmeta: FileChecksum,
) -> Result<Result<Digest, Finished>, PullError> {
    let (store, disk) = (pull.engine.cache.store().clone(), pull.disk.clone());
    blocking(move || {
        let FileChecksum { bytes, crc32c } = fsmeta;
        match hash_tree::build(&disk, layout, &store, bytes, Some(crc32c)) {
            Ok(root) => Ok(Ok(root)),
            Err(TreeError::Damaged(Some(layer))) => Ok(Err(Finished::DamagedLayer(layer))),
            Err(TreeError::Damaged(None)) => Ok(Err(Finished::DamagedFsmeta)),
            Err(TreeError::Cache(error)) => Err(error.into()),
        }
    })
    .await
}

/// Publishes the disk, unless it is cached.
async fn publish_disk(
    pull: Pull<'_>,
    layout: ImageLayout,
    merge: Option<MergeTask>,
    rebuild: bool,
    is_claimed: bool,
) -> Result<Disk, DiskFailure> {
    let Pull {
        engine,
        reference,
        disk,
        progress,
        budget,
        ..
    } = pull;
    let store = engine.cache.store();
    let is_ahead = merge.is_some();
    let ahead = match merge {
        Some(merge) => {
            progress.send(PullProgress::Merging);
            merge.disk().await
        }
        None => None,
    };
    let (_lock, written) = match ahead {
        Some(AheadDisk { lock, written }) => (Some(lock), Some(written)),
        None => {
            let origin = origin_name(pull.source);
            (lock_disk(store, disk.key(), origin).await?, None)
        }
    };
    if !rebuild && written.is_none() {
        let (store, disk, layout) = (store.clone(), disk.clone(), layout.clone());
        let cached = blocking(move || Ok(lookup::disk(&store, &disk, &layout)?));
        if let Some(fsmeta) = cached.await? {
            return Ok(Disk {
                fsmeta,
                was_cached: true,
            });
        }
    }
    if !is_ahead {
        progress.send(PullProgress::Merging);
    }
    let written = match written {
        Some(written) => Ok(written),
        None => {
            let (store, disk, budget) = (store.clone(), disk.clone(), budget.clone());
            let observer = progress.merge_observer(disk.layers().stack().len());
            blocking(move || Ok(build(&disk, &layout, &store, &budget, observer))).await?
        }
    };
    let published = match written {
        Ok(written) => {
            let (disk, store) = (disk.clone(), store.clone());
            written.publish(disk, store, is_claimed).await
        }
        Err(error) => Err(error),
    };
    let fsmeta = published.map_err(|error| DiskFailure::new(error, reference))?;
    progress.send(PullProgress::FsmetaWritten {
        bytes: fsmeta.bytes,
    });
    progress.send(PullProgress::VmdkWritten);
    Ok(Disk {
        fsmeta,
        was_cached: false,
    })
}

/// Takes the disk's lock. Returns `None` if its holder makes no progress; then the disk is built twice, with equal bytes.
///
/// `origin` is the name of what limits the speed of this pull's source.
pub(super) async fn lock_disk(
    store: &Store,
    key: &DiskKey,
    origin: String,
) -> Result<Option<Arc<Lock>>, PullError> {
    let artifact = Artifact::Disk(key.clone());
    let mut waiting = Waiting::new(origin);
    loop {
        let lock = {
            let (store, artifact) = (store.clone(), artifact.clone());
            blocking(move || artifact.try_lock(&store)).await?
        };
        if let Some(lock) = lock {
            let lock = Arc::new(lock);
            only_local_work(&lock).await;
            return Ok(Some(lock));
        }
        if let Waited::NoProgress = waiting.wait(store, &artifact).await? {
            return Ok(None);
        }
    }
}

/// Why a disk was not published.
pub(super) enum DiskFailure {
    DamagedLayer(LayerKey),
    Pull(Box<PullError>),
}

impl DiskFailure {
    pub(super) fn new(error: BuildError, reference: &msb_oci::Reference) -> Self {
        let reference = || Box::new(reference.clone());
        Self::from(match error {
            BuildError::DamagedLayer(layer) => return Self::DamagedLayer(layer),
            BuildError::Store(error) => error.into(),
            BuildError::Worker => PullError::Worker,
            BuildError::Sidecar { path, source } => CacheError::Sidecar { path, source }.into(),
            BuildError::Verify(source) => PullError::Verify {
                reference: reference(),
                source,
            },
            BuildError::Stitch(source) => PullError::Stitch {
                reference: reference(),
                source,
            },
        })
    }
}

impl From<PullError> for DiskFailure {
    fn from(error: PullError) -> Self {
        Self::Pull(Box::new(error))
    }
}

/// Checks that the image's record cannot outgrow its limit, before anything is downloaded.
pub(super) fn check_record_bytes(pull: Pull<'_>) -> Result<(), PullError> {
    /// For the reference, the platform and the names of the record's fields.
    const ENVELOPE_BYTES: u64 = 64 << 10;
    let longest = ReadyLayer {
        image_bytes: u64::MAX,
        sidecar_bytes: u64::MAX,
        notes: Vec::new(),
        was_cached: false,
        is_claimed: false,
    };
    let layers = vec![longest; pull.resolved.layers.len()];
    let fsmeta = FileChecksum {
        bytes: u64::MAX,
        crc32c: u32::MAX,
    };
    let root = pull.verity.then_some(pull.resolved.manifest_digest);
    let record = record(pull, &layers, Vec::new(), fsmeta, root);
    let mut bytes = ByteCount(notes::MAX_BYTES as u64 + ENVELOPE_BYTES);
    let counted = serde_json::to_writer(&mut bytes, &record);
    if counted.is_ok() && bytes.0 <= RECORD_LIMIT_BYTES {
        return Ok(());
    }
    Err(PullError::Manifest {
        digest: pull.resolved.manifest_digest,
        problem: ManifestProblem::RecordTooLarge {
            bytes: bytes.0,
            limit: RECORD_LIMIT_BYTES,
        },
    })
}

/// Counts the bytes that are written to it.
struct ByteCount(u64);

impl io::Write for ByteCount {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 = self.0.saturating_add(bytes.len() as u64);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Returns the record of the image.
pub(super) fn record(
    pull: Pull<'_>,
    layers: &[ReadyLayer],
    notes: Vec<Note>,
    fsmeta: FileChecksum,
    verity_root: Option<Digest>,
) -> ImageRecord {
    let resolved = pull.resolved;
    let sources = resolved.layers.iter().zip(layers);
    ImageRecord {
        manifest_digest: resolved.manifest_digest,
        config_digest: resolved.config_digest,
        platform: resolved.platform.clone(),
        config: resolved.config.clone(),
        layers: sources
            .map(|(source, layer)| LayerRecord {
                diff_id: source.diff_id,
                digest: source.blob.digest,
                media_type: source.blob.media_type.clone(),
                size: source.blob.bytes,
                image_bytes: layer.image_bytes,
                sidecar_bytes: layer.sidecar_bytes,
            })
            .collect(),
        fsmeta_bytes: fsmeta.bytes,
        fsmeta_crc32c: Some(fsmeta.crc32c),
        verity_root,
        is_claimed: layers.iter().any(|layer| layer.is_claimed),
        notes,
        disk: pull.disk.clone(),
    }
}
