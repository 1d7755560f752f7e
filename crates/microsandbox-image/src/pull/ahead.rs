use std::sync::Arc;

use msb_layer::ReadLayer;
use msb_store::{Lock, LockOn, Store};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::blocking::blocking;
use crate::PullError;
use crate::disk::{BuildError, DiskMerge, DiskPlan, WrittenDisk};

/// How far a layer is, for whoever merges it.
#[derive(Clone, Debug)]
pub(super) enum LayerState {
    /// It cannot be merged yet.
    Pending,
    /// It can be; whether it is what the image means is not known yet.
    Read(Arc<ReadLayer>),
    /// It is in the cache.
    Cached { image_bytes: u64 },
    /// It was read, and then made again: what was merged of it is void.
    Void,
}

/// The states of a disk's layers, in the order of its devices.
#[derive(Debug)]
pub(super) struct LayerStates {
    states: Vec<LayerReporter>,
}

/// Where whoever makes a layer says how far it is.
#[derive(Debug)]
pub(super) struct LayerReporter {
    state: watch::Sender<LayerState>,
}

impl LayerStates {
    pub(super) fn new(layers: usize) -> Self {
        let pending = |_| LayerReporter {
            state: watch::Sender::new(LayerState::Pending),
        };
        Self {
            states: (0..layers).map(pending).collect(),
        }
    }

    /// The state of the layer that is this device.
    pub(super) fn of(&self, device: u16) -> &LayerReporter {
        &self.states[usize::from(device) - 1]
    }

    /// Whether every layer is in the cache, and is what was merged of it.
    pub(super) fn are_well(&self) -> bool {
        let well =
            |layer: &LayerReporter| matches!(*layer.state.borrow(), LayerState::Cached { .. });
        self.states.iter().all(well)
    }
}

impl LayerReporter {
    pub(super) fn read(&self, layer: ReadLayer) {
        self.advance(LayerState::Read(Arc::new(layer)));
    }

    pub(super) fn cached(&self, image_bytes: u64) {
        self.advance(LayerState::Cached { image_bytes });
    }

    /// The layer is made again from its beginning.
    pub(super) fn started_over(&self) {
        self.state.send_if_modified(|state| {
            let was_read = matches!(state, LayerState::Read(_));
            if was_read {
                *state = LayerState::Void;
            }
            was_read
        });
    }

    fn advance(&self, next: LayerState) {
        self.state.send_if_modified(|state| {
            let is_void = matches!(state, LayerState::Void);
            if !is_void {
                *state = next;
            }
            !is_void
        });
    }
}

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
        let states = states.states.iter();
        let states = states.map(|layer| layer.state.subscribe()).collect();
        let merge = async move {
            match merge(store, plan, states).await {
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
    mut states: Vec<watch::Receiver<LayerState>>,
) -> Result<Option<WrittenDisk>, BuildError> {
    let mut merge = DiskMerge::default();
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
    use msb_sidecar::SidecarWriter;

    use super::*;

    fn layer() -> ReadLayer {
        let file = tempfile::tempfile().unwrap();
        let sidecar = SidecarWriter::new(file.try_clone().unwrap());
        ReadLayer {
            changes: sidecar.end_changes().unwrap().changes(file),
            image_bytes: watch::channel(Some(4096)).1,
        }
    }

    #[test]
    fn a_layer_that_was_read_and_made_again_is_void_for_good() {
        let states = LayerStates::new(2);
        states.of(1).cached(4096);
        states.of(2).read(layer());
        assert!(!states.are_well());
        states.of(2).started_over();
        states.of(2).read(layer());
        states.of(2).cached(4096);
        assert!(!states.are_well());
    }

    #[test]
    fn a_layer_that_starts_over_before_it_was_read_is_none_the_worse() {
        let states = LayerStates::new(1);
        states.of(1).started_over();
        states.of(1).read(layer());
        states.of(1).cached(4096);
        assert!(states.are_well());
    }

    fn plan() -> DiskPlan {
        let diff_id = msb_oci::Digest::sha256_of(b"layer");
        DiskPlan::new([(&diff_id, 0)].into_iter())
    }

    #[tokio::test]
    async fn merging_ends_when_nobody_makes_the_layers_any_more() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        let states = LayerStates::new(1);
        let merge = MergeAhead::start(&store, &plan(), &states, false).await;
        drop(states);
        assert!(merge.unwrap().unwrap().disk().await.is_none());
    }

    #[tokio::test]
    async fn of_two_pulls_one_merges_until_it_is_dropped() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        let states = LayerStates::new(1);
        let start = async || {
            let merge = MergeAhead::start(&store, &plan(), &states, false).await;
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
