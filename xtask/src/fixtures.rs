//! Images from text, and their disks: what the oracles judge.
//!
//! `tests/golden/NAME.recipe` is an image of layers, bottom to top, each a line `--- gzip`, `--- zstd` or `--- plain` and a
//! recipe of [`msb_testkit::tar`] below it. What stands before the first such line is a comment.

use std::error::Error;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use microsandbox_image::{GlobalCache, Platform, PullResult, Registry};
use msb_testkit::fault_registry::FaultRegistry;
use msb_testkit::image::{ImageBuilder, Layer};
use tempfile::TempDir;

use crate::{cargo, progress};

/// The tag of every fixture.
const TAG: &str = "fixture";

/// An image as text.
#[derive(Debug)]
pub(crate) struct Fixture {
    /// Also its repository's name.
    pub(crate) name: String,
    text: String,
}

/// A fixture that was pulled.
#[derive(Debug)]
pub(crate) struct Pulled {
    pub(crate) result: PullResult,
    /// Holds the cache, for as long as the artifacts are looked at.
    _cache: TempDir,
}

/// The folder of the fixtures and of what is known of them.
pub(crate) fn folder() -> PathBuf {
    cargo::workspace().join("tests/golden")
}

/// Every fixture, by name.
pub(crate) fn all() -> Result<Vec<Fixture>, Box<dyn Error>> {
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
    /// A fixture that is no file.
    pub(crate) fn new(name: &str, text: &str) -> Fixture {
        Fixture {
            name: name.to_owned(),
            text: text.to_owned(),
        }
    }

    /// Writes the image as an OCI layout.
    pub(crate) fn write_layout(
        &self,
        folder: &Path,
        image: ImageBuilder,
    ) -> Result<(), Box<dyn Error>> {
        let mut image = image;
        for layer in self.layers()? {
            image = image.layer(layer);
        }
        image.write_layout(folder, TAG)?;
        Ok(())
    }

    /// Serves the image on loopback and pulls it through the facade into a new cache.
    pub(crate) fn pull(&self) -> Result<Pulled, Box<dyn Error>> {
        let (layout, cache) = (tempfile::tempdir()?, tempfile::tempdir()?);
        self.write_layout(layout.path(), ImageBuilder::new())?;
        let server = FaultRegistry::start()?;
        server.serve(&self.name, layout.path());
        let registry = Registry::new(
            Platform::new("linux", "amd64"),
            GlobalCache::new(cache.path())?,
        )?;
        let reference = self.reference(&server).parse()?;
        let result = progress::pull(&registry, &reference, &mut io::sink())?;
        Ok(Pulled {
            result,
            _cache: cache,
        })
    }

    /// The image's reference where `server` serves it.
    pub(crate) fn reference(&self, server: &FaultRegistry) -> String {
        format!("{}/{}:{TAG}", server.host(), self.name)
    }

    fn layers(&self) -> Result<Vec<Layer>, Box<dyn Error>> {
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
