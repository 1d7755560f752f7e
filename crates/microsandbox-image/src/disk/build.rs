use std::fs::File;
use std::io::{self, Write};
use std::path::PathBuf;

use msb_budget::ImageBudget;
use msb_sidecar::Sidecar;
use msb_stitch::{
    DeviceId, DiskVerifier, LayerSet, Merge, MergeProgress, StitchError, VerifiedDisk, VerifyError,
};
use msb_store::{FileChecksum, LayerKey, Store, Synced, publish_all};
use tokio::task::JoinHandle;

use super::{ImageDisk, ImageLayout, clone_error};
use crate::cache::open_file::open_file;

/// Reports why a disk was not built.
#[derive(Debug)]
pub(crate) enum BuildError {
    Stitch(StitchError),
    Store(msb_store::Error),
    /// The disk cannot be read back as a guest would read it: a defect of this program or of the machine.
    Verify(VerifyError),
    /// A background task panicked, or could not be started.
    Worker,
    /// A layer's sidecar is missing or damaged: the layer has to be rebuilt.
    DamagedLayer(LayerKey),
    /// A layer's sidecar exists and cannot be read.
    Sidecar {
        path: PathBuf,
        source: msb_sidecar::Error,
    },
}

/// Builds a disk whose layers are all in the cache. Blocks, and needs a tokio runtime.
pub(crate) fn build(
    disk: &ImageDisk,
    layout: &ImageLayout,
    store: &Store,
    budget: &ImageBudget,
    on_progress: impl FnMut(MergeProgress) + Send + 'static,
) -> Result<WrittenDisk, BuildError> {
    let (layers, files) = (disk.layers().clone(), store.clone());
    let mut merge = Merge::with_budget(budget)
        .reopening(move |device| open_sidecar(&layers, &files, device))
        .on_progress(on_progress);
    for &device in disk.layers().stack() {
        // OK because the stack consists of devices of the set.
        let layer = disk.layers().get(device).ok_or(BuildError::Worker)?;
        let Some(file) = store.open_layer_sidecar(layer)? else {
            return Err(BuildError::DamagedLayer(layer.clone()));
        };
        let sidecar = Sidecar::open(file).map_err(|source| sidecar_error(layer, store, source))?;
        let added = merge.add(device, sidecar.changes());
        added.map_err(|error| match error {
            StitchError::Sidecar { source, .. } => sidecar_error(layer, store, source),
            other => BuildError::Stitch(other),
        })?;
    }
    write(merge, disk, layout, store)
}

/// Opens the sidecar of a layer of the cache.
pub(crate) fn open_sidecar(
    layers: &LayerSet<LayerKey>,
    store: &Store,
    device: DeviceId,
) -> io::Result<File> {
    let layer = layers.get(device).ok_or(io::ErrorKind::NotFound)?;
    let opened = store.open_layer_sidecar(layer);
    let file = opened.map_err(io::Error::other)?;
    file.ok_or_else(|| io::ErrorKind::NotFound.into())
}

/// Writes the merged metadata under a temporary name, starts to sync it, and verifies the disk. Blocks, and needs a tokio runtime.
pub(crate) fn write(
    merge: Merge,
    disk: &ImageDisk,
    layout: &ImageLayout,
    store: &Store,
) -> Result<WrittenDisk, BuildError> {
    tracing::trace!(target: "microsandbox_image::disk", "merged");
    let key = disk.key();
    // The disk's identity is its chain, as a layer's is its diff_id.
    let uuid = key.chain.uuid();
    let staged = store.stage_fsmeta(key)?;
    let output = staged.try_clone_file()?;
    let written = merge.write_fsmeta(output, layout, uuid);
    let (fsmeta, file) = written.map_err(|error| match error.write_error() {
        Some(source) => BuildError::Store(staged.write_error(clone_error(source), None)),
        None => BuildError::Stitch(error),
    })?;
    tracing::trace!(target: "microsandbox_image::disk", "written");
    let text = layout
        .descriptor(fsmeta.bytes)
        .map_err(BuildError::Stitch)?;
    let descriptor = store.stage_vmdk(key)?;
    let written = descriptor.file().write_all(text.as_bytes());
    written.map_err(|source| descriptor.write_error(source, Some(text.len() as u64)))?;
    // What was written is read back as a guest would, while it is synced.
    let sync = tokio::task::spawn_blocking(move || Ok([staged.sync()?, descriptor.sync()?]));
    let verified = verifier(store, disk).verify_unpublished(&text, file);
    tracing::trace!(target: "microsandbox_image::disk", "verified");
    Ok(WrittenDisk {
        fsmeta: FileChecksum {
            bytes: fsmeta.bytes,
            crc32c: fsmeta.crc32c,
        },
        text,
        sync,
        verified,
    })
}

fn verifier(store: &Store, disk: &ImageDisk) -> DiskVerifier {
    DiskVerifier::new(store.vmdk_path(disk.key()), open_file)
}

/// A disk that is written and not published. Dropping it removes its files.
#[derive(Debug)]
pub(crate) struct WrittenDisk {
    /// The length and checksum of the merged metadata.
    fsmeta: FileChecksum,
    /// The descriptor.
    text: String,
    /// The merged metadata and the descriptor, being synced.
    sync: JoinHandle<Result<[Synced; 2], msb_store::Error>>,
    verified: Result<VerifiedDisk, VerifyError>,
}

impl WrittenDisk {
    /// Returns the length and checksum of the merged metadata.
    pub(crate) fn fsmeta(&self) -> FileChecksum {
        self.fsmeta
    }

    /// Publishes the disk, whose layers are all in the cache now. Returns the length and checksum of the merged
    /// metadata. If only a publisher vouches for a layer (`is_claimed`), the disk is for the records of its images alone: no other pull
    /// uses a disk without a recorded checksum.
    pub(crate) async fn publish(
        self,
        disk: ImageDisk,
        store: Store,
        is_claimed: bool,
    ) -> Result<FileChecksum, BuildError> {
        // The sync's error comes first: what could not be written cannot be read back either.
        let files = self.sync.await.map_err(|_| BuildError::Worker)??;
        tracing::trace!(target: "microsandbox_image::disk", "synced");
        let (fsmeta, text, verified) = (self.fsmeta, self.text, self.verified);
        let publish = move || {
            verified
                .and_then(|_| verifier(&store, &disk).verify_layers(&text))
                .map_err(|error| verify_error(&disk, error))?;
            if is_claimed {
                store.forget_fsmeta_checksum(disk.key())?;
            } else {
                store.record_fsmeta_checksum(disk.key(), fsmeta)?;
            }
            publish_all(files).map_err(BuildError::Store)
        };
        let published = tokio::task::spawn_blocking(publish).await;
        published.map_err(|_| BuildError::Worker)??;
        Ok(fsmeta)
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

/// Converts the error of a verification. A layer image that was removed or cut meanwhile is rebuilt; other errors are final.
fn verify_error(disk: &ImageDisk, error: VerifyError) -> BuildError {
    let path = match &error {
        VerifyError::Read { path, source } if source.kind() == io::ErrorKind::NotFound => path,
        VerifyError::Length { path, .. } => path,
        _ => return BuildError::Verify(error),
    };
    match disk.layers().find_file(|file| path.ends_with(file)) {
        Some(layer) => BuildError::DamagedLayer(layer.clone()),
        None => BuildError::Verify(error),
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
