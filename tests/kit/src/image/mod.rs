//! OCI images from recipes: layers in every compression, a config, a manifest, an index, written as an OCI layout
//! directory.
//!
//! ```text
//! layout/oci-layout
//! layout/index.json          one descriptor, with the tag as org.opencontainers.image.ref.name
//! layout/blobs/sha256/..     layers, config, manifest (and the index, for several platforms)
//! ```
//!
//! The builders do not validate images: many tests need invalid ones.

mod layer;
mod layout;

use std::path::Path;

use serde_json::{Value, json};

pub use layer::{Compression, Layer};
use layout::Layout;

use crate::{KitError, digest};

/// An OCI manifest.
pub const OCI_MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
/// An OCI index.
pub const OCI_INDEX: &str = "application/vnd.oci.image.index.v1+json";
/// An OCI config.
pub const OCI_CONFIG: &str = "application/vnd.oci.image.config.v1+json";
/// A manifest of Docker's schema 2.
pub const DOCKER_MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";
/// A manifest list of Docker's schema 2.
pub const DOCKER_LIST: &str = "application/vnd.docker.distribution.manifest.list.v2+json";
/// A config of Docker's schema 2.
pub const DOCKER_CONFIG: &str = "application/vnd.docker.container.image.v1+json";

/// A builder of an image for one platform.
#[derive(Debug, Clone)]
pub struct ImageBuilder {
    layers: Vec<Layer>,
    os: String,
    architecture: String,
    variant: Option<String>,
    config: Value,
    docker: bool,
    config_json: Option<Vec<u8>>,
    diff_ids: Option<Vec<String>>,
    patch: Value,
}

/// A written image.
#[derive(Debug, Clone)]
pub struct BuiltImage {
    /// The digest of the manifest.
    pub manifest_digest: String,
    /// Media type of the manifest.
    pub media_type: &'static str,
    /// Bytes of the manifest.
    pub manifest: Vec<u8>,
    /// Digest of the config.
    pub config_digest: String,
    /// Digests of the uncompressed layers, bottom to top.
    pub diff_ids: Vec<String>,
    /// Digests of the layer blobs, bottom to top.
    pub layer_digests: Vec<String>,
}

impl Default for ImageBuilder {
    fn default() -> Self {
        Self::new()
    }
}

impl ImageBuilder {
    /// Creates an image without layers for linux/amd64.
    #[must_use]
    pub fn new() -> Self {
        ImageBuilder {
            layers: Vec::new(),
            os: "linux".to_owned(),
            architecture: "amd64".to_owned(),
            variant: None,
            config: json!({}),
            docker: false,
            config_json: None,
            diff_ids: None,
            patch: json!({}),
        }
    }

    /// Adds a layer on top.
    #[must_use]
    pub fn layer(mut self, layer: Layer) -> Self {
        self.layers.push(layer);
        self
    }

    /// Sets the platform.
    #[must_use]
    pub fn platform(mut self, os: &str, architecture: &str) -> Self {
        (self.os, self.architecture) = (os.to_owned(), architecture.to_owned());
        self
    }

    /// Sets the platform's variant, such as `v7`.
    #[must_use]
    pub fn variant(mut self, variant: &str) -> Self {
        self.variant = Some(variant.to_owned());
        self
    }

    /// Sets the config's `config` object: `Env`, `Cmd`, `Entrypoint`, `WorkingDir`, `User` and so on.
    #[must_use]
    pub fn config(mut self, config: Value) -> Self {
        self.config = config;
        self
    }

    /// Sets the bytes of the whole config blob.
    #[must_use]
    pub fn config_bytes(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.config_json = Some(bytes.into());
        self
    }

    /// Sets the diff_ids in the config: fewer, more or wrong ones.
    #[must_use]
    pub fn diff_ids(mut self, diff_ids: Vec<String>) -> Self {
        self.diff_ids = Some(diff_ids);
        self
    }

    /// Uses the media types of Docker's schema 2.
    #[must_use]
    pub fn docker_schema2(mut self) -> Self {
        self.docker = true;
        self
    }

