use std::fs::File;
use std::io::{self, Write};
use std::path::PathBuf;

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
    /// What was written is not what a guest can read: a fault of this program or of the machine.
    Proof(ProofError),
    /// A background task panicked, or could not be started.
    Worker,
    /// A layer's sidecar is missing or damaged: the layer has to be rebuilt.
    DamagedLayer(LayerKey),
    /// A layer's sidecar is there and cannot be read.
    Sidecar {
        path: PathBuf,
        source: msb_sidecar::Error,
    },
}

/// Builds a disk whose layers are all in the cache. Blocks, and needs a tokio runtime.
pub(crate) fn build(
    plan: &DiskPlan,
    store: &Store,
    budget: &ImageBudget,
) -> Result<WrittenDisk, BuildError> {
    let (layers, files) = (plan.clone(), store.clone());
    let mut merge = DiskMerge::new(budget, move |device| open_sidecar(&layers, &files, device));
    for device in plan.devices() {
        merge.add_cached(plan, *device, store)?;
    }
    merge.write(plan, store)
}

/// Opens the sidecar of a device that is in the cache.
pub(crate) fn open_sidecar(plan: &DiskPlan, store: &Store, device: u16) -> io::Result<File> {
    let opened = store.open_layer_sidecar(&plan.slot(device).layer);
    let file = opened.map_err(io::Error::other)?;
    file.ok_or_else(|| io::ErrorKind::NotFound.into())
}

/// The layers of a disk on their way into one tree.
#[derive(Debug)]
pub(crate) struct DiskMerge {
    merge: Merge,
}

impl DiskMerge {
    /// Creates a merge that calls `open` to read a layer's sidecar again: hundreds of them do not stay open.
    pub(crate) fn new(
        budget: &ImageBudget,
        open: impl FnMut(u16) -> io::Result<File> + Send + 'static,
    ) -> Self {
        Self {
            merge: Merge::with_budget(budget).reopening(open),
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
        let Some(file) = store.open_layer_sidecar(layer)? else {
            return Err(BuildError::DamagedLayer(layer.clone()));
        };
        let sidecar = Sidecar::open(file).map_err(|source| sidecar_error(layer, store, source))?;
        self.add(plan, device, sidecar.changes(), store)
    }

    /// Puts the layer with these changes on top.
    pub(crate) fn add(
        &mut self,
        plan: &DiskPlan,
        device: u16,
        changes: &Changes<File>,
        store: &Store,
    ) -> Result<(), BuildError> {
        let added = self.merge.add(device, changes);
        added.map_err(|error| match error {
            StitchError::Sidecar { device, source } => {
                sidecar_error(&plan.slot(device).layer, store, source)
            }
            other => BuildError::Stitch(other),
        })
    }

    /// Writes the merged metadata under a temporary name, starts to sync it, and verifies the disk. Blocks, and needs a tokio
    /// runtime.
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
        // What was written is read back as a guest would, while it is synced.
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

/// A disk that is written and not published. Dropping it removes its files.
#[derive(Debug)]
pub(crate) struct WrittenDisk {
    /// The length of the merged metadata.
    bytes: u64,
    /// The descriptor.
    text: String,
    /// The merged metadata and the descriptor, being synced.
    sync: JoinHandle<Result<[Synced; 2], msb_store::Error>>,
    proof: Result<Proof, ProofError>,
}

impl WrittenDisk {
    /// Publishes the disk, whose layers are all in the cache now. Returns the length of the merged metadata.
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

/// Returns damage as such, and a file that cannot be read as an error that names it.
fn sidecar_error(layer: &LayerKey, store: &Store, source: msb_sidecar::Error) -> BuildError {
    if source.is_corrupt() {
        return BuildError::DamagedLayer(layer.clone());
    }
    BuildError::Sidecar {
        path: store.layer_sidecar_path(layer),
        source,
    }
}

/// A layer image that was removed or cut after it was found is rebuilt; any other error is final.
fn proof_error(plan: &DiskPlan, error: ProofError) -> BuildError {
    let path = match &error {
        ProofError::Read { path, source } if source.kind() == io::ErrorKind::NotFound => path,
        ProofError::Length { path, .. } => path,
        _ => return BuildError::Proof(error),
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

#[cfg(test)]
mod tests {
    use msb_oci::Digest;

    use super::*;
    use crate::cache::keys::layer_key;

    #[test]
    fn a_sidecar_that_cannot_be_read_is_named_and_a_damaged_one_is_rebuilt() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        let layer = layer_key(&Digest::sha256_of(b"layer"));
        // EIO, ENFILE, EMFILE, EACCES.
        for code in [5, 23, 24, 13] {
            let source = io::Error::from_raw_os_error(code);
            let error = msb_sidecar::Error::Read { offset: 0, source };
            let BuildError::Sidecar { path, .. } = sidecar_error(&layer, &store, error) else {
                panic!("{code} counts as damage");
            };
            assert_eq!(path, store.layer_sidecar_path(&layer));
        }
        let damage = msb_sidecar::Error::NoTrailer { bytes: 7 };
        let error = sidecar_error(&layer, &store, damage);
        assert!(matches!(error, BuildError::DamagedLayer(_)));
    }
}
