use std::sync::Arc;

use msb_layer::decode::Compression;
use msb_sidecar::Note;
use msb_store::Lock;
use tokio::sync::SemaphorePermit;

pub(super) use crate::cache::lookup::ReadyLayer;
pub(super) use crate::document::LayerSource;

/// The permits and the lock that a task holds while it works on a layer.
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
