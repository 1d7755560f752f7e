use std::fs::File;
use std::io::Write;

use msb_budget::ImageBudget;
use msb_sidecar::{Changes, Sidecar};
use msb_stitch::{Merge, Proof, ProofError, StitchError, prove_layers, prove_unpublished};
use msb_store::{LayerKey, Store, Synced, publish_all};
use tokio::task::JoinHandle;

use super::{DiskPlan, clone_error};

/// Why a disk was not built.
#[derive(Debug)]
pub(crate) enum BuildError {
    Stitch(StitchError),
    Store(msb_store::Error),
    /// What was written is not what a guest can read: a mistake of ours, or of the machine's.
    Proof(ProofError),
    /// A thread of ours, or no thread to be had.
    Worker,
    /// A layer's sidecar is missing or damaged: the layer has to be made again.
    DamagedLayer(LayerKey),
}

/// Builds a disk whose layers are all in the cache. Blocks, and needs a tokio runtime.
pub(crate) fn build(
    plan: &DiskPlan,
    store: &Store,
    budget: &ImageBudget,
) -> Result<WrittenDisk, BuildError> {
    let mut merge = DiskMerge::new(budget);
    for device in plan.devices() {
        merge.add_cached(plan, *device, store)?;
    }
    merge.write(plan, store)
}

/// The layers of a disk on their way into one tree.
#[derive(Debug)]
pub(crate) struct DiskMerge {
    merge: Merge,
}

impl DiskMerge {
    pub(crate) fn new(budget: &ImageBudget) -> Self {
        Self {
            merge: Merge::with_budget(budget),
        }
    }

    /// Puts a layer of the cache on top.
    pub(crate) fn add_cached(
        &mut self,
        plan: &DiskPlan,
        device: u16,
        store: &Store,
    ) -> Result<(), BuildError> {
        let layer = &plan.slot(device).layer;
        let damaged = || BuildError::DamagedLayer(layer.clone());
        let file = store.open_layer_sidecar(layer)?.ok_or_else(damaged)?;
        let sidecar = Sidecar::open(file).map_err(|_| damaged())?;
        self.add(plan, device, sidecar.changes())
    }

    /// Puts the layer with these changes on top.
    pub(crate) fn add(
        &mut self,
        plan: &DiskPlan,
        device: u16,
        changes: &Changes<File>,
    ) -> Result<(), BuildError> {
        let added = self.merge.add(device, changes);
        added.map_err(|error| match error.corrupt_layer() {
            Some(_) => BuildError::DamagedLayer(plan.slot(device).layer.clone()),
            None => BuildError::Stitch(error),
        })
    }

    /// Writes the merged metadata under a temporary name, begins to bring it to stable storage, and proves the disk. Blocks, and
    /// needs a tokio runtime.
    pub(crate) fn write(self, plan: &DiskPlan, store: &Store) -> Result<WrittenDisk, BuildError> {
        tracing::trace!(target: "microsandbox_image::disk", "merged");
        // The disk's identity is its chain, as a layer's is its diff_id.
        let uuid = plan.key.chain.uuid();
        let staged = store.stage_fsmeta(&plan.key)?;
        let output = staged.try_clone_file()?;
        let written = self.merge.write_fsmeta(output, &plan.stitch_slots(), uuid);
        let (fsmeta, file) = written.map_err(|error| match error.write_error() {
            Some(source) => BuildError::Store(staged.write_error(clone_error(source), None)),
            None => BuildError::Stitch(error),
        })?;
        tracing::trace!(target: "microsandbox_image::disk", "written");
        let vmdk = store.vmdk_path(&plan.key);
        let text = plan.descriptor(fsmeta.bytes).map_err(BuildError::Stitch)?;
        let descriptor = store.stage_vmdk(&plan.key)?;
        let written = descriptor.file().write_all(text.as_bytes());
        written.map_err(|source| descriptor.write_error(source, Some(text.len() as u64)))?;
        // What was written is read back as a guest would, while it goes to stable storage.
        let sync = tokio::task::spawn_blocking(move || Ok([staged.sync()?, descriptor.sync()?]));
        let proof = prove_unpublished(&vmdk, &text, file);
        tracing::trace!(target: "microsandbox_image::disk", "proved");
        Ok(WrittenDisk {
            bytes: fsmeta.bytes,
            text,
            sync,
            proof,
        })
    }
}

/// A disk that nobody can see yet. No file is left of it when this is dropped.
#[derive(Debug)]
pub(crate) struct WrittenDisk {
    /// The length of the merged metadata.
    bytes: u64,
    /// The descriptor.
    text: String,
    /// The merged metadata and the descriptor, on their way to stable storage.
    sync: JoinHandle<Result<[Synced; 2], msb_store::Error>>,
    proof: Result<Proof, ProofError>,
}

impl WrittenDisk {
    /// Publishes the disk, whose layers are all in the cache now; gives the length of the merged metadata.
    pub(crate) async fn publish(self, plan: DiskPlan, store: Store) -> Result<u64, BuildError> {
        // First the sync's error: what could not be written cannot be read back either.
        let files = self.sync.await.map_err(|_| BuildError::Worker)??;
        tracing::trace!(target: "microsandbox_image::disk", "synced");
        let (bytes, text, proof) = (self.bytes, self.text, self.proof);
        let publish = move || {
            let vmdk = store.vmdk_path(&plan.key);
            proof
                .and_then(|_| prove_layers(&vmdk, &text))
                .map_err(|error| proof_error(&plan, error))?;
            publish_all(files).map_err(BuildError::Store)
        };
        let published = tokio::task::spawn_blocking(publish).await;
        published.map_err(|_| BuildError::Worker)??;
        Ok(bytes)
    }
}

/// A layer image that is gone or cut since it was looked at is made again; everything else is wrong for good.
fn proof_error(plan: &DiskPlan, error: ProofError) -> BuildError {
    let (ProofError::Read { path, .. } | ProofError::Length { path, .. }) = &error else {
        return BuildError::Proof(error);
    };
    let mut slots = plan.slots.iter();
    match slots.find(|slot| path.ends_with(slot.layer.image_path_from_disk())) {
        Some(slot) => BuildError::DamagedLayer(slot.layer.clone()),
        None => BuildError::Proof(error),
    }
}

impl From<msb_store::Error> for BuildError {
    fn from(error: msb_store::Error) -> Self {
        Self::Store(error)
    }
}
