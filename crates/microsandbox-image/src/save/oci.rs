//! Writes an OCI image layout as a tar archive (OCI image specification, image-layout.md).
//!
//! ```text
//!   oci-layout
//!   index.json             one descriptor for each image and name
//!   blobs/sha256/HEX       manifests, configs and layers, each once, sorted
//! ```

use std::collections::{BTreeMap, BTreeSet};

use msb_oci::{Digest, Reference, media_type};
use msb_platform::Platform;
use msb_store::Store;
use serde::Serialize;

use super::SaveError;
use super::archive::Archive;
use super::blob::LayerBlob;
use super::image::SavedImage;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Index {
    schema_version: u8,
    media_type: &'static str,
    manifests: Vec<Entry>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Entry {
    media_type: String,
    digest: Digest,
    size: u64,
    platform: Stated,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    annotations: BTreeMap<&'static str, String>,
}

#[derive(Serialize)]
struct Stated {
    architecture: String,
    os: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    variant: Option<String>,
}

/// The bytes of a blob.
enum Content<'a> {
    Document(&'a [u8]),
    Layer(&'a LayerBlob),
}

/// Writes the images, which are sorted.
pub(super) fn write(
    store: &Store,
    images: &[SavedImage<'_>],
    mut archive: Archive<'_, '_>,
) -> Result<(), SaveError> {
    let marker = br#"{"imageLayoutVersion":"1.0.0"}"#;
    archive.file("oci-layout", marker)?;
    archive.file("index.json", &index(images))?;
    let mut blobs = BTreeMap::new();
    for image in images {
        blobs.insert(
            image.result.manifest_digest,
            Content::Document(&image.manifest),
        );
        blobs.insert(image.config_digest, Content::Document(&image.config));
        let layers = image.layers.iter();
        blobs.extend(layers.map(|layer| (layer.digest, Content::Layer(layer))));
    }
    archive.directory("blobs/")?;
    let algorithms: BTreeSet<_> = blobs
        .keys()
        .map(|digest| digest.algorithm().to_string())
        .collect();
    for algorithm in algorithms {
        archive.directory(&format!("blobs/{algorithm}/"))?;
    }
    for (digest, content) in blobs {
        let name = format!("blobs/{}/{}", digest.algorithm(), digest.hex());
        match content {
            Content::Document(bytes) => archive.file(&name, bytes)?,
            Content::Layer(layer) => archive.file_with(&name, layer.bytes, |sink| {
                layer.read(store, |piece| Ok(sink.write(piece)?))
            })?,
        }
    }
    archive.finish()
}

fn index(images: &[SavedImage<'_>]) -> Vec<u8> {
    let manifests = images.iter().map(|image| {
        let name = image.name.as_ref();
        Entry {
            media_type: image.manifest_type.clone(),
            digest: image.result.manifest_digest,
            size: image.manifest.len() as u64,
            platform: stated(&image.result.platform),
            annotations: name.map(|name| names(name, images)).unwrap_or_default(),
        }
    });
    let index = Index {
        schema_version: 2,
        media_type: media_type::OCI_INDEX,
        manifests: manifests.collect(),
    };
    // OK because all of it is text and numbers.
    serde_json::to_vec(&index).unwrap_or_default()
}

/// Returns the annotations of a name: the full name for containerd and Docker; for skopeo and umoci the tag, if it is of one name alone.
fn names(name: &Reference, images: &[SavedImage<'_>]) -> BTreeMap<&'static str, String> {
    let tag = name.tag().unwrap_or_default();
    let is_unique = images
        .iter()
        .filter_map(|image| image.name.as_ref())
        .all(|other| other == name || other.tag() != Some(tag));
    let short = if is_unique {
        tag.to_owned()
    } else {
        name.to_string()
    };
    BTreeMap::from([
        ("io.containerd.image.name", name.to_string()),
        ("org.opencontainers.image.ref.name", short),
    ])
}

fn stated(platform: &Platform) -> Stated {
    Stated {
        architecture: platform.architecture().to_owned(),
        os: platform.os().to_owned(),
        variant: platform.variant().map(str::to_owned),
    }
}
