//! Makes disks from the blobs of layers.

use std::fs::{self, File, OpenOptions};
use std::path::{Path, PathBuf};

use bytes::Bytes;
use msb_budget::ImageBudget;
use msb_layer::decode::WindowBudget;
use msb_layer::{IngestedLayer, LayerError, LayerJob, LayerLimits, StageThreads};
use msb_oci::Digest;
use msb_sidecar::Sidecar;
use msb_stitch::{DeviceId, DiskLayout, LayerNames, Merge};
use tempfile::TempDir;

use crate::Failure;

/// The blob of a layer as a registry serves it.
#[derive(Clone, Debug)]
pub struct Blob {
    /// The bytes of the blob.
    pub bytes: Vec<u8>,
    /// The archive, whose digest is the diff_id.
    pub tar: Vec<u8>,
    /// Bytes of each piece of the download.
    pub piece: usize,
    /// The size in the manifest.
    pub claimed_bytes: u64,
}

impl Blob {
    /// Creates a blob from an uncompressed archive that arrives in one piece.
    #[must_use]
    pub fn plain(tar: Vec<u8>) -> Self {
        Self {
            piece: tar.len().max(1),
            claimed_bytes: tar.len() as u64,
            bytes: tar.clone(),
            tar,
        }
    }

    /// Returns the job that writes `base` with the extensions `erofs` and `sidecar`.
    #[must_use]
    pub fn job(&self, base: &Path) -> LayerJob {
        LayerJob {
            blob: Digest::sha256_of(&self.bytes),
            blob_bytes: self.claimed_bytes,
            media_type: String::new(),
            diff_id: Digest::sha256_of(&self.tar),
            image: new_file(&base.with_extension("erofs")),
            sidecar: new_file(&base.with_extension("sidecar")),
            partial: None,
            limits: LayerLimits::default(),
            budget: ImageBudget::default(),
            windows: WindowBudget::default(),
            threads: StageThreads::default(),
        }
    }

    /// Ingests the blob into the two files.
    ///
    /// # Errors
    /// When the layer is refused.
    pub fn ingest(&self, base: &Path) -> Result<IngestedLayer, LayerError> {
        let job = self.job(base);
        let runtime = tokio::runtime::Builder::new_current_thread()
            .build()
            .unwrap();
        runtime.block_on(async {
            let (feed, task) = job.start()?;
            for piece in self.bytes.chunks(self.piece) {
                if !feed.send(Bytes::copy_from_slice(piece)).await {
                    return task.wait().await;
                }
            }
            feed.finish().await;
            task.wait().await
        })
    }
}

/// An ingested layer.
#[derive(Debug)]
pub struct Layer {
    /// The path of its image.
    pub image: PathBuf,
    /// The path of its sidecar.
    pub sidecar: PathBuf,
    /// The result of the ingest.
    pub made: IngestedLayer,
}

/// A disk in its own folder: fsmeta, layer images and the descriptor.
#[derive(Debug)]
pub struct Disk {
    /// The folder.
    pub dir: TempDir,
    /// The layers, bottom to top, in the order of the device table.
    pub layers: Vec<Layer>,
    /// The layers with their lengths.
    pub layout: DiskLayout<usize>,
    /// The metadata of the merged tree.
    pub fsmeta: PathBuf,
    /// The descriptor.
    pub vmdk: PathBuf,
    /// The merged tree, with which the disk is verified. It is merged a second time, because writing fsmeta consumes the first.
    pub merge: Merge,
}

impl Disk {
    /// Converts and merges layers, bottom to top.
    ///
    /// # Errors
    /// When a layer is refused or a file cannot be written.
    pub fn of(blobs: &[Blob]) -> Result<Self, Failure> {
        let dir = tempfile::tempdir()?;
        let mut layers = Vec::new();
        for (index, blob) in blobs.iter().enumerate() {
            let base = dir.path().join(format!("layer{index}"));
            let made = blob.ingest(&base)?;
            layers.push(Layer {
                image: base.with_extension("erofs"),
                sidecar: base.with_extension("sidecar"),
                made,
            });
        }
        let merge = merged(&layers)?;
        let names = layers.iter().enumerate().map(|(index, layer)| {
            let names = LayerNames {
                tag: format!("layer{index}"),
                file: format!("layer{index}.erofs"),
            };
            (names, layer.made.image.bytes)
        });
        let names: Vec<_> = names.collect();
        let layout = DiskLayout::of_distinct("fsmeta.erofs", &names)?;
        let fsmeta = dir.path().join("fsmeta.erofs");
        let (written, _) = merged(&layers)?.write_fsmeta(new_file(&fsmeta), &layout, [7; 16])?;
        let vmdk = dir.path().join("rootfs.vmdk");
        fs::write(&vmdk, layout.descriptor(written.bytes)?)?;
        Ok(Self {
            dir,
            layers,
            layout,
            fsmeta,
            vmdk,
            merge,
        })
    }

    /// Creates a disk from valid recipes (see [`msb_testkit::tar`]), bottom to top.
    ///
    /// # Panics
    /// When a recipe is refused.
    #[track_caller]
    #[must_use]
    pub fn of_recipes(recipes: &[&str]) -> Self {
        let blobs: Vec<Blob> = recipes
            .iter()
            .map(|text| Blob::plain(msb_testkit::tar::recipe(text)))
            .collect();
        Self::of(&blobs).unwrap()
    }

    /// Returns the images of the layers.
    #[must_use]
    pub fn devices(&self) -> Vec<&Path> {
        let images = self.layers.iter().map(|layer| layer.image.as_path());
        images.collect()
    }
}

fn merged(layers: &[Layer]) -> Result<Merge, Failure> {
    let mut merge = Merge::new();
    for (layer, device) in layers.iter().zip((1..).filter_map(DeviceId::new)) {
        let sidecar = Sidecar::open(File::open(&layer.sidecar)?)?;
        merge.add(device, sidecar.changes())?;
    }
    Ok(merge)
}

fn new_file(path: &Path) -> File {
    OpenOptions::new()
        .read(true)
        .write(true)
        .create_new(true)
        .open(path)
        .unwrap()
}
