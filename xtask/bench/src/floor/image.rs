use serde_json::Value;
use sha2::{Digest as _, Sha256};

use super::{Client, layer::check};
use crate::BenchError;

const ACCEPT: &str = "application/vnd.oci.image.manifest.v1+json, application/vnd.docker.distribution.manifest.v2+json";

/// What an image's manifest and config say that a pull needs.
#[derive(Debug, Clone)]
pub struct Manifest {
    /// Bottom to top.
    pub layers: Vec<Layer>,
    /// The config's bytes.
    pub config: Vec<u8>,
    /// The manifest's bytes.
    pub bytes: Vec<u8>,
}

/// One layer.
#[derive(Debug, Clone)]
pub struct Layer {
    /// `sha256:` and hexadecimal digits, of the blob.
    pub digest: String,
    /// Length of the blob in bytes.
    pub blob_bytes: u64,
    /// The same of the plain archive.
    pub diff_id: String,
}

impl Manifest {
    /// Fetches manifest and config of `name:tag`: an image of one platform, not an index.
    ///
    /// # Errors
    /// [`BenchError::Http`], [`BenchError::Document`], [`BenchError::Digest`].
    pub fn fetch(client: &mut Client, name: &str, tag: &str) -> Result<Manifest, BenchError> {
        let path = format!("/v2/{name}/manifests/{tag}");
        let bytes = client.get(&path, ACCEPT)?;
        let manifest = json("manifest", &bytes)?;
        let digest = text("manifest", &manifest["config"]["digest"])?;
        let config = client.get(&format!("/v2/{name}/blobs/{digest}"), "*/*")?;
        check(&digest, Sha256::new_with_prefix(&config))?;
        let document = json("config", &config)?;
        let descriptors = list("manifest", &manifest["layers"])?;
        let diff_ids = list("config", &document["rootfs"]["diff_ids"])?;
        if descriptors.len() != diff_ids.len() {
            return Err(BenchError::Document { what: "config" });
        }
        let layers = descriptors.iter().zip(diff_ids).map(|(layer, diff_id)| {
            Ok(Layer {
                digest: text("manifest", &layer["digest"])?,
                blob_bytes: layer["size"]
                    .as_u64()
                    .ok_or(BenchError::Document { what: "manifest" })?,
                diff_id: text("config", diff_id)?,
            })
        });
        let layers = layers.collect::<Result<_, BenchError>>()?;
        Ok(Manifest {
            layers,
            config,
            bytes,
        })
    }
}

fn json(what: &'static str, bytes: &[u8]) -> Result<Value, BenchError> {
    serde_json::from_slice(bytes).map_err(|_| BenchError::Document { what })
}

fn list<'a>(what: &'static str, value: &'a Value) -> Result<&'a [Value], BenchError> {
    let list = value.as_array().ok_or(BenchError::Document { what })?;
    Ok(list)
}

fn text(what: &'static str, value: &Value) -> Result<String, BenchError> {
    let text = value.as_str().ok_or(BenchError::Document { what })?;
    Ok(text.to_owned())
}
