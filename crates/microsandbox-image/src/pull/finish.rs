use msb_oci::Reference;
use msb_store::LayerKey;
use tokio::task::JoinHandle;

use super::blocking::blocking;
use super::layer::ReadyLayer;
use super::resolve::Resolved;
use crate::disk::{BuildError, DiskPlan, WrittenDisk, build};
use crate::progress::Progress;
use crate::record::{ImageRecord, LayerRecord, image_key};
use crate::registry::Inner;
use crate::{PullError, PullProgress};

/// What came of joining the layers.
pub(super) enum Finished {
    Done {
        record: Box<ImageRecord>,
        disk_was_cached: bool,
    },
    DamagedLayer(LayerKey),
}

/// Joins the layers into a disk, unless the cache has it, and publishes the image's record. `merged` does most of that.
pub(super) async fn finish(
    registry: &Inner,
    reference: &Reference,
    resolved: &Resolved,
    layers: Vec<ReadyLayer>,
    merged: Option<JoinHandle<Option<WrittenDisk>>>,
    anew: bool,
    progress: &Progress,
) -> Result<Finished, PullError> {
    let store = registry.cache.store();
    let plan = DiskPlan::new(
        resolved
            .layers
            .iter()
            .zip(&layers)
            .map(|(source, layer)| (&source.diff_id, layer.image_bytes)),
    );
    let _lock = store.lock_disk(plan.key()).await?;
    let cached_bytes = if anew {
        None
    } else {
        let (store, plan) = (store.clone(), plan.clone());
        blocking(move || {
            let Some(bytes) = plan.cached_fsmeta_bytes(&store) else {
                return Ok(None);
            };
            Ok(plan.is_whole(&store, bytes)?.then_some(bytes))
        })
        .await?
    };
    let fsmeta_bytes = match cached_bytes {
        Some(bytes) => {
            if let Some(merged) = merged {
                // Another pull was quicker. Nothing of this one's is left behind.
                drop(merged.await);
            }
            bytes
        }
        None => {
            progress.send(PullProgress::Merging);
            let written = match merged {
                // Where that task panicked, the disk is built from the cache.
                Some(merged) => merged.await.ok().flatten(),
                None => None,
            };
            let built = {
                let (store, plan) = (store.clone(), plan.clone());
                blocking(move || {
                    Ok(match written {
                        Some(written) => written.publish(&plan, &store),
                        None => build(&plan, &store),
                    })
                })
                .await?
            };
            match built {
                Ok(bytes) => {
                    progress.send(PullProgress::FsmetaWritten { bytes });
                    progress.send(PullProgress::VmdkWritten);
                    bytes
                }
                Err(BuildError::DamagedLayer(layer)) => return Ok(Finished::DamagedLayer(layer)),
                Err(BuildError::Store(error)) => return Err(error.into()),
                Err(BuildError::Worker) => return Err(PullError::Worker),
                Err(BuildError::Proof(source)) => {
                    return Err(PullError::Proof {
                        reference: Box::new(reference.clone()),
                        source,
                    });
                }
                Err(BuildError::Stitch(source)) => {
                    return Err(PullError::Stitch {
                        reference: Box::new(reference.clone()),
                        source,
                    });
                }
            }
        }
    };
    let record = Box::new(ImageRecord {
        manifest_digest: resolved.manifest_digest.clone(),
        config_digest: resolved.config_digest.clone(),
        platform: registry.platform.clone(),
        config: resolved.config.clone(),
        layers: resolved
            .layers
            .iter()
            .zip(&layers)
            .map(|(source, layer)| LayerRecord {
                diff_id: source.diff_id.clone(),
                digest: source.blob.digest.clone(),
                media_type: source.blob.media_type.clone(),
                size: source.blob.bytes,
                image_bytes: layer.image_bytes,
                sidecar_bytes: layer.sidecar_bytes,
            })
            .collect(),
        fsmeta_bytes,
        notes: layers.into_iter().flat_map(|layer| layer.notes).collect(),
    });
    let key = image_key(reference, &registry.platform);
    let store = store.clone();
    blocking(move || {
        store.write_image(&key, &*record, &record.references())?;
        Ok(Finished::Done {
            record,
            disk_was_cached: cached_bytes.is_some(),
        })
    })
    .await
}
