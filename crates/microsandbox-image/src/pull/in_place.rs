use super::Pull;
use super::blocking::blocking;
use super::finish::record;
use super::notes::ImageNotes;
use super::resolve::keep;
use crate::cache::lookup::tiers::{TierDisk, find_disk, write_record};
use crate::{PullError, PullProgress, PullResult};

/// Uses the image's disk in another cache, if this one lacks it and another one has all of it. Only manifest, config and record are
/// written.
pub(super) async fn in_place(pull: Pull<'_>) -> Result<Option<PullResult>, PullError> {
    let Pull {
        engine,
        reference,
        resolved,
        disk,
        progress,
        ..
    } = pull;
    let store = engine.cache.store();
    // A hash tree is built in this cache, and its descriptor names only files of this one.
    if store.tiers().is_empty() || pull.verity {
        return Ok(None);
    }
    let found = {
        let (store, disk, layers) = (store.clone(), disk.clone(), resolved.layers.clone());
        blocking(move || {
            if store.disk_lengths(disk.key())?.is_some() {
                return Ok(None);
            }
            Ok(find_disk(&store, &disk, &layers))
        })
        .await?
    };
    let Some(TierDisk {
        store: tier,
        layers,
        fsmeta,
    }) = found
    else {
        return Ok(None);
    };
    // It holds nothing in the other cache.
    let lease = pull.lease().await?;
    let mut notes = ImageNotes::new(disk.layers().len());
    let distinct = disk.layers().distinct(&layers);
    for ((device, _), layer) in disk.layers().iter().zip(distinct) {
        notes.add(device.index(), layer.notes.clone());
    }
    let notes = resolved.notes.iter().cloned().chain(notes.into_vec());
    let record = record(pull, &layers, notes.collect(), fsmeta, None);
    for (index, layer) in resolved.layers.iter().enumerate() {
        progress.send(PullProgress::LayerCached {
            layer: index,
            diff_id: layer.diff_id,
            total_bytes: layer.blob.bytes,
        });
    }
    keep(engine, resolved).await?;
    let result = record.to_result(&tier, reference, true, lease);
    let (store, platform, reference) = (store.clone(), engine.platform.clone(), reference.clone());
    blocking(move || Ok(write_record(&store, &reference, &platform, &record)?)).await?;
    Ok(Some(result))
}
