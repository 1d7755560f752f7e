//! Looks up whether images, layers and documents are cached. All functions block on file I/O.

mod layer;
pub(crate) mod tiers;

pub(crate) use layer::{CachedLayer, ReadyLayer};
use tiers::whole_in_tier;

use msb_oci::{Digest, Reference};
use msb_platform::Platform;
use msb_store::{FileChecksum, LayerLengths, Store};

use super::CacheError;
use super::keys::{image_key, layer_key};
use super::record::ImageRecord;
use crate::PullResult;
use crate::disk::{ImageDisk, ImageLayout};

/// The longest document that is read from the cache; what a source returns is bounded by its own limits.
pub(crate) const MAX_DOCUMENT_BYTES: u64 = 16 << 20;

/// What the cache has of an image.
#[derive(Debug)]
pub(crate) enum FoundImage {
    /// It lacks the record or a layer.
    Absent,
    /// It lacks the merged metadata, or a descriptor with the right text, which can be rebuilt from the layers.
    WithoutDisk(Box<ImageRecord>),
    Whole(Box<PullResult>),
}

/// Returns what the cache has of an image, with a lease if that is all of it. Only the record is read, and lengths are compared. An image
/// with a layer that only a publisher vouches for counts as absent, unless `accepts_claimed`.
pub(crate) fn image(
    store: &Store,
    reference: &Reference,
    platform: &Platform,
    accepts_claimed: bool,
) -> Result<FoundImage, CacheError> {
    let record = match store.use_image::<ImageRecord>(&image_key(reference, platform)) {
        Ok(Some(record)) if accepts_claimed || !record.is_claimed => record,
        Ok(_) => return Ok(FoundImage::Absent),
        Err(error) if error.is_corrupt() => {
            tracing::warn!(%reference, %error, "the image record is damaged; it will be rebuilt");
            return Ok(FoundImage::Absent);
        }
        Err(error) => return Err(error.into()),
    };
    // A disk that is gone needs no lease, and reading the cache writes nothing to it.
    if store.disk_lengths(record.disk.key())?.is_none() {
        return elsewhere(store, reference, record);
    }
    // Before the files are compared, so that no prune removes them afterwards.
    let lease = record.lease(store)?;
    if is_whole(store, &record)? {
        let result = record.to_result(store, reference, true, lease);
        return Ok(FoundImage::Whole(Box::new(result)));
    }
    elsewhere(store, reference, record)
}

/// Returns the image with a disk of another cache, if one has it whole.
fn elsewhere(
    store: &Store,
    reference: &Reference,
    record: ImageRecord,
) -> Result<FoundImage, CacheError> {
    match whole_in_tier(store, &record) {
        Some(tier) => {
            let lease = record.lease(store)?;
            let result = record.to_result(&tier, reference, true, lease);
            Ok(FoundImage::Whole(Box::new(result)))
        }
        None => without_disk(store, record),
    }
}

fn without_disk(store: &Store, record: ImageRecord) -> Result<FoundImage, CacheError> {
    Ok(if has_layers(store, &record)? {
        FoundImage::WithoutDisk(Box::new(record))
    } else {
        FoundImage::Absent
    })
}

/// Returns whether every file that the record names exists, with the right length.
pub(crate) fn is_whole(store: &Store, record: &ImageRecord) -> Result<bool, CacheError> {
    if !has_layers(store, record)? {
        return Ok(false);
    }
    match record.layout() {
        Some(layout) => {
            let (disk, bytes) = (&record.disk, record.fsmeta_bytes);
            Ok(disk.is_whole(store, &layout, bytes)?
                && (record.verity_root.is_none() || disk.is_tree_whole(store, &layout, bytes)?))
        }
        None => Ok(false),
    }
}

/// Returns whether the files of every layer that the record names exist, with the right length.
fn has_layers(store: &Store, record: &ImageRecord) -> Result<bool, CacheError> {
    // After this check the sums of a result cannot overflow.
    if record.disk_bytes().is_none() || record.blob_bytes().is_none() {
        return Ok(false);
    }
    for layer in &record.layers {
        let lengths = LayerLengths {
            image_bytes: layer.image_bytes,
            sidecar_bytes: layer.sidecar_bytes,
        };
        if store.layer_lengths(&layer_key(&layer.diff_id))? != Some(lengths) {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Returns the error for the first layer whose blob was not kept, if there is one. Only lengths are compared.
pub(crate) fn missing_blob(
    store: &Store,
    image: &PullResult,
) -> Result<Option<CacheError>, CacheError> {
    for layer in &image.layers {
        if store.layer_blob_bytes(&layer.digest)? != Some(layer.size) {
            return Ok(Some(CacheError::NoLayerBlob {
                reference: Box::new(image.reference.clone()),
                platform: Box::new(image.platform.clone()),
                diff_id: Box::new(layer.diff_id),
                blob: Box::new(layer.digest),
            }));
        }
    }
    Ok(None)
}

/// Returns the length and checksum of the merged metadata, if the whole disk is in the cache.
pub(crate) fn disk(
    store: &Store,
    disk: &ImageDisk,
    layout: &ImageLayout,
) -> Result<Option<FileChecksum>, CacheError> {
    let Some(fsmeta) = disk.cached_fsmeta(store)? else {
        return Ok(None);
    };
    Ok(disk
        .is_whole(store, layout, fsmeta.bytes)?
        .then_some(fsmeta))
}

/// Returns a manifest, an index or a config of this or another cache, whose digest the store has verified.
pub(crate) fn document(store: &Store, digest: &Digest) -> Result<Option<Vec<u8>>, CacheError> {
    if let Some(bytes) = own_document(store, digest)? {
        return Ok(Some(bytes));
    }
    let mut tiers = store.tiers().iter();
    Ok(tiers.find_map(|tier| tier.look(|tier| own_document(tier, digest))))
}

fn own_document(store: &Store, digest: &Digest) -> Result<Option<Vec<u8>>, CacheError> {
    match store.read_blob(digest, MAX_DOCUMENT_BYTES) {
        // The source's limits may be higher than this one.
        Err(msb_store::Error::TooLarge { .. }) => Ok(None),
        read => Ok(read?),
    }
}
