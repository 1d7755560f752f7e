//! An archive of `docker save`: `manifest.json`, which names configs and layers by their paths.
//!
//! Such an archive has no image manifest. This module writes one, so that the image has a digest:
//!
//! ```text
//!   {"schemaVersion":2,"mediaType":"application/vnd.docker.distribution.manifest.v2+json",
//!    "config":{"mediaType":"application/vnd.docker.container.image.v1+json","size":N,"digest":D},
//!    "layers":[{"mediaType":"application/vnd.docker.image.rootfs.diff.tar","size":N,"digest":D}, ...]}
//! ```
//!
//! The members have this order, without white space; the digest of an uncompressed layer is its diff_id. The digest of the manifest
//! depends on the config and the layers alone, not on the tool or the time of the archive.

use std::collections::HashMap;
use std::os::unix::fs::FileExt;
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use msb_layer::decode::Compression;
use msb_layer::tar::EntryName;
use msb_oci::json::{self, List};
use msb_oci::{Algorithm, Config, Descriptor, Digest, Excerpt, Hasher, Reference, media_type};
use serde::{Deserialize, Serialize};

use super::data::blob_data;
use super::error::ArchiveError;
use super::files::{Extent, Files};
use super::layout::document;
use super::{BlobData, Document, ImageSource, MAX_CONFIG_BYTES, MAX_DOCKER_BYTES, SourceFuture};
use crate::PullError;
use crate::blocking::blocking;
use crate::document::Blob;

pub(super) const MANIFEST: &str = "manifest.json";

const CONFIG_TYPE: &str = msb_oci::media_type::DOCKER_CONFIG;

/// An image as `manifest.json` describes it.
#[derive(Debug)]
pub(super) struct DockerImage {
    pub(super) names: Vec<Reference>,
    config: String,
    /// Bottom to top.
    layers: Vec<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Row {
    config: String,
    #[serde(default)]
    repo_tags: Option<List<String>>,
    #[serde(default)]
    layers: Option<List<String>>,
}

/// Reads the images of an archive. Returns `None` if the files are no such archive. Blocks on file I/O.
pub(super) fn images(files: &Files) -> Result<Option<Vec<DockerImage>>, ArchiveError> {
    let Some(bytes) = files.document(MANIFEST.as_bytes(), MAX_DOCKER_BYTES)? else {
        return Ok(None);
    };
    let rows: List<Row> = json::from_slice(&bytes).map_err(|source| ArchiveError::Document {
        archive: files.archive().to_owned(),
        member: EntryName::new(MANIFEST.as_bytes()),
        source,
    })?;
    let images = rows.0.into_iter().map(|row| {
        let names = row.repo_tags.unwrap_or_default().0.into_iter();
        Ok(DockerImage {
            names: names
                .map(|name| {
                    name.parse().map_err(|source| ArchiveError::ImageName {
                        archive: files.archive().to_owned(),
                        name: Excerpt::new(&name),
                        source,
                    })
                })
                .collect::<Result<_, _>>()?,
            config: row.config,
            layers: row.layers.unwrap_or_default().0,
        })
    });
    images.collect::<Result<_, _>>().map(Some)
}

/// One image of an archive.
#[derive(Debug)]
pub(super) struct DockerSource {
    files: Arc<Files>,
    archive: Arc<str>,
    image: Arc<DockerImage>,
    /// Set with the manifest.
    blobs: Arc<OnceLock<Blobs>>,
}

/// The config and the layers of an image, by digest.
#[derive(Debug)]
struct Blobs {
    config: (Digest, Bytes),
    layers: HashMap<Digest, (EntryName, Extent)>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Manifest {
    schema_version: u8,
    media_type: &'static str,
    config: Part,
    layers: Vec<Part>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Part {
    media_type: &'static str,
    size: u64,
    digest: Digest,
}

impl DockerSource {
    pub(super) fn new(files: Arc<Files>, image: Arc<DockerImage>) -> Self {
        Self {
            archive: files.archive().into(),
            files,
            image,
            blobs: Arc::default(),
        }
    }

    /// Returns the error for a blob that the manifest does not name. Only this manifest's blobs are requested.
    fn missing(&self, digest: Digest) -> PullError {
        ArchiveError::Missing {
            archive: self.archive.to_string(),
            member: EntryName::new(digest.to_string().as_bytes()),
        }
        .into()
    }
}

impl ImageSource for DockerSource {
    fn root(&self) -> SourceFuture<'_, Document> {
        let (files, image) = (Arc::clone(&self.files), Arc::clone(&self.image));
        let blobs = Arc::clone(&self.blobs);
        Box::pin(async move {
            let manifest = blocking(move || {
                let (manifest, found) = describe(&files, &image)?;
                // An earlier call found the same.
                let _ = blobs.set(found);
                Ok(manifest)
            });
            let bytes = Bytes::from(manifest.await?);
            let digest = Digest::sha256_of(&bytes);
            document(&self.archive, bytes, digest)
        })
    }

    fn manifest(&self, digest: Digest) -> SourceFuture<'_, Document> {
        Box::pin(std::future::ready(Err(self.missing(digest))))
    }

    fn config<'a>(&'a self, config: &'a Descriptor) -> SourceFuture<'a, Bytes> {
        let known = self.blobs.get().map(|blobs| &blobs.config);
        let bytes = match known {
            Some((digest, bytes)) if *digest == config.digest => Ok(bytes.clone()),
            _ => Err(self.missing(config.digest)),
        };
        Box::pin(std::future::ready(bytes))
    }

