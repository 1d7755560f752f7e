//! An OCI image layout: `index.json`, and blobs under `blobs/ALGORITHM/HEX` (OCI image specification, image-layout.md).

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use msb_layer::tar::EntryName;
use msb_oci::json::{self, List, Loose, Object};
use msb_oci::{Descriptor, Digest, Excerpt, Reference};
use msb_platform::Index;
use serde::Deserialize;

use super::data::blob_data;
use super::error::ArchiveError;
use super::files::Files;
use super::{BlobData, Document, ImageSource, MAX_CONFIG_BYTES, MAX_MANIFEST_BYTES, SourceFuture};
use crate::blocking::blocking;
use crate::document::Blob;

pub(super) const INDEX: &str = "index.json";
const MARKER: &str = "oci-layout";

/// An image as the index of a layout names it.
#[derive(Clone, Debug)]
pub(super) struct LayoutImage {
    /// The full name, if one is annotated.
    pub(super) name: Option<Reference>,
    /// The annotated name as it is written; often only a tag.
    pub(super) label: Option<String>,
    /// An index of the descriptors with this name.
    root: Bytes,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Marker {
    image_layout_version: String,
}

#[derive(Deserialize)]
struct Names {
    manifests: List<Loose<Object<Named>>>,
}

#[derive(Deserialize)]
struct Named {
    #[serde(default)]
    annotations: Loose<Object<Annotations>>,
}

/// The annotations that name an image.
#[derive(Deserialize)]
struct Annotations {
    /// The full name, as containerd and Docker write it.
    #[serde(default, rename = "io.containerd.image.name")]
    containerd: Loose<String>,
    /// A tag, or a full name as podman writes it.
    #[serde(default, rename = "org.opencontainers.image.ref.name")]
    oci: Loose<String>,
}

/// Reads the images of a layout. Returns `None` if the files are no layout. Blocks on file I/O.
pub(super) fn images(files: &Files) -> Result<Option<Vec<LayoutImage>>, ArchiveError> {
    let Some(bytes) = files.document(INDEX.as_bytes(), MAX_MANIFEST_BYTES)? else {
        return Ok(None);
    };
    check_version(files)?;
    let archive = || files.archive().to_owned();
    let failed = |source| ArchiveError::Document {
        archive: archive(),
        member: EntryName::new(INDEX.as_bytes()),
        source,
    };
    // Refuses an index that two tools read differently.
    Index::parse(&bytes).map_err(|source| ArchiveError::Index {
        archive: archive(),
        source,
    })?;
    let names: Names = json::from_slice(&bytes).map_err(failed)?;
    let names = names.manifests.0.into_iter().map(label);
    // Several descriptors of one name are one image for several platforms.
    let mut groups: BTreeMap<Option<String>, Vec<usize>> = BTreeMap::new();
    for (place, label) in names.enumerate() {
        groups.entry(label).or_default().push(place);
    }
    let bytes = Bytes::from(bytes);
    let roots = if groups.len() == 1 {
        vec![bytes]
    } else {
        split(&bytes, groups.values()).map_err(failed)?
    };
    let images = groups.into_keys().zip(roots);
    Ok(Some(
        images
            .map(|(label, root)| LayoutImage {
                name: label.as_deref().and_then(full_name),
                label,
                root,
            })
            .collect(),
    ))
}

/// Checks the version of the layout, if it states one.
fn check_version(files: &Files) -> Result<(), ArchiveError> {
    const LIMIT: u64 = 64 << 10;
    let Some(bytes) = files.document(MARKER.as_bytes(), LIMIT)? else {
        return Ok(());
    };
    let marker: Marker = json::from_slice(&bytes).map_err(|source| ArchiveError::Document {
        archive: files.archive().to_owned(),
        member: EntryName::new(MARKER.as_bytes()),
        source,
    })?;
    if marker.image_layout_version != "1.0.0" {
        return Err(ArchiveError::LayoutVersion {
            archive: files.archive().to_owned(),
            version: Excerpt::new(&marker.image_layout_version),
        });
    }
    Ok(())
}

fn label(named: Loose<Object<Named>>) -> Option<String> {
    let Object(annotations) = named.value()?.0.annotations.value()?;
    let containerd = annotations.containerd.value();
    containerd.or_else(|| annotations.oci.value())
}

/// Returns the reference that a label stands for, unless it is a tag alone.
fn full_name(label: &str) -> Option<Reference> {
    label
        .contains(['/', ':'])
        .then(|| label.parse().ok())
        .flatten()
}

/// Returns an index for each group of places in `manifests`.
fn split<'a>(
    index: &[u8],
    groups: impl Iterator<Item = &'a Vec<usize>>,
) -> Result<Vec<Bytes>, serde_json::Error> {
    #[derive(Deserialize)]
    struct Parts {
        manifests: Vec<serde_json::Value>,
    }
    let mut parts: Parts = json::from_slice(index)?;
    let mut take = |place: &usize| {
        let part = parts.manifests.get_mut(*place);
        part.map_or(serde_json::Value::Null, serde_json::Value::take)
    };
    groups
        .map(|places| {
            let manifests: Vec<_> = places.iter().map(&mut take).collect();
            let group = serde_json::json!({"schemaVersion": 2, "manifests": manifests});
            Ok(serde_json::to_vec(&group)?.into())
        })
        .collect()
}

