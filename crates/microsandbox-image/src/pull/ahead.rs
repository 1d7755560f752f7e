use std::fs::File;
use std::io;
use std::sync::Arc;

use msb_budget::ImageBudget;
use msb_store::{Lock, Store};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::blocking::blocking;
use super::holder::Report;
use super::state::{LayerState, LayerStates};
use super::waiting::Artifact;
use crate::PullError;
use crate::disk::{BuildError, DiskMerge, DiskPlan, WrittenDisk, open_sidecar};

/// A disk that is merged while its layers are downloaded. Dropping it stops the work and removes its files.
#[derive(Debug)]
pub(super) struct MergeAhead {
    lock: Arc<Lock>,
    task: JoinHandle<Option<WrittenDisk>>,
}

/// A disk that only has to be published, if [`LayerStates::are_well`], and the lock under which it was written.
#[derive(Debug)]
pub(super) struct AheadDisk {
    pub(super) lock: Arc<Lock>,
    pub(super) disk: WrittenDisk,
}

impl MergeAhead {
    /// Merges the layers while they are converted, each as soon as it and those below it were read, and writes the merged metadata,
    /// so that little work remains when the last layer is cached. Returns `None` if another pull is already merging this disk, or
    /// the cache has it, unless it is rebuilt `anew`.
    pub(super) async fn start(
        store: &Store,
        plan: &DiskPlan,
        states: &LayerStates,
        budget: &ImageBudget,
        anew: bool,
    ) -> Result<Option<Self>, PullError> {
        let (store, plan) = (store.clone(), Arc::new(plan.clone()));
        let lock = {
            let (store, plan) = (store.clone(), Arc::clone(&plan));
            blocking(move || {
                if !anew && plan.cached_fsmeta_bytes(&store)?.is_some() {
                    return Ok(None);
                }
                Artifact::Disk(plan.key().clone()).try_lock(&store)
            })
            .await?
        };
        let Some(lock) = lock else {
            return Ok(None);
        };
        let states = states.watch();
        let disk = {
            let (store, plan, states) = (store.clone(), Arc::clone(&plan), states.clone());
            DiskMerge::new(budget, move |device| reopen(&store, &plan, &states, device))
        };
        let merge = async move {
            match merge(store, plan, disk, states).await {
                Ok(disk) => disk,
                Err(error) => {
                    tracing::debug!(?error, "the layers are not merged ahead");
                    None
                }
            }
        };
        Ok(Some(Self {
            lock: Arc::new(lock),
            task: tokio::spawn(merge),
        }))
    }

    /// Waits for the disk, whose layers are all cached. `None`: it has to be built from the cache, which also returns the error, if
    /// there is one.
    pub(super) async fn disk(mut self) -> Option<AheadDisk> {
        let lock = Arc::clone(&self.lock);
        only_local_work(&lock).await;
        // One that panicked is built from the cache, too.
        let disk = (&mut self.task).await.ok().flatten();
        disk.map(|disk| AheadDisk { lock, disk })
    }
}

/// Reports to other pulls that the holder of the lock depends on no registry any more.
pub(super) async fn only_local_work(lock: &Arc<Lock>) {
    let lock = Arc::clone(lock);
    let report = move || Ok(lock.report(&Report::only_local_work().to_line())?);
    if let Err(error) = blocking(report).await {
        tracing::debug!(%error, "the progress of a disk cannot be reported");
    }
}

impl Drop for MergeAhead {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn merge(
    store: Store,
    plan: Arc<DiskPlan>,
    mut merge: DiskMerge,
    mut states: Vec<watch::Receiver<LayerState>>,
) -> Result<Option<WrittenDisk>, BuildError> {
    for device in plan.devices().to_vec() {
        let state = &mut states[usize::from(device) - 1];
        let known = state.wait_for(|state| !matches!(state, LayerState::Pending));
        let state = match known.await.map(|state| state.clone()) {
            Err(_) | Ok(LayerState::Void) => return Ok(None),
            Ok(state) => state,
        };
        let (store, plan) = (store.clone(), Arc::clone(&plan));
        merge = off_the_executor(move || {
            match state {
                LayerState::Read(layer) => merge.add(&plan, device, &layer.changes, &store)?,
                _ => merge.add_cached(&plan, device, &store)?,
            }
            Ok(merge)
        })
        .await?;
    }
    let mut image_bytes = Vec::with_capacity(states.len());
    for state in states {
        let state = state.borrow().clone();
        let bytes = match state {
            LayerState::Read(layer) => layer.planned_bytes().await,
            LayerState::Cached { image_bytes } => Some(image_bytes),
            LayerState::Pending | LayerState::Void => None,
        };
        let Some(bytes) = bytes else {
            return Ok(None);
        };
        image_bytes.push(bytes);
    }
    let plan = DiskPlan::clone(&plan).with_image_bytes(&image_bytes);
    let written = off_the_executor(move || merge.write(&plan, &store)).await?;
    Ok(Some(written))
}

/// Opens the sidecar of a layer: the one that is being written, or the cached one after that was published.
fn reopen(
    store: &Store,
    plan: &DiskPlan,
    states: &[watch::Receiver<LayerState>],
    device: u16,
) -> io::Result<File> {
    let state = states[usize::from(device) - 1].borrow().clone();
    match state {
        LayerState::Read(layer) => layer.changes.source().try_clone(),
        LayerState::Cached { .. } => open_sidecar(plan, store, device),
        LayerState::Pending | LayerState::Void => Err(io::ErrorKind::NotFound.into()),
    }
}

async fn off_the_executor<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, BuildError> + Send + 'static,
) -> Result<T, BuildError> {
    let done: Result<_, PullError> = blocking(move || Ok(work())).await;
    done.unwrap_or(Err(BuildError::Worker))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan() -> DiskPlan {
        let diff_id = msb_oci::Digest::sha256_of(b"layer");
        DiskPlan::new([(&diff_id, 0)].into_iter())
    }

    #[tokio::test]
    async fn merging_ends_when_the_layers_are_abandoned() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        let states = LayerStates::new(1);
        let merge =
            MergeAhead::start(&store, &plan(), &states, &ImageBudget::default(), false).await;
        drop(states);
        assert!(merge.unwrap().unwrap().disk().await.is_none());
    }

    #[tokio::test]
    async fn of_two_pulls_one_merges_until_it_is_dropped() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        let states = LayerStates::new(1);
        let start = async || {
            let merge =
                MergeAhead::start(&store, &plan(), &states, &ImageBudget::default(), false).await;
            merge.unwrap()
        };
        let first = start().await;
        assert!(first.is_some() && start().await.is_none());
        drop(first);
        while start().await.is_none() {
            tokio::task::yield_now().await;
        }
    }
}
