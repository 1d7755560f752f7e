//! Builds a disk from recipes, and runs the oracles on it.
#![allow(dead_code, reason = "each test file uses its own part")]

pub(crate) mod oracles;
pub(crate) mod show;

use std::fs::{self, File, OpenOptions};
use std::path::{Path, PathBuf};

use bytes::Bytes;
use msb_budget::ImageBudget;
use msb_layer::decode::WindowBudget;
use msb_layer::{IngestedLayer, LayerError, LayerJob, LayerLimits, StageThreads};
use msb_oci::Digest;
use msb_sidecar::Sidecar;
use msb_stitch::{DeviceId, DiskLayout, LayerNames, Merge};
use msb_testkit::tar;
use tempfile::TempDir;

/// The parameters of one conversion. The default is an uncompressed, complete, valid blob in one piece.
pub(crate) struct Attempt<'a> {
    pub(crate) blob: &'a [u8],
    pub(crate) tar: &'a [u8],
    pub(crate) piece: usize,
    pub(crate) limits: LayerLimits,
    pub(crate) budget: ImageBudget,
    pub(crate) blob_bytes: u64,
    pub(crate) digest: Digest,
    pub(crate) diff_id: Digest,
    pub(crate) media_type: &'a str,
}

impl<'a> Attempt<'a> {
    pub(crate) fn uncompressed(tar: &'a [u8]) -> Self {
        Self::of(tar, tar)
    }

    /// Creates an attempt for a compressed blob and its uncompressed archive.
    pub(crate) fn of(blob: &'a [u8], tar: &'a [u8]) -> Self {
        Self {
            blob,
            tar,
            piece: blob.len().max(1),
            limits: LayerLimits::default(),
            budget: ImageBudget::default(),
            blob_bytes: blob.len() as u64,
            digest: Digest::sha256_of(blob),
            diff_id: Digest::sha256_of(tar),
            media_type: "",
        }
    }

    pub(crate) fn into_files(self, base: &Path) -> Result<IngestedLayer, LayerError> {
        let job = self.job(base);
        let pieces: Vec<Bytes> = self
            .blob
            .chunks(self.piece)
            .map(Bytes::copy_from_slice)
            .collect();
        run(job, pieces)
    }

    pub(crate) fn job(&self, base: &Path) -> LayerJob {
        LayerJob {
            blob: self.digest,
            blob_bytes: self.blob_bytes,
            media_type: self.media_type.to_owned(),
            diff_id: self.diff_id,
            image: new_file(&base.with_extension("erofs")),
            sidecar: new_file(&base.with_extension("sidecar")),
            partial: None,
            limits: self.limits,
            budget: self.budget.clone(),
            windows: WindowBudget::default(),
            threads: StageThreads::default(),
        }
    }

    /// Runs in a temporary directory.
    pub(crate) fn run(self) -> Result<IngestedLayer, LayerError> {
        let dir = tempfile::tempdir().unwrap();
        self.into_files(&dir.path().join("layer"))
    }
}

/// Feeds a job completely, and waits for its result.
pub(crate) fn run(job: LayerJob, pieces: Vec<Bytes>) -> Result<IngestedLayer, LayerError> {
    runtime().block_on(async {
        let (feed, task) = job.start().unwrap();
        for piece in pieces {
            if !feed.send(piece).await {
                return task.wait().await;
            }
        }
        feed.finish().await;
        task.wait().await
    })
}

pub(crate) fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap()
}

pub(crate) fn new_file(path: &Path) -> File {
    OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(true)
        .open(path)
        .unwrap()
}

/// A converted layer.
#[derive(Debug)]
pub(crate) struct Layer {
    pub(crate) image: PathBuf,
    pub(crate) sidecar: PathBuf,
    pub(crate) made: IngestedLayer,
}

impl Layer {
    pub(crate) fn open(&self) -> Sidecar<File> {
        Sidecar::open(File::open(&self.sidecar).unwrap()).unwrap()
    }
}

/// A disk of merged layers.
#[derive(Debug)]
pub(crate) struct Stitched {
    pub(crate) dir: TempDir,
    pub(crate) layers: Vec<Layer>,
    /// The layers of the disk, bottom to top.
    pub(crate) order: Vec<usize>,
    pub(crate) fsmeta: PathBuf,
    pub(crate) vmdk: PathBuf,
    /// The merged tree, which verification compares with the disk. Merged a second time, because writing fsmeta consumes it.
    pub(crate) merge: Merge,
}

/// Returns the disk of layers with these recipes, bottom to top, verified by all oracles.
#[track_caller]
pub(crate) fn disk(recipes: &[&str]) -> Stitched {
    let tars: Vec<Vec<u8>> = recipes.iter().map(|text| tar::recipe(text)).collect();
    let stitched = stitch(&tars);
    stitched.verify();
    stitched
}

/// Returns the disk of layers with these archives, not verified.
#[track_caller]
pub(crate) fn stitch(tars: &[Vec<u8>]) -> Stitched {
    let dir = tempfile::tempdir().unwrap();
    let layers: Vec<Layer> = tars
        .iter()
        .enumerate()
        .map(|(index, tar)| {
            let base = dir.path().join(format!("layer{index}"));
            let made = Attempt::uncompressed(tar).into_files(&base).unwrap();
            Layer {
                image: base.with_extension("erofs"),
                sidecar: base.with_extension("sidecar"),
                made,
            }
        })
        .collect();
    let order: Vec<usize> = (0..layers.len()).collect();
    stitch_layers(dir, layers, &order)
}

/// Merges layers in an order that may contain one of them twice.
#[track_caller]
pub(crate) fn stitch_layers(dir: TempDir, layers: Vec<Layer>, order: &[usize]) -> Stitched {
    let merged = || {
        let mut merge = Merge::new();
        for &layer in order {
            let device = DeviceId::new(u16::try_from(layer + 1).unwrap()).unwrap();
            merge.add(device, layers[layer].open().changes()).unwrap();
        }
        merge
    };
    let names = layers.iter().enumerate().map(|(index, layer)| {
        let file = layer.image.file_name().unwrap().to_str().unwrap();
        let names = LayerNames {
            tag: format!("sha256:{index:064x}"),
            file: file.into(),
        };
        (names, layer.made.image.bytes)
    });
    let names: Vec<_> = names.collect();
    let layout = DiskLayout::of_distinct("fsmeta.erofs", &names).unwrap();
    let fsmeta = dir.path().join("fsmeta.erofs");
    let (written, _) = merged()
        .write_fsmeta(new_file(&fsmeta), &layout, [7; 16])
        .unwrap();
    let text = layout.descriptor(written.bytes).unwrap();
    let vmdk = dir.path().join("rootfs.vmdk");
    fs::write(&vmdk, text).unwrap();
    let merge = merged();
    Stitched {
        dir,
        layers,
        order: order.to_vec(),
        fsmeta,
        vmdk,
        merge,
    }
}
