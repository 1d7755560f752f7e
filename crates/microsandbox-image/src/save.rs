//! Writes cached images to an archive that other tools load, with the blobs that were kept.
//!
//! ```text
//!   record ─▶ manifest, config ─┬─▶ oci     an OCI image layout: the exact manifests, configs and blobs
//!   layer-blobs/ ───────────────┴─▶ docker  as `docker save`: configs, and layers without their compression
//! ```
//!
//! A layer's tar archive cannot be made from its EROFS image: the image has the entries, but not how the archive wrote them. So the blobs
//! are kept on request, and an image without them is refused.

mod archive;
mod blob;
mod docker;
mod error;
mod image;
mod oci;

pub use error::SaveError;

use std::fmt;
use std::io::Write;
use std::path::Path;

use crate::export::{NewFile, Sink};
use crate::{GlobalCache, PullResult};
use archive::Archive;
use image::SavedImage;

/// The form in which images are saved.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum SaveFormat {
    /// An OCI image layout as a tar archive, with manifests, configs and blobs unchanged. skopeo calls it `oci-archive`.
    #[default]
    Oci,
    /// An archive of `docker save`. It has no manifests and no compression, so that only ids and diff_ids stay the same.
    Docker,
}

/// Options of [`GlobalCache::save`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct SaveOptions {
    /// The form of the archive.
    pub format: SaveFormat,
    /// Replace an existing file.
    pub force: bool,
}

impl SaveOptions {
    /// Sets [`format`](Self::format).
    #[must_use]
    pub fn with_format(mut self, format: SaveFormat) -> Self {
        self.format = format;
        self
    }

    /// Sets [`force`](Self::force).
    #[must_use]
    pub fn with_force(mut self, force: bool) -> Self {
        self.force = force;
        self
    }
}

impl fmt::Display for SaveFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Oci => "oci",
            Self::Docker => "docker",
        })
    }
}

impl GlobalCache {
    /// Writes images of this cache to the new archive `path` and returns its length in bytes. Blocks on file I/O.
    ///
    /// Every byte is verified. Equal images give equal bytes, in whatever order they are passed. The file gets its name when all of it is
    /// on stable storage: a failure, a crash or a full disk leaves nothing under that name. An image has the name of its tag in the
    /// archive; one that was pulled by its digest alone has none.
    ///
    /// # Errors
    /// See [`SaveError`]; [`CacheError::NoLayerBlob`](crate::CacheError::NoLayerBlob) for an image that was pulled without
    /// [`PullOptions::keep_blobs`](crate::PullOptions::keep_blobs).
    pub fn save(
        &self,
        images: &[PullResult],
        path: impl AsRef<Path>,
        options: &SaveOptions,
    ) -> Result<u64, SaveError> {
        let path = path.as_ref();
        let images = self.saved(images)?;
        let new = NewFile::create(path, options.force)?;
        let bytes = self.write(&images, Sink::file(new.file(), path), options.format)?;
        new.publish()?;
        Ok(bytes)
    }

    /// Writes images of this cache to a stream and returns the number of bytes; see [`save`](Self::save). Nothing is written if a blob is
    /// missing; a damaged one ends the stream early.
    ///
    /// # Errors
    /// See [`SaveError`].
    pub fn save_to(
        &self,
        images: &[PullResult],
        output: &mut dyn Write,
        format: SaveFormat,
    ) -> Result<u64, SaveError> {
        let images = self.saved(images)?;
        self.write(&images, Sink::stream(output), format)
    }

    /// Returns the images in the order of the archive, each once.
    fn saved<'a>(&self, images: &'a [PullResult]) -> Result<Vec<SavedImage<'a>>, SaveError> {
        let key = |image: &PullResult| {
            (
                image.reference.clone(),
                image.platform.to_string(),
                image.manifest_digest,
            )
        };
        let mut sorted: Vec<_> = images.iter().collect();
        sorted.sort_by_cached_key(|image| key(image));
        sorted.dedup_by_key(|image| key(image));
        let images = sorted.into_iter();
        images
            .map(|image| SavedImage::open(self.store(), image))
            .collect()
    }

    fn write(
        &self,
        images: &[SavedImage<'_>],
        mut sink: Sink<'_>,
        format: SaveFormat,
    ) -> Result<u64, SaveError> {
        let archive = Archive::new(&mut sink);
        match format {
            SaveFormat::Oci => oci::write(self.store(), images, archive)?,
            SaveFormat::Docker => docker::write(self.store(), images, archive)?,
        }
        Ok(sink.finish()?)
    }
}
