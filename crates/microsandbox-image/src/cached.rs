use msb_oci::Reference;
use msb_platform::Platform;
use msb_store::{LayerLengths, Store};

use crate::record::{ImageRecord, image_key, layer_key};
use crate::{PullError, PullResult};

/// The image as the cache has it; `None` if it lacks anything: the record, a layer, the merged metadata, or a descriptor
/// that says what it should. Reads the record and asks for lengths, nothing more.
pub(crate) fn find(
    store: &Store,
    reference: &Reference,
    platform: &Platform,
) -> Result<Option<PullResult>, PullError> {
    let record = match store.read_image::<ImageRecord>(&image_key(reference, platform)) {
        Ok(Some(record)) => record,
        Ok(None) => return Ok(None),
        Err(error) if error.is_corrupt() => {
            tracing::warn!(%reference, %error, "the image record is damaged; it is made anew");
            return Ok(None);
        }
        Err(error) => return Err(error.into()),
    };
    Ok(is_whole(store, &record)?.then(|| record.to_result(store, reference, true)))
}

/// Whether everything that the record stands for is there, with the right lengths.
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
    record.disk_plan().is_whole(store, record.fsmeta_bytes)
}
