use msb_oci::Reference;
use msb_platform::Platform;
use msb_store::{LayerLengths, Store};

use crate::cache::layer_key;
use crate::record::{ImageRecord, image_key};
use crate::{PullError, PullResult};

/// Finds the image in the cache and leases it; `None` if the cache lacks anything of it: the record, a layer, the merged metadata, or
/// a descriptor with the right text. Reads the record and compares lengths, nothing more.
pub(crate) fn find(
    store: &Store,
    reference: &Reference,
    platform: &Platform,
) -> Result<Option<PullResult>, PullError> {
    let record = match store.read_image::<ImageRecord>(&image_key(reference, platform)) {
        Ok(Some(record)) => record,
        Ok(None) => return Ok(None),
        Err(error) if error.is_corrupt() => {
            tracing::warn!(%reference, %error, "the image record is damaged; it will be rebuilt");
            return Ok(None);
        }
        Err(error) => return Err(error.into()),
    };
    // A disk that is gone needs no lease, and reading the cache writes nothing to it.
    if store.disk_lengths(record.disk.key())?.is_none() {
        return Ok(None);
    }
    // Before the files are compared, so that no prune removes them afterwards.
    let lease = record.lease(store)?;
    Ok(is_whole(store, &record)?.then(|| record.to_result(store, reference, true, lease)))
}

/// Returns whether every file that the record names exists, with the right length.
pub(crate) fn is_whole(store: &Store, record: &ImageRecord) -> Result<bool, PullError> {
    // After this the sums of a result cannot overflow.
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
    match record.layout() {
        Some(layout) => record.disk.is_whole(store, &layout, record.fsmeta_bytes),
        None => Ok(false),
    }
}
