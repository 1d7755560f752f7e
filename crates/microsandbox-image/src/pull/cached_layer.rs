use msb_sidecar::Sidecar;
use msb_store::{LayerLengths, Store};

use super::layer::{LayerSource, ReadyLayer};
use crate::PullError;
use crate::cache::layer_key;

/// A layer as the cache has it.
#[derive(Debug)]
pub(super) enum CachedLayer {
    /// It is absent or damaged.
    Absent,
    /// It is there, but no pull has verified that this blob unpacks to it. Only the config names the two together, so that the layer
    /// is not used before the blob was verified.
    Unverified(ReadyLayer),
    /// It is there, and this blob unpacks to it.
    Verified(ReadyLayer),
}

impl CachedLayer {
    /// Finds the layer, if both of its files are in the cache and the image is as long as the sidecar records. Blocks on file I/O.
    ///
    /// # Errors
    /// [`PullError::Store`] and [`PullError::Sidecar`] for a file that is there and cannot be read, which is no damage.
    pub(super) fn find(store: &Store, layer: &LayerSource) -> Result<Self, PullError> {
        let key = layer_key(&layer.diff_id);
        let Some(file) = store.open_layer_sidecar(&key)? else {
            return Ok(Self::Absent);
        };
        let read =
            Sidecar::open(file).and_then(|sidecar| Ok((sidecar.image().bytes, sidecar.notes()?)));
        let (image_bytes, notes) = match read {
            Ok(read) => read,
            Err(error) if error.is_corrupt() => {
                tracing::warn!(diff_id = %key.diff_id, %error, "a cached sidecar is damaged; the layer is rebuilt");
                return Ok(Self::Absent);
            }
            Err(source) => {
                let path = store.layer_sidecar_path(&key);
                return Err(PullError::Sidecar { path, source });
            }
        };
        let lengths = store.layer_lengths(&key)?;
        let Some(LayerLengths { sidecar_bytes, .. }) =
            lengths.filter(|lengths| lengths.image_bytes == image_bytes)
        else {
            return Ok(Self::Absent);
        };
        let ready = ReadyLayer {
            image_bytes,
            sidecar_bytes,
            notes,
            was_cached: true,
        };
        // An uncompressed blob is the layer's own archive.
        let is_same = layer.blob.digest == layer.diff_id;
        Ok(
            if is_same || store.is_verified_blob(&key, &layer.blob.digest)? {
                Self::Verified(ready)
            } else {
                Self::Unverified(ready)
            },
        )
    }
}