    /// Sets top-level members of the manifest; `null` removes one.
    #[must_use]
    pub fn manifest_patch(mut self, patch: Value) -> Self {
        self.patch = patch;
        self
    }

    /// Writes the image as an OCI layout with one tag. Several images can share a directory: the index lists all of
    /// them.
    ///
    /// # Errors
    ///
    /// When a file cannot be written.
    pub fn write_layout(&self, folder: &Path, tag: &str) -> Result<BuiltImage, KitError> {
        let layout = Layout::open(folder)?;
        let built = self.write_blobs(&layout)?;
        layout.tag(built.descriptor(), tag)?;
        Ok(built)
    }

    fn write_blobs(&self, layout: &Layout<'_>) -> Result<BuiltImage, KitError> {
        let diff_ids: Vec<String> = self
            .layers
            .iter()
            .map(|layer| layer.diff_id().to_owned())
            .collect();
        let config = self
            .config_json
            .clone()
            .unwrap_or_else(|| self.config_blob(&diff_ids));
        let config_digest = layout.blob(&config)?;
        let mut layers = Vec::new();
        for layer in &self.layers {
            layout.layer(layer)?;
            layers.push(layer.descriptor(self.docker));
        }
        let (media_type, config_type) = if self.docker {
            (DOCKER_MANIFEST, DOCKER_CONFIG)
        } else {
            (OCI_MANIFEST, OCI_CONFIG)
        };
        let mut manifest = json!({
            "schemaVersion": 2,
            "mediaType": media_type,
            "config": { "mediaType": config_type, "digest": config_digest, "size": config.len() },
            "layers": layers,
        });
        patch(&mut manifest, &self.patch);
        let manifest = manifest.to_string().into_bytes();
        let manifest_digest = layout.blob(&manifest)?;
        let layer_digests = self
            .layers
            .iter()
            .map(|layer| layer.digest().to_owned())
            .collect();
        Ok(BuiltImage {
            manifest_digest,
            media_type,
            manifest,
            config_digest,
            diff_ids,
            layer_digests,
        })
    }

    fn config_blob(&self, diff_ids: &[String]) -> Vec<u8> {
        let mut config = json!({
            "created": "2023-11-14T22:13:20Z",
            "architecture": self.architecture,
            "os": self.os,
            "config": self.config,
            "rootfs": { "type": "layers", "diff_ids": self.diff_ids.as_deref().unwrap_or(diff_ids) },
            "history": self.layers.iter().map(|_| json!({ "created_by": "recipe" })).collect::<Vec<_>>(),
        });
        if let Some(variant) = &self.variant {
            config["variant"] = json!(variant);
        }
        config.to_string().into_bytes()
    }

    fn platform_json(&self) -> Value {
        let mut platform = json!({ "os": self.os, "architecture": self.architecture });
        if let Some(variant) = &self.variant {
            platform["variant"] = json!(variant);
        }
        platform
    }
}

impl BuiltImage {
    /// Returns the descriptor of the manifest.
    #[must_use]
    pub fn descriptor(&self) -> Value {
        json!({ "mediaType": self.media_type, "digest": self.manifest_digest, "size": self.manifest.len() })
    }
}

/// A builder of an index of images for several platforms.
#[derive(Debug, Clone, Default)]
pub struct IndexBuilder {
    images: Vec<ImageBuilder>,
    raw: Vec<Value>,
    docker: bool,
}

/// A written index.
#[derive(Debug, Clone)]
pub struct BuiltIndex {
    /// Digest of the index.
    pub digest: String,
    /// Bytes of the index.
    pub bytes: Vec<u8>,
    /// The images, in order.
    pub images: Vec<BuiltImage>,
}

impl IndexBuilder {
    /// Creates an empty index.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds an image, with its platform on the descriptor.
    #[must_use]
    pub fn image(mut self, image: ImageBuilder) -> Self {
        self.images.push(image);
        self
    }

    /// Adds a child descriptor unchanged: without a platform, of an attestation, or of a missing manifest.
    #[must_use]
    pub fn child(mut self, descriptor: Value) -> Self {
        self.raw.push(descriptor);
        self
    }

