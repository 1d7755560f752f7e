//! Ingests a layer in memory.

use std::cell::RefCell;
use std::fs::File;
use std::io::Cursor;

use bytes::Bytes;
use msb_budget::ImageBudget;
use msb_layer::decode::WindowBudget;
use msb_layer::{IngestedLayer, LayerError, LayerJob, PartialBlobIo, StageThreads};
use msb_oci::Digest;
use msb_sidecar::Sidecar;

use super::{WINDOWS_BYTES, limits};
use crate::memory_file::{contents, memory_file};

/// Ingests a whole blob with its stated length and digest.
pub(super) fn ingest<'a>(
    blob: &[u8],
    plain: &[u8],
    pieces: impl IntoIterator<Item = &'a [u8]>,
) -> Result<Layer, LayerError> {
    resume(Promise::of(blob, plain), blob, 0, pieces)
}

/// Resumes an ingest after the first `earlier` bytes of the blob.
pub(super) fn resume<'a>(
    promise: Promise,
    blob: &[u8],
    earlier: usize,
    pieces: impl IntoIterator<Item = &'a [u8]>,
) -> Result<Layer, LayerError> {
    thread_local! {
        static RUNTIME: RefCell<tokio::runtime::Runtime> = RefCell::new(
            tokio::runtime::Builder::new_current_thread().build().expect("a runtime needs nothing"),
        );
        static THREADS: StageThreads = StageThreads::default();
    }
    let (image, sidecar, part) = (memory_file(), memory_file(), memory_file());
    let job = LayerJob {
        blob: promise.blob,
        blob_bytes: promise.blob_bytes,
        media_type: String::new(),
        diff_id: promise.diff_id,
        image: image.try_clone().expect("a file can be shared"),
        sidecar: sidecar.try_clone().expect("a file can be shared"),
        partial: (earlier > 0).then(|| PartialBlobIo {
            earlier: Box::new(Cursor::new(blob[..earlier].to_vec())),
            bytes: earlier as u64,
            more: Box::new(part.try_clone().expect("a file can be shared")),
        }),
        limits: limits(),
        budget: ImageBudget::default(),
        windows: WindowBudget::new(WINDOWS_BYTES),
        threads: THREADS.with(StageThreads::clone),
    };
    let made = RUNTIME.with_borrow_mut(|runtime| {
        runtime.block_on(async {
            let (feed, task) = job.start()?;
            for piece in pieces {
                if !feed.send(Bytes::copy_from_slice(piece)).await {
                    return task.wait().await;
                }
            }
            feed.finish().await;
            task.wait().await
        })
    })?;
    if earlier > 0 {
        assert!(
            contents(&part) == blob[earlier..],
            "the partial blob has the rest"
        );
    }
    Ok(Layer {
        made,
        image,
        sidecar,
    })
}

/// An ingested layer in memory.
pub(super) struct Layer {
    pub(super) made: IngestedLayer,
    pub(super) image: File,
    pub(super) sidecar: File,
}

impl Layer {
    pub(super) fn open(&self) -> Sidecar<File> {
        Sidecar::open(self.sidecar.try_clone().expect("a file can be shared"))
            .expect("the sidecar opens")
    }
}

/// The statements of a manifest and a config about a blob.
pub(super) struct Promise {
    pub(super) blob: Digest,
    pub(super) blob_bytes: u64,
    pub(super) diff_id: Digest,
}

impl Promise {
    pub(super) fn of(blob: &[u8], plain: &[u8]) -> Self {
        Self {
            blob: Digest::sha256_of(blob),
            blob_bytes: blob.len() as u64,
            diff_id: Digest::sha256_of(plain),
        }
    }
}
