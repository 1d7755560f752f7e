use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use msb_budget::ImageBudget;
use msb_oci::Digest;

use super::hash::Hashes;
use super::threads::{Stage, StageThreads};
use super::{LayerFeed, PartialBlobIo, Stages, Uncompressed, verified};
use crate::decode::{Compression, WindowBudget};
use crate::format::check_media_type;
use crate::{LayerError, LayerLimits};

/// A blob to verify against an existing layer: it is decompressed and hashed, and nothing but a copy of the blob is written, on request.
#[derive(Debug)]
pub struct VerifyJob {
    /// The blob's digest, from the manifest.
    pub blob: Digest,
    /// The blob's length in bytes, from the manifest.
    pub blob_bytes: u64,
    /// The blob's media type, from the manifest.
    pub media_type: String,
    /// The unpacked archive's digest, from the config.
    pub diff_id: Digest,
    /// The copy of the blob, which the bytes continue as they do a partial blob.
    pub copy: Option<PartialBlobIo>,
    /// The budget of the image.
    pub budget: ImageBudget,
    /// Limits of the layer.
    pub limits: LayerLimits,
    /// The memory that all layers of a pull may use for the windows of zstd frames.
    pub windows: WindowBudget,
    /// The threads that all layers of a pull share.
    pub threads: StageThreads,
}

/// A [`VerifyJob`] whose threads are running.
#[derive(Debug)]
pub struct VerifyTask {
    result: Stage<Compression>,
    processed: Arc<AtomicU64>,
    cancelled: Arc<AtomicBool>,
}

impl VerifyJob {
    /// Starts the threads.
    ///
    /// # Errors
    /// [`LayerError::Format`] for a media type that is not supported, [`LayerError::Spawn`].
    pub fn start(self) -> Result<(LayerFeed, VerifyTask), LayerError> {
        let Self {
            blob,
            blob_bytes,
            media_type,
            diff_id,
            copy,
            budget,
            limits,
            windows,
            threads,
        } = self;
        if let Err(format) = check_media_type(&media_type) {
            return Err(LayerError::Format {
                media_type,
                format: Some(format),
            });
        }
        let expected = Hashes { blob, diff_id };
        let Stages {
            feed,
            write_queue,
            inflate,
            hash,
            processed,
            mut failing,
        } = Stages::start(
            &threads, &expected, blob_bytes, copy, &budget, &limits, windows,
        )?;
        let cancelled = Arc::clone(&feed.cancelled);
        let result = threads.start(move || {
            let drained = loop {
                match write_queue.recv() {
                    Ok(Uncompressed::Chunk(_)) => {}
                    Ok(Uncompressed::End) => break Ok(()),
                    Err(_) => break Err(LayerError::Cancelled),
                }
            };
            let drained = failing.watch(drained);
            let result = verified(inflate.join(), drained, hash.join(), expected);
            result.map(|(compression, ())| compression)
        })?;
        let task = VerifyTask {
            result,
            processed,
            cancelled,
        };
        Ok((feed, task))
    }
}

impl VerifyTask {
    /// Returns the counter of the blob's bytes that were decompressed so far.
    #[must_use]
    pub fn processed(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.processed)
    }

    /// Waits for the end of all threads. Both digests are verified if this returns `Ok`.
    ///
    /// # Errors
    /// See [`LayerError`].
    pub async fn wait(mut self) -> Result<Compression, LayerError> {
        self.result.wait().await
    }
}

impl Drop for VerifyTask {
    fn drop(&mut self) {
        self.cancelled.store(true, Ordering::Relaxed);
    }
}
