//! Which blobs were verified to unpack to a layer.

use msb_oci::Digest;

use crate::artifact::{LAYER, LAYER_BLOBS};
use crate::error::Result;
use crate::{LayerKey, Store};

/// How many blob digests are remembered for each layer: the most recent ones.
const MAX_BLOBS: usize = 16;
/// More than [`MAX_BLOBS`] lines have.
const LIMIT_BYTES: u64 = 4096;

impl Store {
    /// Records that the blob `blob` was decompressed and hashed, and has this layer's `diff_id`.
    ///
    /// The list lies beside the layer, is removed with it, and keeps the 16 most recent digests. It is not synced: after a crash it may be
    /// missing, and then the blob is verified once more.
    pub fn record_verified_blob(&self, key: &LayerKey, blob: &Digest) -> Result<()> {
        let mut blobs = self.verified_blobs(key)?;
        if blobs.contains(blob) {
            return Ok(());
        }
        blobs.push(*blob);
        let first = blobs.len().saturating_sub(MAX_BLOBS);
        let text: String = blobs[first..]
            .iter()
            .map(|blob| format!("{blob}\n"))
            .collect();
        self.publish_hint(LAYER.place(key, LAYER_BLOBS), text.as_bytes())
    }

    /// Returns whether [`Self::record_verified_blob`] recorded this blob for this layer.
    pub fn is_verified_blob(&self, key: &LayerKey, blob: &Digest) -> Result<bool> {
        Ok(self.verified_blobs(key)?.contains(blob))
    }

    fn verified_blobs(&self, key: &LayerKey) -> Result<Vec<Digest>> {
        let bytes = match self.read_place(&LAYER.place(key, LAYER_BLOBS), LIMIT_BYTES) {
            Ok(bytes) => bytes,
            Err(error) if error.is_corrupt() => None,
            Err(error) => return Err(error),
        };
        Ok(bytes.and_then(|bytes| parse(&bytes)).unwrap_or_default())
    }
}

/// One digest a line; `None` if any of them is not one.
fn parse(bytes: &[u8]) -> Option<Vec<Digest>> {
    let text = std::str::from_utf8(bytes).ok()?;
    text.lines().map(|line| line.parse().ok()).collect()
}
