use msb_sidecar::{Note, Sidecar};
use msb_store::{LayerLengths, Store};

use crate::cache::CacheError;
use crate::cache::keys::layer_key;
use crate::document::LayerSource;

/// A layer as the cache has it.
#[derive(Debug)]
pub(crate) enum CachedLayer {
    /// It is absent or damaged.
    Absent,
    /// It is there as its publisher has made it: no blob was verified to unpack to it. Only a pull of EROFS layers uses it, and only if its
    /// publisher has the same layer.
    Claimed(ReadyLayer),
    /// It is there, but no pull has verified that this blob unpacks to it. Only the config names the two together, so that the layer
    /// is not used before the blob was verified.
    Unverified(ReadyLayer),
    /// It is there, and this blob unpacks to it.
    Verified(ReadyLayer),
}

/// A layer that is in the cache.
#[derive(Clone, Debug)]
pub(crate) struct ReadyLayer {
    pub(crate) image_bytes: u64,
    pub(crate) sidecar_bytes: u64,
    pub(crate) notes: Vec<Note>,
    pub(crate) was_cached: bool,
    /// Whether only its publisher vouches for it.
    pub(crate) is_claimed: bool,
}

impl CachedLayer {
    /// Finds the layer, if both of its files are in the cache and the image is as long as the sidecar records. Blocks on file I/O.
    ///
    /// # Errors
    /// [`CacheError::Store`] and [`CacheError::Sidecar`] for a file that is there and cannot be read, which is no damage.
    pub(crate) fn find(store: &Store, layer: &LayerSource) -> Result<Self, CacheError> {
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
                return Err(CacheError::Sidecar { path, source });
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
            is_claimed: false,
        };
        // An uncompressed blob is the layer's own archive.
        let is_same = layer.blob.digest == layer.diff_id;
        Ok(if store.is_verified_blob(&key, &layer.blob.digest)? {
            Self::Verified(ready)
        } else if !store.has_verified_blob(&key)? {
            Self::Claimed(ready)
        } else if is_same {
            Self::Verified(ready)
        } else {
            Self::Unverified(ready)
        })
    }
}
