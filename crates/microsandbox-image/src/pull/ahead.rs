use std::sync::Arc;

use msb_stitch::{LayerEvents, Merge, MergeAhead, Readiness, merge_ahead};
use msb_store::{LayerKey, Lock, Store};
use tokio::task::JoinHandle;

use super::blocking::blocking;
use super::holder::Report;
use super::waiting::Artifact;
use crate::PullError;
use crate::disk::{BuildError, ImageDisk, WrittenDisk, open_sidecar, write};

/// A task that merges a disk while its layers are downloaded. Dropping it stops the work and removes its files.
#[derive(Debug)]
pub(super) struct MergeTask {
    lock: Arc<Lock>,
    task: JoinHandle<Option<WrittenDisk>>,
}

/// A disk that only has to be published, if [`LayerEvents::are_all_cached`], and the lock under which it was written.
#[derive(Debug)]
pub(super) struct AheadDisk {
    pub(super) lock: Arc<Lock>,
    pub(super) written: WrittenDisk,
}

impl MergeTask {
    /// Merges the layers while they are converted, each as soon as it and those below it were read, and writes the merged metadata,
    /// so that little work remains when the last layer is cached. Returns no task if another pull is already merging this disk, or
    /// the cache has it, unless `force` rebuilds it.
    pub(super) async fn start(
        store: &Store,
        disk: &ImageDisk,
        merge: Merge,
        force: bool,
    ) -> Result<(LayerEvents, Option<Self>), PullError> {
        let layers = disk.layers();
        let (events, ahead) = {
            let (store, known) = (store.clone(), Arc::clone(layers));
            merge_ahead(Arc::clone(layers), merge, move |device| {
                open_sidecar(&known, &store, device)
            })
        };
        let lock = {
            let (store, disk) = (store.clone(), disk.clone());
            blocking(move || {
                if !force && disk.cached_fsmeta(&store)?.is_some() {
                    return Ok(None);
                }
                Artifact::Disk(disk.key().clone()).try_lock(&store)
            })
            .await?
        };
        let task = lock.map(|lock| Self {
            lock: Arc::new(lock),
            task: tokio::spawn(run(store.clone(), disk.clone(), ahead)),
        });
        Ok((events, task))
    }

    /// Waits for the disk, whose layers are all cached. Returns `None` if it has to be built from the cache, which also returns the
    /// error, if there is one.
    pub(super) async fn disk(mut self) -> Option<AheadDisk> {
        let lock = Arc::clone(&self.lock);
        only_local_work(&lock).await;
        // If the task panicked, the disk is built from the cache too.
        let written = (&mut self.task).await.ok().flatten();
        written.map(|written| AheadDisk { lock, written })
    }
}

/// Reports to other pulls that the holder of the lock no longer depends on a registry.
pub(super) async fn only_local_work(lock: &Arc<Lock>) {
    let lock = Arc::clone(lock);
    let report = move || Ok(lock.report(&Report::only_local_work().to_line())?);
    if let Err(error) = blocking(report).await {
        tracing::debug!(%error, "the progress of a disk cannot be reported");
    }
}

impl Drop for MergeTask {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn run(store: Store, disk: ImageDisk, ahead: MergeAhead<LayerKey>) -> Option<WrittenDisk> {
    match merge(store, disk, ahead).await {
        Ok(written) => written,
        Err(error) => {
            tracing::debug!(?error, "the layers are not merged ahead");
            None
        }
    }
}

async fn merge(
    store: Store,
    disk: ImageDisk,
    mut ahead: MergeAhead<LayerKey>,
) -> Result<Option<WrittenDisk>, BuildError> {
    loop {
        match ahead.ready().await {
            Readiness::Void => return Ok(None),
            Readiness::Complete => break,
            Readiness::Layer => {
                ahead = off_the_executor(move || {
                    ahead.merge_next().map_err(BuildError::Stitch)?;
                    Ok(ahead)
                })
                .await?;
            }
        }
    }
    let (merge, layout) = ahead.finish().map_err(BuildError::Stitch)?;
    let written = off_the_executor(move || write(merge, &disk, &layout, &store));
    written.await.map(Some)
}

async fn off_the_executor<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, BuildError> + Send + 'static,
) -> Result<T, BuildError> {
    let done: Result<_, PullError> = blocking(move || Ok(work())).await;
    done.unwrap_or(Err(BuildError::Worker))
}

#[cfg(test)]
mod tests {
    use msb_oci::Digest;

    use super::*;

    async fn start(store: &Store) -> (LayerEvents, Option<MergeTask>) {
        let disk = ImageDisk::new([Digest::sha256_of(b"layer")].iter()).unwrap();
        let started = MergeTask::start(store, &disk, Merge::new(), false).await;
        started.unwrap()
    }

    #[tokio::test]
    async fn merging_ends_when_the_layers_are_abandoned() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        let (events, task) = start(&store).await;
        drop(events);
        assert!(task.unwrap().disk().await.is_none());
    }

    #[tokio::test]
    async fn of_two_pulls_one_merges_until_it_is_dropped() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        let first = start(&store).await;
        assert!(first.1.is_some() && start(&store).await.1.is_none());
        drop(first);
        while start(&store).await.1.is_none() {
            tokio::task::yield_now().await;
        }
    }
}