    /// Uses the media type of a Docker manifest list.
    #[must_use]
    pub fn docker_list(mut self) -> Self {
        self.docker = true;
        self
    }

    /// Writes the index and its images as an OCI layout with one tag.
    ///
    /// # Errors
    ///
    /// When a file cannot be written.
    pub fn write_layout(&self, folder: &Path, tag: &str) -> Result<BuiltIndex, KitError> {
        let layout = Layout::open(folder)?;
        let mut images = Vec::new();
        let mut children = Vec::new();
        for image in &self.images {
            let built = image.write_blobs(&layout)?;
            let mut descriptor = built.descriptor();
            descriptor["platform"] = image.platform_json();
            children.push(descriptor);
            images.push(built);
        }
        children.extend(self.raw.iter().cloned());
        let media_type = if self.docker { DOCKER_LIST } else { OCI_INDEX };
        let index = json!({ "schemaVersion": 2, "mediaType": media_type, "manifests": children });
        let bytes = index.to_string().into_bytes();
        let digest = layout.blob(&bytes)?;
        layout.tag(
            json!({ "mediaType": media_type, "digest": digest, "size": bytes.len() }),
            tag,
        )?;
        Ok(BuiltIndex {
            digest,
            bytes,
            images,
        })
    }
}

/// Writes `bytes` as a blob of the layout at `folder`. Returns the digest. For blobs that no builder creates.
///
/// # Errors
///
/// When the file cannot be written.
pub fn write_blob(folder: &Path, bytes: &[u8]) -> Result<String, KitError> {
    Layout::open(folder)?.blob(bytes)
}

/// Points `tag` of the layout at `folder` to any descriptor.
///
/// # Errors
///
/// When the index cannot be written.
pub fn write_tag(folder: &Path, descriptor: Value, tag: &str) -> Result<(), KitError> {
    Layout::open(folder)?.tag(descriptor, tag)
}

/// Returns the path of a blob in a layout.
#[must_use]
pub fn blob_path(folder: &Path, digest: &str) -> std::path::PathBuf {
    folder.join("blobs").join(digest.replace(':', "/"))
}

fn patch(object: &mut Value, patch: &Value) {
    for (key, value) in patch.as_object().into_iter().flatten() {
        if value.is_null() {
            object
                .as_object_mut()
                .expect("a manifest is an object")
                .remove(key);
        } else {
            object[key] = value.clone();
        }
    }
}

fn parse(path: &Path, bytes: &[u8]) -> Result<Value, KitError> {
    serde_json::from_slice(bytes).map_err(|_| KitError::Parse {
        what: "OCI layout",
        line: path.display().to_string(),
    })
}

/// Reads the manifest of `tag` in a layout, following an index to its first child. Returns digest and bytes.
///
/// # Errors
///
/// When the layout does not have the tag.
pub fn read_manifest(folder: &Path, tag: &str) -> Result<(String, Value), KitError> {
    let index_path = folder.join("index.json");
    let index = parse(
        &index_path,
        &std::fs::read(&index_path).map_err(KitError::io("read", &index_path))?,
    )?;
    let tagged = index["manifests"]
        .as_array()
        .into_iter()
        .flatten()
        .find(|descriptor| descriptor["annotations"]["org.opencontainers.image.ref.name"] == tag);
    let mut digest = tagged
        .and_then(|descriptor| descriptor["digest"].as_str())
        .map(str::to_owned);
    while let Some(found) = digest {
        let path = blob_path(folder, &found);
        let bytes = std::fs::read(&path).map_err(KitError::io("read", &path))?;
        debug_assert_eq!(digest::sha256(&bytes), found);
        let manifest = parse(&path, &bytes)?;
        match manifest["manifests"][0]["digest"].as_str() {
            Some(child) => digest = Some(child.to_owned()),
            None => return Ok((found, manifest)),
        }
    }
    Err(KitError::Parse {
        what: "OCI layout without the tag",
        line: tag.to_owned(),
    })
}
