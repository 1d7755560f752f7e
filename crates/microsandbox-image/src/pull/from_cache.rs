use std::sync::Arc;

use msb_budget::ImageBudget;
use msb_oci::Reference;
use msb_store::Store;

use super::blocking::blocking;
use super::finish::{DiskFailure, lock_disk};
use crate::cache::lookup::tiers::adopt_image;
use crate::cache::lookup::{self, FoundImage};
use crate::cache::record::ImageRecord;
use crate::disk::hash_tree::{self, TreeError};
use crate::disk::{BuildError, ImageLayout, build};
use crate::engine::Engine;
use crate::progress::Progress;
use crate::{CacheError, PullError, PullOptions, PullPolicy, PullProgress, PullResult, SourceForm};

/// Returns the image from the cache alone, where the policy allows that. A damaged disk is rebuilt from its layers.
pub(super) async fn from_cache(
    engine: &Engine,
    reference: &Reference,
    options: &PullOptions,
    progress: &Progress,
) -> Result<Option<PullResult>, PullError> {
    let is_final = options.pull_policy == PullPolicy::Never;
    if options.pull_policy == PullPolicy::Always || (options.force && !is_final) {
        return Ok(None);
    }
    // A pull that must not ask a source returns what was pulled under the name.
    let accepts_claimed = is_final || options.source != SourceForm::Tar;
    let found = match find(engine, reference, accepts_claimed).await? {
        FoundImage::Whole(result) => Some(*result),
        FoundImage::WithoutDisk(record) => {
            match rebuild_disk(engine, reference, *record, Lost::Files, progress).await {
                Ok(result) => result,
                Err(error) => {
                    tracing::warn!(%reference, %error, "the disk cannot be rebuilt from the cache");
                    None
                }
            }
        }
        FoundImage::Absent => adopt(engine, reference, accepts_claimed).await?,
    };
    let found = match found {
        Some(result) if options.verity && result.verity.is_none() => {
            add_hash_tree(engine, reference, &result).await?
        }
        found => found,
    };
    let found = match found {
        Some(result) if options.keep_blobs => match missing_blob(engine, &result).await? {
            None => Some(result),
            Some(missing) if is_final => return Err(missing.into()),
            Some(_) => None,
        },
        found => found,
    };
    if found.is_none() && is_final {
        return Err(CacheError::NotCached {
            reference: Box::new(reference.clone()),
            platform: Box::new(engine.platform.clone()),
        }
        .into());
    }
    Ok(found)
}

async fn find(
    engine: &Engine,
    reference: &Reference,
    accepts_claimed: bool,
) -> Result<FoundImage, PullError> {
    let (store, platform) = (engine.cache.store().clone(), engine.platform.clone());
    let reference = reference.clone();
    blocking(move || {
        Ok(lookup::image(
            &store,
            &reference,
            &platform,
            accepts_claimed,
        )?)
    })
    .await
}

/// Adds a hash tree to the disk of a cached image. Returns `None` if a file is damaged.
async fn add_hash_tree(
    engine: &Engine,
    reference: &Reference,
    found: &PullResult,
) -> Result<Option<PullResult>, PullError> {
    let (cache, platform) = (engine.cache.clone(), engine.platform.clone());
    let (image, found) = (reference.clone(), found.clone());
    blocking(move || {
        // Keeps the files in the meantime.
        let _lease = found.lease();
        match cache.add_hash_tree(&image, &platform) {
            Ok(result) => Ok(Some(result)),
            Err(error) if error.is_corrupt() || error.is_not_found() => {
                tracing::warn!(reference = %image, %error, "a cached image is damaged");
                Ok(None)
            }
            Err(error) => Err(error.into()),
        }
    })
    .await
}

/// Returns the image from another cache that has it whole.
async fn adopt(
    engine: &Engine,
    reference: &Reference,
    accepts_claimed: bool,
) -> Result<Option<PullResult>, PullError> {
    let store = engine.cache.store();
    if store.tiers().is_empty() {
        return Ok(None);
    }
    let (store, platform) = (store.clone(), engine.platform.clone());
    let reference = reference.clone();
    blocking(move || Ok(adopt_image(&store, &reference, &platform, accepts_claimed)?)).await
}

