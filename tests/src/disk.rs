//! From the blobs of layers to a disk.

use std::fs::{self, File, OpenOptions};
use std::path::{Path, PathBuf};

use bytes::Bytes;
use msb_budget::ImageBudget;
use msb_layer::decode::WindowBudget;
use msb_layer::{IngestedLayer, LayerError, LayerJob, LayerLimits};
use msb_oci::Digest;
use msb_sidecar::Sidecar;
use msb_stitch::{DeviceId, DiskLayout, LayerNames, Merge};
use tempfile::TempDir;

use crate::Failure;

/// A layer as a registry would give it.
#[derive(Clone, Debug)]
pub struct Blob {
    /// What comes.
    pub bytes: Vec<u8>,
    /// The archive, whose digest the config names.
    pub tar: Vec<u8>,
    /// In pieces of so many bytes.
    pub piece: usize,
    /// The size that the manifest says.
    pub claimed_bytes: u64,
}

impl Blob {
    /// An archive that is not compressed and comes in one piece.
    #[must_use]
    pub fn plain(tar: Vec<u8>) -> Self {
        Self {
            piece: tar.len().max(1),
            claimed_bytes: tar.len() as u64,
            bytes: tar.clone(),
            tar,
        }
    }

    /// What makes the layer's two files, `base` with the extensions `erofs` and `sidecar`.
    #[must_use]
    pub fn job(&self, base: &Path) -> LayerJob {
        LayerJob {
            blob: Digest::sha256_of(&self.bytes),
            blob_bytes: self.claimed_bytes,
            media_type: String::new(),
            diff_id: Digest::sha256_of(&self.tar),
            image: new_file(&base.with_extension("erofs")),
            sidecar: new_file(&base.with_extension("sidecar")),
            part: None,
            limits: LayerLimits::default(),
            budget: ImageBudget::default(),
            windows: WindowBudget::default(),
        }
    }

    /// Makes them.
    ///
    /// # Errors
    /// Those of the layer.
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

/// A layer that was made.
#[derive(Debug)]
pub struct Layer {
    /// Its image.
    pub image: PathBuf,
    /// Its sidecar.
    pub sidecar: PathBuf,
    /// What was said of it.
    pub made: IngestedLayer,
}

/// A disk: fsmeta, layer images and the descriptor, in a folder of their own.
#[derive(Debug)]
pub struct Disk {
    /// The folder.
    pub dir: TempDir,
    /// Bottom to top, which is the order of the device table.
    pub layers: Vec<Layer>,
    /// The layers with their lengths.
    pub layout: DiskLayout<usize>,
    /// The metadata of the merged tree.
    pub fsmeta: PathBuf,
    /// The descriptor.
    pub vmdk: PathBuf,
    /// Holds the merged tree, from which the proof knows what to expect. Merged once more, for writing fsmeta takes it.
    pub merge: Merge,
}

impl Disk {
    /// Ingests and stitches layers, bottom to top.
    ///
    /// # Errors
    /// The first of any step.
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

    /// The disk of recipes that are sound (see [`msb_testkit::tar`]), bottom to top.
    ///
    /// # Panics
    /// When they are not.
    #[track_caller]
    #[must_use]
    pub fn of_recipes(recipes: &[&str]) -> Self {
        let blobs: Vec<Blob> = recipes
            .iter()
            .map(|text| Blob::plain(msb_testkit::tar::recipe(text)))
            .collect();
        Self::of(&blobs).unwrap()
    }

    /// The images of the layers.
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
