use std::sync::Arc;

use msb_layer::decode::Compression;
use msb_oci::Digest;
use msb_sidecar::Note;
use msb_store::Lock;
use tokio::sync::SemaphorePermit;

use crate::document::Blob;

/// A layer as manifest and config name it.
#[derive(Clone, Debug)]
pub(super) struct LayerSource {
    pub(super) blob: Blob,
    pub(super) diff_id: Digest,
}

/// A layer that is in the cache.
#[derive(Clone, Debug)]
pub(super) struct ReadyLayer {
    pub(super) image_bytes: u64,
    pub(super) sidecar_bytes: u64,
    pub(super) notes: Vec<Note>,
    pub(super) was_cached: bool,
}

/// What a task needs before it works on a layer.
#[derive(Debug)]
pub(super) struct Claim<'a> {
    /// `None` where the holder of the lock makes no progress.
    pub(super) lock: Option<Arc<Lock>>,
    /// The permit to run a pipeline; returned before the layer is synced.
    pub(super) pipeline: Option<SemaphorePermit<'a>>,
    /// The permit to have the files of a layer open.
    pub(super) _files: SemaphorePermit<'a>,
}

/// Returns a note on a media type that does not announce the blob's compression.
pub(super) fn media_type_note(media_type: &str, compression: Compression) -> Option<Note> {
    let note = Note::MediaType {
        media_type: media_type.into(),
        compression: compression.to_string(),
    };
    (!compression.is_announced_by(media_type)).then_some(note)
}