    fn blob(&self, _: usize, blob: &Blob, offset: u64) -> BlobData {
        let (blobs, archive) = (Arc::clone(&self.blobs), Arc::clone(&self.archive));
        let digest = blob.digest;
        blob_data(Arc::clone(&self.archive), blob, offset, move || {
            let layer = blobs.get().and_then(|blobs| blobs.layers.get(&digest));
            layer.cloned().ok_or_else(|| ArchiveError::Missing {
                archive: archive.to_string(),
                member: EntryName::new(digest.to_string().as_bytes()),
            })
        })
    }

    fn is_interruptible(&self) -> bool {
        false
    }

    fn origin(&self) -> &str {
        &self.archive
    }
}

/// Returns the manifest of an image, and the blobs that it names. Blocks on file I/O.
fn describe(files: &Files, image: &DockerImage) -> Result<(Vec<u8>, Blobs), PullError> {
    let archive = || files.archive().to_owned();
    let config_name = image.config.as_bytes();
    let config = files.document(config_name, MAX_CONFIG_BYTES)?;
    let config = Bytes::from(config.ok_or_else(|| ArchiveError::Missing {
        archive: archive(),
        member: EntryName::new(config_name),
    })?);
    let digest = Digest::sha256_of(&config);
    if let Some(expected) = digest_in(&image.config)
        && expected != digest
    {
        return Err(ArchiveError::Digest {
            archive: archive(),
            member: EntryName::new(config_name),
            expected,
            actual: digest,
        }
        .into());
    }
    let parsed = Config::parse(&config).map_err(|source| PullError::Config { digest, source })?;
    if parsed.diff_ids.len() != image.layers.len() {
        return Err(ArchiveError::LayerCount {
            archive: archive(),
            member: EntryName::new(config_name),
            layers: image.layers.len(),
            diff_ids: parsed.diff_ids.len(),
        }
        .into());
    }
    let mut layers = HashMap::new();
    let mut parts = Vec::with_capacity(image.layers.len());
    for (name, diff_id) in image.layers.iter().zip(&parsed.diff_ids) {
        let extent = files.get(name.as_bytes())?;
        let (media_type, digest) = layer_type(files, name, &extent, *diff_id)?;
        parts.push(Part {
            media_type,
            size: extent.bytes,
            digest,
        });
        layers.insert(digest, (EntryName::new(name.as_bytes()), extent));
    }
    let manifest = Manifest {
        schema_version: 2,
        media_type: media_type::DOCKER_MANIFEST,
        config: Part {
            media_type: CONFIG_TYPE,
            size: config.len() as u64,
            digest,
        },
        layers: parts,
    };
    let bytes = serde_json::to_vec(&manifest).map_err(|source| ArchiveError::Document {
        archive: archive(),
        member: EntryName::new(MANIFEST.as_bytes()),
        source,
    })?;
    let blobs = Blobs {
        config: (digest, config),
        layers,
    };
    Ok((bytes, blobs))
}

/// Returns the media type and the digest of a layer. An uncompressed one is what its diff_id states, which is verified when it is
/// read; a compressed one has its digest in its name, or is hashed here.
fn layer_type(
    files: &Files,
    name: &str,
    extent: &Extent,
    diff_id: Digest,
) -> Result<(&'static str, Digest), ArchiveError> {
    let failed = |source| ArchiveError::ReadMember {
        archive: files.archive().to_owned(),
        member: EntryName::new(name.as_bytes()),
        source,
    };
    let mut start = [0; Compression::MAGIC_BYTES];
    // OK because the array is a few bytes long.
    let known = usize::try_from(extent.bytes.min(start.len() as u64)).unwrap_or(0);
    let read = extent
        .file
        .read_exact_at(&mut start[..known], extent.offset);
    read.map_err(failed)?;
    let media_type = match Compression::detect(&start[..known]) {
        Compression::Gzip => "application/vnd.docker.image.rootfs.diff.tar.gzip",
        Compression::Zstd => "application/vnd.oci.image.layer.v1.tar+zstd",
        _ => return Ok(("application/vnd.docker.image.rootfs.diff.tar", diff_id)),
    };
    if let Some(digest) = digest_in(name) {
        return Ok((media_type, digest));
    }
    let mut hasher = Hasher::new(Algorithm::Sha256);
    let mut piece = vec![0; 256 << 10];
    let (mut position, end) = (extent.offset, extent.offset + extent.bytes);
    while position < end {
        let length = (end - position).min(piece.len() as u64);
        // OK because the length is at most the piece's.
        let piece = &mut piece[..usize::try_from(length).unwrap_or(0)];
        extent.file.read_exact_at(piece, position).map_err(failed)?;
        hasher.update(piece);
        position += length;
    }
    Ok((media_type, hasher.finish()))
}

/// Returns the digest that the last component of a path is, as in `HEX.json` and `blobs/sha256/HEX`.
fn digest_in(path: &str) -> Option<Digest> {
    let (folder, file) = path.rsplit_once('/').unwrap_or(("", path));
    let hex = file.strip_suffix(".json").unwrap_or(file);
    let is_named = folder == "blobs/sha256" || (folder.is_empty() && hex != file);
    is_named
        .then(|| format!("sha256:{hex}").parse().ok())
        .flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_that_are_digests_count_as_digests() {
        let digest = Digest::sha256_of(b"x");
        let hex = digest.hex();
        for path in [format!("{hex}.json"), format!("blobs/sha256/{hex}")] {
            assert_eq!(digest_in(&path), Some(digest));
        }
        // The folder of a layer in the first form is an id, which is no digest of it.
        for path in [
            format!("{hex}/layer.tar"),
            format!("{hex}.tar"),
            "config.json".into(),
            format!("blobs/sha512/{hex}"),
        ] {
            assert_eq!(digest_in(&path), None, "{path}");
        }
    }
}
