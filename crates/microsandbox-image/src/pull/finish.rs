use msb_store::LayerKey;

use super::Pull;
use super::ahead::{AheadDisk, MergeAhead};
use super::blocking::blocking;
use super::layer::ReadyLayer;
use crate::disk::{BuildError, build};
use crate::record::{ImageRecord, LayerRecord, image_key};
use crate::{PullError, PullProgress};

/// What came of joining the layers.
pub(super) enum Finished {
    Done {
        record: Box<ImageRecord>,
        disk_was_cached: bool,
    },
    DamagedLayer(LayerKey),
}

/// Joins the layers into a disk, unless the cache has it, and publishes the image's record. `merge` has done
/// most of that.
pub(super) async fn finish(
    pull: Pull<'_>,
    layers: Vec<ReadyLayer>,
    merge: Option<MergeAhead>,
    anew: bool,
) -> Result<Finished, PullError> {
    let Pull {
        registry,
        reference,
        resolved,
        plan,
        progress,
        budget,
    } = pull;
    let store = registry.cache.store();
    let mut image_bytes = vec![0; plan.slots().len()];
    for (layer, device) in layers.iter().zip(plan.devices()) {
        image_bytes[usize::from(*device) - 1] = layer.image_bytes;
    }
    let plan = plan.clone().with_image_bytes(&image_bytes);
    let is_ahead = merge.is_some();
    let ahead = match merge {
        Some(merge) => {
            progress.send(PullProgress::Merging);
            merge.disk().await
        }
        None => None,
    };
    let (_lock, written) = match ahead {
        Some(AheadDisk { lock, disk }) => (lock, Some(disk)),
        None => (store.lock_disk(plan.key()).await?, None),
    };
    let cached_bytes = if anew || written.is_some() {
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
        Some(bytes) => bytes,
        None => {
            if !is_ahead {
                progress.send(PullProgress::Merging);
            }
            let written = match written {
                Some(written) => Ok(written),
                None => {
                    let (store, plan, budget) = (store.clone(), plan.clone(), budget.clone());
                    blocking(move || Ok(build(&plan, &store, &budget))).await?
                }
            };
            let built = match written {
                Ok(written) => written.publish(plan, store.clone()).await,
                Err(error) => Err(error),
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
        platform: resolved.platform.clone(),
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
        notes: {
            let of_layers = layers.into_iter().flat_map(|layer| layer.notes);
            resolved.notes.iter().cloned().chain(of_layers).collect()
        },
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
