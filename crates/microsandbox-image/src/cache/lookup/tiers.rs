//! What a pull finds in the caches that it only reads.
//!
//! ```text
//!   a whole disk        used in place: the paths of the result lead into the other cache
//!   an image's record   copied, with manifest and config, if the disk is whole there
//!   a layer alone       copied, because a descriptor names only files of its own cache
//!   a document          read, and its digest verified
//! ```

mod layer;

pub(crate) use layer::adopt_layer;

use msb_oci::Reference;
use msb_platform::Platform;
use msb_store::{FileChecksum, References, Store};

use super::{CachedLayer, ReadyLayer, document, is_whole};
use crate::PullResult;
use crate::cache::CacheError;
use crate::cache::checksum::{checksum, intact_sidecar, is_layer_intact};
use crate::cache::keys::image_key;
use crate::cache::record::ImageRecord;
use crate::disk::ImageDisk;
use crate::document::LayerSource;

/// A disk that another cache has whole.
#[derive(Debug)]
pub(crate) struct TierDisk {
    /// The other cache.
    pub(crate) store: Store,
    /// Bottom to top.
    pub(crate) layers: Vec<ReadyLayer>,
    pub(crate) fsmeta: FileChecksum,
}

/// Returns the cache that has the disk of a record: this one, or another one where it is whole. This one if none has it.
pub(crate) fn home(store: &Store, record: &ImageRecord) -> Result<Store, CacheError> {
    if store.disk_lengths(record.disk.key())?.is_some() {
        return Ok(store.clone());
    }
    Ok(whole_in_tier(store, record)
        .or_else(|| has_disk(store, record))
        .unwrap_or_else(|| store.clone()))
}

/// Returns the first other cache where every file that the record names exists, with the right length.
pub(crate) fn whole_in_tier(store: &Store, record: &ImageRecord) -> Option<Store> {
    in_place(store, |tier| Ok(is_whole(tier, record)?.then_some(())))
}

/// Returns the first other cache with the files of the disk, whatever their lengths.
fn has_disk(store: &Store, record: &ImageRecord) -> Option<Store> {
    in_place(store, |tier| {
        let lengths = tier.disk_lengths(record.disk.key())?;
        Ok(lengths.map(|_| ()))
    })
}

fn in_place(
    store: &Store,
    is_there: impl Fn(&Store) -> Result<Option<()>, CacheError>,
) -> Option<Store> {
    if store.options().is_self_contained {
        return None;
    }
    store.tiers().iter().find_map(|tier| {
        tier.look(|tier| Ok::<_, CacheError>(is_there(tier)?.map(|()| tier.clone())))
    })
}

/// Copies the record and the documents of an image that another cache has whole, and uses its disk in place. An image with a layer that
/// only a publisher vouches for is used only if `accepts_claimed`. Blocks on file I/O.
pub(crate) fn adopt_image(
    store: &Store,
    reference: &Reference,
    platform: &Platform,
    accepts_claimed: bool,
) -> Result<Option<PullResult>, CacheError> {
    if store.options().is_self_contained {
        return Ok(None);
    }
    let key = image_key(reference, platform);
    let is_verified = store.options().verify_cache_from;
    let found = store.tiers().iter().find_map(|tier| {
        tier.look::<_, CacheError>(|tier| {
            let Some(record) = tier.read_image::<ImageRecord>(&key)? else {
                return Ok(None);
            };
            if (record.is_claimed && !accepts_claimed)
                || !is_whole(tier, &record)?
                || !has_intact_layers(tier, &record.disk, is_verified)?
                || (is_verified && !has_intact_fsmeta(tier, &record)?)
            {
                return Ok(None);
            }
            let manifest = document(tier, &record.manifest_digest)?;
            let config = document(tier, &record.config_digest)?;
            let documents = manifest.zip(config);
            Ok(documents.map(|documents| (tier.clone(), record, documents)))
        })
    });
    let Some((tier, record, (manifest, config))) = found else {
        return Ok(None);
    };
    let lease = record.lease(store)?;
    store.write_blob(&record.manifest_digest, &manifest)?;
    store.write_blob(&record.config_digest, &config)?;
    write_record(store, reference, platform, &record)?;
    Ok(Some(record.to_result(&tier, reference, true, lease)))
}

/// Publishes the record of an image whose disk is in another cache.
pub(crate) fn write_record(
    store: &Store,
    reference: &Reference,
    platform: &Platform,
    record: &ImageRecord,
) -> Result<(), CacheError> {
    let references = References {
        blobs: record.references().blobs,
        ..References::default()
    };
    Ok(store.write_image(&image_key(reference, platform), record, &references)?)
}

/// Returns the disk over these layers, bottom to top, if another cache has it and all of its layers, each verified for its blob. Blocks
/// on file I/O.
pub(crate) fn find_disk(
    store: &Store,
    disk: &ImageDisk,
    layers: &[LayerSource],
) -> Option<TierDisk> {
    if store.options().is_self_contained {
        return None;
    }
    let is_verified = store.options().verify_cache_from;
    store.tiers().iter().find_map(|tier| {
        tier.look::<_, CacheError>(|tier| {
            let Some(fsmeta) = disk.cached_fsmeta(tier)? else {
                return Ok(None);
            };
            let mut ready = Vec::with_capacity(layers.len());
            for layer in layers {
                let CachedLayer::Verified(layer) = CachedLayer::find(tier, layer)? else {
                    return Ok(None);
                };
                ready.push(layer);
            }
            let image_bytes = ready.iter().map(|layer| layer.image_bytes);
            let Ok(layout) = disk.layout(disk.layers().distinct(image_bytes)) else {
                return Ok(None);
            };
            if !disk.is_whole(tier, &layout, fsmeta.bytes)?
                || !has_intact_layers(tier, disk, is_verified)?
                || (is_verified && !is_fsmeta_intact(tier, disk, fsmeta)?)
            {
                return Ok(None);
            }
            Ok(Some(TierDisk {
                store: tier.clone(),
                layers: ready,
                fsmeta,
            }))
        })
    })
}

fn has_intact_fsmeta(tier: &Store, record: &ImageRecord) -> Result<bool, CacheError> {
    let Some(crc32c) = record.fsmeta_crc32c else {
        return Ok(false);
    };
    let fsmeta = FileChecksum {
        bytes: record.fsmeta_bytes,
        crc32c,
    };
    is_fsmeta_intact(tier, &record.disk, fsmeta)
}

fn is_fsmeta_intact(
    tier: &Store,
    disk: &ImageDisk,
    expected: FileChecksum,
) -> Result<bool, CacheError> {
    let Some(file) = tier.open_fsmeta(disk.key())? else {
        return Ok(false);
    };
    let actual = checksum(&file).map_err(|source| CacheError::Fsmeta {
        path: tier.fsmeta_path(disk.key()),
        source,
    })?;
    Ok(actual == expected)
}

/// Returns whether the sidecars of a disk have their checksums, and with `images` its layer images.
fn has_intact_layers(tier: &Store, disk: &ImageDisk, images: bool) -> Result<bool, CacheError> {
    for (_, key) in disk.layers().iter() {
        let (image, sidecar) = (tier.open_layer_image(key)?, tier.open_layer_sidecar(key)?);
        let is_intact = match image.zip(sidecar) {
            Some((image, sidecar)) if images => is_layer_intact(tier, key, &sidecar, &image)?,
            Some((_, sidecar)) => intact_sidecar(tier, key, &sidecar)?.is_some(),
            None => false,
        };
        if !is_intact {
            return Ok(false);
        }
    }
    Ok(true)
}
