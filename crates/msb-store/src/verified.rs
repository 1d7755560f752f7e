//! Which blobs were verified to unpack to a layer.

use std::io::{self, Write as _};

use msb_oci::Digest;
use rustix::fs::Mode;

use crate::artifact::{LAYER, LAYER_BLOBS};
use crate::crash;
use crate::error::Result;
use crate::step::Step;
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
        let session = self.session();
        let mut blobs = session.verified_blobs(key)?;
        if blobs.contains(blob) {
            return Ok(());
        }
        blobs.push(*blob);
        let first = blobs.len().saturating_sub(MAX_BLOBS);
        let text: String = blobs[first..]
            .iter()
            .map(|blob| format!("{blob}\n"))
            .collect();
        session.publish_hint(LAYER.place(key, LAYER_BLOBS), text.as_bytes())
    }

    /// Records the blob of a layer that was just built, which mostly has no list yet.
    ///
    /// The list is created under its own name: one that is empty or cut off, after a crash, counts as none.
    pub(crate) fn record_new_blob(&self, key: &LayerKey, blob: &Digest, mode: Mode) -> Result<()> {
        let place = LAYER.place(key, LAYER_BLOBS);
        let Some(dir) = self.dir(&place.dir)? else {
            return self.record_verified_blob(key, blob);
        };
        let mut file = match dir.create_new(&place.name, mode) {
            Ok(file) => file,
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {
                return self.record_verified_blob(key, blob);
            }
            Err(e) => return Err(dir.error(Step::Create, &place.name, e)),
        };
        let written = dir.set_exact_mode(&place.name, &file, mode).and_then(|_| {
            let path = dir.path_of(&place.name);
            crash::around("write", &path, &[], || {
                file.write_all(format!("{blob}\n").as_bytes())
            })
            .map_err(|e| dir.error(Step::Write, &place.name, e))
        });
        #[cfg(test)]
        crate::order::note("name", &dir.path_of(&place.name));
        if written.is_err() {
            // The first error counts.
            let _ = dir.remove_file(&place.name);
        }
        written
    }

    /// Returns whether [`Self::record_verified_blob`] recorded this blob for this layer.
    pub fn is_verified_blob(&self, key: &LayerKey, blob: &Digest) -> Result<bool> {
        Ok(self.verified_blobs(key)?.contains(blob))
    }

    /// Returns whether any blob was verified to unpack to this layer. Otherwise only the publisher of the layer's image vouches for it.
    pub fn has_verified_blob(&self, key: &LayerKey) -> Result<bool> {
        Ok(!self.verified_blobs(key)?.is_empty())
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

/// Parses one digest on each line; `None` if one of them is malformed.
fn parse(bytes: &[u8]) -> Option<Vec<Digest>> {
    let text = std::str::from_utf8(bytes).ok()?;
    text.lines().map(|line| line.parse().ok()).collect()
}
