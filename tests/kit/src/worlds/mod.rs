//! Large real images, built once from the package registries of Debian, PyPI and npm, and kept in the oracle directory.
//!
//! ```text
//! <oracle folder>/worlds/<name>-v<version>/    an OCI layout with the tag `world`
//! <oracle folder>/worlds/<name>.lock           held while one process builds it
//! ```
//!
//! The versions of packages depend on the day of the build: tests compare oracles with each other, never with recorded
//! digests. Building needs root, because a Debian root file system has devices and owners.

mod applications;
mod debian;
mod derived;

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
};

use rustix::fs::FlockOperation;

use crate::{
    KitError,
    image::{self, Compression, ImageBuilder, Layer},
    oracle,
    registry::DockerRegistry,
};

/// Changes with the recipes of the worlds, so that all are rebuilt.
const VERSION: &str = "1";
/// The tag in the layout of every world.
pub const TAG: &str = "world";

/// An image for tests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum World {
    /// Debian's minimal system, one layer.
    Base,
    /// numpy and pandas on Debian, five layers that delete, replace and hard-link lower files, one directory opaque.
    Python,
    /// As [`World::Python`], with more packages of PyPI: about 750 MB uncompressed. For benchmarks.
    PythonLarge,
    /// JavaScript packages on Debian: more than 50,000 small files.
    Node,
    /// 120 layers, each changing files of the layers below.
    ManyLayers,
    /// linux/amd64, linux/arm64 and linux/arm/v7 under one index, with an attestation.
    Index,
    /// The Python image with Zstandard layers.
    Zstd,
    /// The large Python image with Zstandard layers. For benchmarks.
    PythonLargeZstd,
    /// The Python image with Docker's schema 2.
    Schema2,
    /// A layer of more than 2.5 GiB.
    Large,
}

impl World {
    /// Returns the name of the world, which also serves as the name of its repository.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            World::Base => "base",
            World::Python => "python",
            World::PythonLarge => "python-large",
            World::Node => "node",
            World::ManyLayers => "many-layers",
            World::Index => "index",
            World::Zstd => "zstd",
            World::PythonLargeZstd => "python-large-zstd",
            World::Schema2 => "schema2",
            World::Large => "large",
        }
    }

    /// Returns the directory of the world's OCI layout, which is built if missing. Its tag is [`TAG`].
    ///
    /// # Errors
    ///
    /// When a tool is missing or a package registry fails.
    pub fn layout(self) -> Result<PathBuf, KitError> {
        let worlds = oracle::folder().join("worlds");
        fs::create_dir_all(&worlds).map_err(KitError::io("create", &worlds))?;
        let done = worlds.join(format!("{}-v{VERSION}", self.name()));
        let lock = worlds.join(format!("{}.lock", self.name()));
        let lock_file = File::create(&lock).map_err(KitError::io("create", &lock))?;
        rustix::fs::flock(&lock_file, FlockOperation::LockExclusive)
            .map_err(|error| KitError::io("lock", &lock)(error.into()))?;
        if done.exists() {
            return Ok(done);
        }
        let work = worlds.join(format!("{}.building", self.name()));
        let _ = fs::remove_dir_all(&work);
        let layout = work.join("layout");
        fs::create_dir_all(&layout).map_err(KitError::io("create", &layout))?;
        self.build(&work, &layout)?;
        fs::rename(&layout, &done).map_err(KitError::io("publish", &done))?;
        fs::remove_dir_all(&work).map_err(KitError::io("remove", &work))?;
        Ok(done)
    }

    /// Pushes the world as `<name>:world` without changing a byte. Returns the digest in the registry.
    ///
    /// Skopeo reads no Docker manifest from an OCI layout, and would read gigabytes twice: these two worlds are pushed
    /// over plain HTTP without a password.
    ///
    /// # Errors
    ///
    /// As [`World::layout`], or when the registry refuses the image.
    pub fn push(self, registry: &DockerRegistry, name: &str) -> Result<String, KitError> {
        let layout = self.layout()?;
        if matches!(self, World::Schema2 | World::Large) {
            return registry.push_raw(&layout, name, TAG);
        }
        registry.push_oci_layout(&layout, name, TAG)
    }

    /// Builds in `work`, which is removed afterwards, into `layout` below it.
    fn build(self, work: &Path, layout: &Path) -> Result<(), KitError> {
        match self {
            World::Base => debian::base(work, layout),
            World::Python => applications::python(applications::PACKAGES, work, layout),
            World::PythonLarge => applications::python(applications::MORE_PACKAGES, work, layout),
            World::Node => applications::node(work, layout),
            World::ManyLayers => derived::many_layers(layout),
            World::Index => derived::index(layout),
            World::Zstd => derived::zstd(World::Python, work, layout),
            World::PythonLargeZstd => derived::zstd(World::PythonLarge, work, layout),
            World::Schema2 => derived::schema2(layout),
            World::Large => derived::large(work, layout),
        }
    }
}

/// Returns a builder for the image of a layout, with the unchanged blobs of its layers and the `config` object of its
/// config.
fn reopen(layout: &Path, tag: &str) -> Result<ImageBuilder, KitError> {
    let (_, manifest) = image::read_manifest(layout, tag)?;
    let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
    let config_path = image::blob_path(layout, &text(&manifest["config"]["digest"]));
    let config = fs::read(&config_path).map_err(KitError::io("read", &config_path))?;
    let config: serde_json::Value =
        serde_json::from_slice(&config).map_err(|_| KitError::Parse {
            what: "config of a world",
            line: config_path.display().to_string(),
        })?;
    let mut builder = ImageBuilder::new().config(config["config"].clone());
    let diff_ids = config["rootfs"]["diff_ids"]
        .as_array()
        .into_iter()
        .flatten();
    for (layer, diff_id) in manifest["layers"]
        .as_array()
        .into_iter()
        .flatten()
        .zip(diff_ids)
    {
        let media_type = text(&layer["mediaType"]);
        let compression = match media_type.rsplit(['+', '.']).next() {
            Some("gzip") => Compression::Gzip,
            Some("zstd") => Compression::Zstd,
            _ => Compression::Plain,
        };
        builder = builder.layer(Layer::file(
            &image::blob_path(layout, &text(&layer["digest"])),
            compression,
            text(diff_id),
        )?);
    }
    Ok(builder)
}