async fn missing_blob(
    engine: &Engine,
    image: &PullResult,
) -> Result<Option<CacheError>, PullError> {
    let (store, image) = (engine.cache.store().clone(), image.clone());
    blocking(move || Ok(lookup::missing_blob(&store, &image)?)).await
}

/// Builds the hash tree that the record states, if it states one. Returns whether it has the same root hash.
async fn has_hash_tree(
    store: &Store,
    record: &ImageRecord,
    layout: ImageLayout,
) -> Result<bool, PullError> {
    let Some(expected) = record.verity_root else {
        return Ok(true);
    };
    let (store, disk) = (store.clone(), record.disk.clone());
    let (fsmeta_bytes, crc32c) = (record.fsmeta_bytes, record.fsmeta_crc32c);
    blocking(
        move || match hash_tree::build(&disk, layout, &store, fsmeta_bytes, crc32c) {
            Ok(root) => Ok(root == expected),
            Err(TreeError::Damaged(_)) => Ok(false),
            Err(TreeError::Cache(error)) => Err(error.into()),
        },
    )
    .await
}

/// What a disk has lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lost {
    /// A file is missing, has another length, or is a descriptor with another text. Another pull may have rebuilt it meanwhile.
    Files,
    /// Bytes that only a verification reads.
    Bytes,
}

/// Builds merged metadata and descriptor from the sidecars of the layers, without a request. Returns `None` if a sidecar is damaged, or
/// the result is not what the record states.
pub(super) async fn rebuild_disk(
    engine: &Engine,
    reference: &Reference,
    record: ImageRecord,
    lost: Lost,
    progress: &Progress,
) -> Result<Option<PullResult>, PullError> {
    let store = engine.cache.store();
    let disk = record.disk.clone();
    let Some(layout) = record.layout() else {
        return Ok(None);
    };
    let layout_of_tree = layout.clone();
    tracing::warn!(%reference, disk = %disk.key(), "the disk of a cached image is incomplete; it is rebuilt");
    let lease = {
        let (store, record) = (store.clone(), record.clone());
        blocking(move || Ok(record.lease(&store)?)).await?
    };
    // The holder of the lock may be a pull from any registry.
    let _lock = lock_disk(store, disk.key(), String::new()).await?;
    if lost == Lost::Files
        && let FoundImage::Whole(result) = find(engine, reference, true).await?
    {
        return Ok(Some(*result));
    }
    progress.send(PullProgress::Merging);
    let budget = ImageBudget::new(engine.image_limits);
    // Work on other threads ends soon after the pull is dropped.
    let _cancel = budget.cancel_on_drop();
    let written = {
        let (store, disk, budget) = (store.clone(), disk.clone(), budget.clone());
        let observer = progress.merge_observer(disk.layers().stack().len());
        blocking(move || Ok(build(&disk, &layout, &store, &budget, observer))).await?
    };
    let published = match written {
        Ok(written) if !record.is_disk(written.fsmeta()) => {
            tracing::warn!(%reference, "the rebuilt disk is not the one that the image record states");
            return Ok(None);
        }
        Ok(written) => {
            let (layers, session) = (Arc::clone(disk.layers()), store.clone());
            let is_claimed = blocking(move || {
                for (_, layer) in layers.iter() {
                    if !session.has_verified_blob(layer)? {
                        return Ok(true);
                    }
                }
                Ok(false)
            });
            written
                .publish(disk, store.clone(), is_claimed.await?)
                .await
        }
        Err(error) => Err(error),
    };
    match published {
        Ok(_) if !has_hash_tree(store, &record, layout_of_tree).await? => {
            tracing::warn!(%reference, "the rebuilt hash tree is not the one that the image record states");
            Ok(None)
        }
        Ok(fsmeta) => {
            progress.send(PullProgress::FsmetaWritten {
                bytes: fsmeta.bytes,
            });
            progress.send(PullProgress::VmdkWritten);
            Ok(Some(record.to_result(store, reference, false, lease)))
        }
        Err(BuildError::DamagedLayer(layer)) => {
            tracing::warn!(diff_id = %layer.diff_id, "a cached layer is damaged");
            Ok(None)
        }
        Err(error) => match DiskFailure::new(error, reference) {
            DiskFailure::DamagedLayer(_) => Ok(None),
            DiskFailure::Pull(error) => Err(*error),
        },
    }
}
