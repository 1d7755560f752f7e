//! The images of the sequence: they share layers, so that removing one must not harm another.

use std::path::Path;
use std::process::Output;

use microsandbox_image::{Digest, Reference};
use msb_testkit::image::{ImageBuilder, Layer};
use msb_testkit::registry::DockerRegistry;
use serde_json::Value;

use crate::common::{docker_registry, push, run};

/// The layers of each image, bottom to top, by seed.
const STACKS: &[&[u32]] = &[&[1], &[1, 2], &[1, 2, 3], &[4, 2], &[5], &[4, 5, 6, 1]];

/// Images in a registry, and the bytes of their disks.
#[derive(Debug)]
pub(crate) struct Images {
    /// Serves as long as it lives.
    _registry: DockerRegistry,
    pub(crate) all: Vec<Image>,
}

/// One image.
#[derive(Debug)]
pub(crate) struct Image {
    pub(crate) name: String,
    pub(crate) reference: Reference,
    /// The digest of the files of its disk, pulled into an empty cache.
    pub(crate) disk: Digest,
}

impl Images {
    pub(crate) fn new() -> Self {
        let registry = docker_registry();
        let layer = |seed: &u32| {
            // Layer 3 is long enough for a partial blob.
            let bytes = if *seed == 3 {
                9_000_000
            } else {
                20_000 + seed * 4096
            };
            let recipe = format!(
                "dir d{seed}\nfile d{seed}/f size={bytes} seed={seed}\nfile same size=3000 seed={seed}"
            );
            Layer::recipe(&recipe).gzip()
        };
        let all = STACKS.iter().enumerate().map(|(index, seeds)| {
            let layers = seeds.iter().map(layer);
            let image = layers.fold(ImageBuilder::new(), ImageBuilder::layer);
            push(&registry, &format!("image{index}"), &image);
            let name = format!("{}/image{index}:t", registry.host());
            let empty = tempfile::tempdir().unwrap();
            let output = run(
                &empty.path().join("cache"),
                &["pull", "--format", "json", &name],
            );
            assert!(output.status.success(), "{output:?}");
            Image {
                reference: name.parse().unwrap(),
                disk: disk_of(&output),
                name,
            }
        });
        let all = all.collect();
        Self {
            _registry: registry,
            all,
        }
    }
}

/// Returns the digest of the bytes of the disk that a pull printed.
pub(crate) fn disk_of(output: &Output) -> Digest {
    let printed: Value = serde_json::from_slice(&output.stdout).unwrap();
    let extents = printed["extents"].as_array().unwrap().iter();
    let paths = extents.map(|extent| Path::new(extent["path"].as_str().unwrap()));
    disk_in(paths)
}

/// Returns the digest of the bytes of these files, one after the other.
pub(crate) fn disk_in<'a>(paths: impl Iterator<Item = &'a Path>) -> Digest {
    let mut bytes = Vec::new();
    for path in paths {
        bytes.extend(std::fs::read(path).unwrap());
    }
    Digest::sha256_of(&bytes)
}
