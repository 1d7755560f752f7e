//! The golden images: images written as text, and their pulls.
//!
//! `tests/golden/NAME.recipe` is an image of layers, bottom to top. Each layer is a line `--- gzip`, `--- gzip members`, `--- zstd`,
//! `--- zstd chunked` or `--- plain`, followed by a recipe of [`msb_testkit::tar`]. The lines before the first layer are a comment.

use std::fs;
use std::path::{Path, PathBuf};

use microsandbox_image::{GlobalCache, Platform, PullOptions, PullResult, Registry};
use msb_testkit::fault_registry::FaultRegistry;
use msb_testkit::image::{ImageBuilder, Layer};
use tempfile::TempDir;

use crate::{Failure, workspace};

/// The tag of every fixture.
const TAG: &str = "fixture";

/// An image written as text.
#[derive(Debug)]
pub struct Fixture {
    /// The name of the recipe and of the image's repository.
    pub name: String,
    text: String,
}

/// A pulled fixture, with the cache that holds its artifacts.
#[derive(Debug)]
pub struct Pulled {
    /// The artifacts.
    pub result: PullResult,
    _cache: TempDir,
}

/// Returns the folder of the recipes and of the expected artifacts.
#[must_use]
pub fn folder() -> PathBuf {
    workspace::root().join("tests/golden")
}

/// Reads every fixture, sorted by name.
///
/// # Errors
/// When the folder has no recipe, or a recipe cannot be read.
pub fn all() -> Result<Vec<Fixture>, Failure> {
    let mut fixtures = Vec::new();
    for entry in fs::read_dir(folder())? {
        let path = entry?.path();
        if path
            .extension()
            .is_some_and(|extension| extension == "recipe")
        {
            let name = path
                .file_stem()
                .unwrap_or_default()
                .to_string_lossy()
                .into_owned();
            fixtures.push(Fixture {
                name,
                text: fs::read_to_string(&path)?,
            });
        }
    }
    fixtures.sort_by(|a, b| a.name.cmp(&b.name));
    if fixtures.is_empty() {
        Err("tests/golden has no recipes".into())
    } else {
        Ok(fixtures)
    }
}

impl Fixture {
    /// Creates a fixture from a text.
    #[must_use]
    pub fn new(name: &str, text: &str) -> Fixture {
        Fixture {
            name: name.to_owned(),
            text: text.to_owned(),
        }
    }

    /// Writes the image as an OCI layout.
    ///
    /// # Errors
    /// When the recipe names an unknown compression, or the layout cannot be written.
    pub fn write_layout(&self, folder: &Path, image: ImageBuilder) -> Result<(), Failure> {
        let mut image = image;
        for layer in self.layers()? {
            image = image.layer(layer);
        }
        image.write_layout(folder, TAG)?;
        Ok(())
    }

    /// Serves the image on loopback and pulls it through the facade into a new cache.
    ///
    /// # Errors
    /// When the layout cannot be written or the pull fails.
    pub fn pull(&self) -> Result<Pulled, Failure> {
        let (layout, cache) = (tempfile::tempdir()?, tempfile::tempdir()?);
        self.write_layout(layout.path(), ImageBuilder::new())?;
        let server = FaultRegistry::start()?;
        server.serve(&self.name, layout.path());
        let registry = Registry::new(
            Platform::new("linux", "amd64"),
            GlobalCache::new(cache.path())?,
        )?;
        let reference = self.reference(&server).parse()?;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let result = runtime.block_on(registry.pull(&reference, &PullOptions::default()))?;
        Ok(Pulled {
            result,
            _cache: cache,
        })
    }

    /// Returns the reference of the image in the registry `server`.
    #[must_use]
    pub fn reference(&self, server: &FaultRegistry) -> String {
        format!("{}/{}:{TAG}", server.host(), self.name)
    }

    fn layers(&self) -> Result<Vec<Layer>, Failure> {
        let mut parts: Vec<(&str, String)> = Vec::new();
        for line in self.text.lines() {
            if let Some(compression) = line.strip_prefix("--- ") {
                parts.push((compression.trim(), String::new()));
            } else if let Some((_, recipe)) = parts.last_mut() {
                recipe.push_str(line);
                recipe.push('\n');
            }
        }
        let layer = |(compression, recipe): (&str, String)| {
            let layer = Layer::recipe(&recipe);
            match compression {
                "plain" => Ok(layer.plain()),
                "gzip" => Ok(layer.gzip()),
                "gzip members" => Ok(layer.gzip_members(3)),
                "zstd" => Ok(layer.zstd()),
                "zstd chunked" => Ok(layer.zstd_frames(3, true)),
                _ => {
                    Err(format!("{}.recipe: unknown compression {compression:?}", self.name).into())
                }
            }
        };
        parts.into_iter().map(layer).collect()
    }
}