/// One image of a layout.
#[derive(Debug)]
pub(super) struct LayoutSource {
    files: Arc<Files>,
    archive: Arc<str>,
    image: LayoutImage,
}

impl LayoutSource {
    pub(super) fn new(files: Arc<Files>, image: LayoutImage) -> Self {
        Self {
            archive: files.archive().into(),
            files,
            image,
        }
    }

    /// Reads and verifies a document.
    fn document(&self, digest: Digest, limit: u64) -> SourceFuture<'static, Bytes> {
        let files = Arc::clone(&self.files);
        Box::pin(blocking(move || {
            Ok(verified(&files, &blob_name(&digest), digest, limit)?)
        }))
    }
}

impl ImageSource for LayoutSource {
    fn root(&self) -> SourceFuture<'_, Document> {
        let bytes = self.image.root.clone();
        let digest = Digest::sha256_of(&bytes);
        Box::pin(std::future::ready(document(&self.archive, bytes, digest)))
    }

    fn manifest(&self, digest: Digest) -> SourceFuture<'_, Document> {
        Box::pin(async move {
            let bytes = self.document(digest, MAX_MANIFEST_BYTES).await?;
            document(&self.archive, bytes, digest)
        })
    }

    fn config<'a>(&'a self, config: &'a Descriptor) -> SourceFuture<'a, Bytes> {
        Box::pin(async {
            let bytes = self.document(config.digest, MAX_CONFIG_BYTES).await?;
            if bytes.len() as u64 != config.size {
                return Err(ArchiveError::Size {
                    archive: self.archive.to_string(),
                    member: EntryName::new(blob_name(&config.digest).as_bytes()),
                    expected: config.size,
                    actual: bytes.len() as u64,
                }
                .into());
            }
            Ok(bytes)
        })
    }

    fn blob(&self, _: usize, blob: &Blob, offset: u64) -> BlobData {
        let (files, name) = (Arc::clone(&self.files), blob_name(&blob.digest));
        blob_data(Arc::clone(&self.archive), blob, offset, move || {
            let extent = files.get(name.as_bytes())?;
            Ok((EntryName::new(name.as_bytes()), extent))
        })
    }

    fn is_interruptible(&self) -> bool {
        false
    }

    fn origin(&self) -> &str {
        &self.archive
    }
}

/// Returns the name of a blob's file.
pub(super) fn blob_name(digest: &Digest) -> String {
    format!("blobs/{}/{}", digest.algorithm(), digest.hex())
}

/// Reads a document and compares its digest.
pub(super) fn verified(
    files: &Files,
    name: &str,
    expected: Digest,
    limit: u64,
) -> Result<Bytes, ArchiveError> {
    let member = || EntryName::new(name.as_bytes());
    let bytes = files.document(name.as_bytes(), limit)?;
    let bytes = bytes.ok_or_else(|| ArchiveError::Missing {
        archive: files.archive().to_owned(),
        member: member(),
    })?;
    let actual = Digest::of(expected.algorithm(), &bytes);
    if actual != expected {
        return Err(ArchiveError::Digest {
            archive: files.archive().to_owned(),
            member: member(),
            expected,
            actual,
        });
    }
    Ok(bytes.into())
}

/// Returns the manifest or index of these bytes, whose digest is verified.
pub(super) fn document(
    archive: &str,
    bytes: Bytes,
    digest: Digest,
) -> Result<Document, crate::PullError> {
    Document::from_verified(bytes, digest).ok_or_else(|| {
        ArchiveError::NotAManifest {
            archive: archive.to_owned(),
            digest,
        }
        .into()
    })
}
