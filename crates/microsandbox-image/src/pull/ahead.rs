use std::sync::Arc;

use msb_budget::ImageBudget;
use msb_store::{Lock, LockOn, Store};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::blocking::blocking;
use super::state::{LayerState, LayerStates};
use crate::PullError;
use crate::disk::{BuildError, DiskMerge, DiskPlan, WrittenDisk};

/// A disk that is being made beside its layers. Dropping it stops that, and leaves nothing.
#[derive(Debug)]
pub(super) struct MergeAhead {
    task: JoinHandle<Option<AheadDisk>>,
}

/// A disk that only has to be published, if [`LayerStates::are_well`], and the lock under which it was made.
#[derive(Debug)]
pub(super) struct AheadDisk {
    pub(super) lock: Lock,
    pub(super) disk: WrittenDisk,
}

impl MergeAhead {
    /// Merges the layers while they are made, each as soon as it and those below it were read, and writes the merged metadata;
    /// so that little is left to do when the last layer is in the cache. `None` where another pull is at it, or the cache
    /// has the disk, unless it is made `anew`.
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
                let lock = store.try_lock(LockOn::Disk(plan.key()))?;
                let is_there = !anew && plan.cached_fsmeta_bytes(&store).is_some();
                Ok(lock.filter(|_| !is_there))
            })
            .await?
        };
        let Some(lock) = lock else {
            return Ok(None);
        };
        let states = states.watch();
        let disk = DiskMerge::new(budget);
        let merge = async move {
            match merge(store, plan, disk, states).await {
                Ok(disk) => disk.map(|disk| AheadDisk { lock, disk }),
                Err(error) => {
                    tracing::debug!(?error, "the layers are not merged ahead");
                    None
                }
            }
        };
        Ok(Some(Self {
            task: tokio::spawn(merge),
        }))
    }

    /// Waits for the disk. `None`: it has to be built from the cache, which will also tell what is wrong, if anything is.
    pub(super) async fn disk(mut self) -> Option<AheadDisk> {
        // One that panicked is built from the cache, too.
        (&mut self.task).await.ok().flatten()
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
                LayerState::Read(layer) => merge.add(&plan, device, &layer.changes)?,
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
    async fn merging_ends_when_nobody_makes_the_layers_any_more() {
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
